//! New users of a provisioning client, and accounts that it takes over.

use super::{
    change::{SELECT_CURRENT, apply_change, begin_scim, write_user},
    outcome::{Changed, Current, NewScimUser, ScimUserChange, ScimUserOutcome},
};
use crate::{
    domain::{
        authority::{AuthorizationLost, Mutation},
        event::{Action, Details},
        id::{PersonId, WorkspaceId},
        invalidation::Invalidation,
        person::{Email, PersonName},
        scim::ScimCredential,
    },
    store::{
        Committed, NewExternalIdentity, NewPerson, Result, Store,
        authority::begin,
        events::{EventDraft, record},
        external_identities, from_row, on_pool,
        people::{self, COUNT_ADMINISTRATORS},
        service_accounts::{dependent, record_unowned},
        sessions,
    },
};

/// Account that has the external ID of a new user.
struct Existing {
    person_id: PersonId,
    workspace_id: WorkspaceId,
    /// A client sees the user, so it is not new.
    is_provisioned: bool,
}

from_row!(Existing { person_id, workspace_id, is_provisioned });

/// Finds the account with the external ID `$3`: a deleted user, or the subject of an identity of the
/// provider `$2` with the issuer `$4`, in any workspace.
const SELECT_EXISTING: &str = "select i.person_id, i.workspace_id, exists (select 1 from scim_user s where \
     s.person_id = i.person_id and s.provider = i.provider and s.deleted_at is null) as is_provisioned \
     from external_identity i where i.provider = $2 and i.issuer = $4 and i.subject = $3 \
     union all select s.person_id, s.workspace_id, s.deleted_at is null as is_provisioned from scim_user s where \
     s.workspace_id = $1 and s.provider = $2 and s.external_id = $3 and cast($4 as text) is null";

impl NewScimUser {
    fn person(&self) -> NewPerson {
        NewPerson {
            email: self.attributes.email.clone(),
            name: self.attributes.name.clone(),
            password_hash: None,
            invite: None,
            is_admin: false,
            is_platform_admin: false,
            force_password_change: false,
        }
    }

    /// Returns the identity at the provider of the credential; `None` without one.
    fn identity(&self, credential: &ScimCredential) -> Option<NewExternalIdentity> {
        let (provider, attributes) = (credential.provider.as_ref()?, &self.attributes.attributes);
        Some(NewExternalIdentity {
            id: self.identity_id,
            provider: provider.name.clone(),
            issuer: provider.issuer.clone(),
            subject: attributes.external_id.clone()?,
            label: attributes.user_name.clone(),
        })
    }

    /// Returns the first change of a new account.
    fn first_change(&self) -> ScimUserChange {
        ScimUserChange {
            attributes: self.attributes.attributes.clone(),
            changed: Vec::new(),
            email: None,
            name: None,
            is_active: Some(self.is_active),
            deletes: false,
            expected_revision: 0,
        }
    }
}

impl Store {
    /// Creates a user: a person without a password and without the role of an administrator, with an
    /// identity of the client's provider. An account that has the external ID already is taken over
    /// if the client had deleted it, or if no client has provisioned it yet.
    ///
    /// # Errors
    /// Returns [`Error::Conflict`](crate::store::Error::Conflict) if the user name, the external ID or
    /// the e-mail is taken, [`Error::AuthorizationLost`](crate::store::Error::AuthorizationLost) if the
    /// credential was revoked meanwhile, and [`Error::Unavailable`](crate::store::Error::Unavailable) if
    /// the database cannot be reached.
    pub async fn insert_scim_user(
        &self,
        credential: &ScimCredential,
        new: &NewScimUser,
        mutation: &Mutation,
    ) -> Result<Committed<ScimUserOutcome>> {
        let workspace_id = credential.workspace_id;
        on_pool!(self, pool => {
            let (mut tx, context) = begin_scim!(self, pool, credential, mutation);
            let existing: Option<Existing> = sqlx::query_as(SELECT_EXISTING).bind(workspace_id)
                .bind(credential.provider_key()).bind(&new.attributes.attributes.external_id)
                .bind(credential.provider.as_ref().map(|provider| provider.issuer.as_str()))
                .fetch_optional(&mut *tx).await?;
            if existing.as_ref().is_some_and(|existing| existing.is_provisioned || existing.workspace_id != workspace_id) {
                return Ok(Committed::unchanged(ScimUserOutcome::Taken));
            }
            if let Some(Existing { person_id, .. }) = existing {
                let current: Option<Current> = sqlx::query_as(SELECT_CURRENT).bind(workspace_id)
                    .bind(credential.provider_key()).bind(person_id).fetch_optional(&mut *tx).await?;
                let Some(current) = current else { return Ok(Committed::unchanged(ScimUserOutcome::Taken)) };
                let change = ScimUserChange::take_over(new, &current);
                apply_change!(tx, context, credential, person_id, &current, &change);
                let target = person_id.to_string();
                record!(tx, workspace_id, context, EventDraft {
                    action: Action::PersonProvisioned,
                    person_id: Some(person_id),
                    target: &target,
                    label: new.attributes.email.as_str(),
                    details: details_of(credential),
                });
                tx.commit().await?;
                let outcome = ScimUserOutcome::Changed(person_id);
                return Ok(Committed::new(outcome, vec![Invalidation::Person(person_id)]));
            }
            let Some(row) = people::insert!(&mut *tx, workspace_id, new.person(), context.at)? else {
                return Err(AuthorizationLost::CallerRevoked.into());
            };
            if let Some(identity) = new.identity(credential) {
                external_identities::insert!(tx, workspace_id, row.id, identity, context.at)?;
            }
            let change = new.first_change();
            write_user!(tx, context, credential, row.id, change);
            let target = row.id.to_string();
            let details = details_of(credential).with("role", people::role_name(false));
            record!(tx, workspace_id, context, row.event(Action::PersonAdded, &target, details));
            if !new.is_active {
                record!(tx, workspace_id, context, row.event(Action::PersonDisabled, &target, details_of(credential)));
            }
            tx.commit().await?;
            Ok(Committed::new(ScimUserOutcome::Changed(row.id), Vec::new()))
        })
    }
}

fn details_of(credential: &ScimCredential) -> Details {
    let provider = credential.provider.as_ref().map(|provider| provider.name.as_str());
    Details::default().with("by", "scim").with_some("provider", provider)
}
