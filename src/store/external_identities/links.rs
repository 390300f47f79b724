//! Links of people to external identities: linking, unlinking, and moving to another provider.

use super::insert;
use crate::{
    domain::{
        authority::Mutation,
        event::{Action, Details},
        invalidation::Invalidation,
        person::Person,
    },
    store::{
        Error, FoundIdentity, LinkOutcome, NewExternalIdentity, Result, Store,
        authority::begin,
        committed::Committed,
        events::{EventDraft, record},
        on_pool,
        people::{self, COUNT_ADMINISTRATORS, is_local_administrator},
        sessions,
    },
};

impl Store {
    /// Links an existing person to an external identity. The local password and all sessions end: the
    /// person signs in through the provider from then on, whose rule decides when tokens pause.
    ///
    /// # Errors
    /// Returns [`Error::AuthorizationLost`] if the caller was revoked meanwhile, and
    /// [`Error::Unavailable`] if the database cannot be reached.
    pub async fn link_identity(
        &self,
        person: &Person,
        new: &NewExternalIdentity,
        mutation: &Mutation,
    ) -> Result<Committed<LinkOutcome>> {
        const SELECT: &str = concat!(
            "select ",
            is_local_administrator!(),
            " from person where workspace_id = $1 and id = $2 and removed_at is null and kind = 'person'"
        );
        const IS_LINKED: &str = "select exists (select 1 from external_identity where person_id = $1)";
        const CLEAR_PASSWORD: &str = "update person set password_hash = null, force_password_change = false, \
                                      updated_at = $3 where workspace_id = $1 and id = $2";
        let (workspace_id, id) = (person.workspace_id, person.id);
        let linked: Result<Committed<LinkOutcome>> = on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, workspace_id, mutation);
            let was_local: Option<bool> =
                sqlx::query_scalar(SELECT).bind(workspace_id).bind(id).fetch_optional(&mut *tx).await?;
            let Some(was_local) = was_local else { return Ok(Committed::unchanged(LinkOutcome::PersonNotFound)) };
            let is_linked: bool = sqlx::query_scalar(IS_LINKED).bind(id).fetch_one(&mut *tx).await?;
            if is_linked {
                return Ok(Committed::unchanged(LinkOutcome::AlreadyLinked));
            }
            insert!(tx, workspace_id, id, new, context.at)?;
            sqlx::query(CLEAR_PASSWORD).bind(workspace_id).bind(id).bind(context.at).execute(&mut *tx).await?;
            let remaining = sqlx::query_as(COUNT_ADMINISTRATORS).bind(workspace_id).fetch_one(&mut *tx).await?;
            if people::administrators_outcome(&remaining, false, was_local) == people::UpdateOutcome::LastLocalAdministrator {
                return Ok(Committed::unchanged(LinkOutcome::LastLocalAdministrator));
            }
            sqlx::query(sessions::DELETE_ALL_SESSIONS).bind(workspace_id).bind(id).execute(&mut *tx).await?;
            let target = id.to_string();
            record!(tx, workspace_id, context, EventDraft {
                action: Action::IdentityLinked,
                person_id: Some(id),
                target: &target,
                label: &person.email,
                details: new.details(),
            });
            tx.commit().await?;
            Ok(Committed::new(LinkOutcome::Linked, vec![Invalidation::Person(id)]))
        });
        match linked {
            Err(Error::Conflict) => Ok(Committed::unchanged(LinkOutcome::AlreadyLinked)),
            result => result,
        }
    }

    /// Removes the external identities and all sessions of a person, and hides the person from the
    /// provisioning clients of identity providers. What a directory or a client disabled stays disabled, and a role that it granted stays, as if an administrator had set them. Returns whether
    /// there was an identity.
    ///
    /// # Errors
    /// Returns [`Error::AuthorizationLost`] if the caller was revoked meanwhile, and
    /// [`Error::Unavailable`] if the database cannot be reached.
    pub async fn unlink_identities(&self, person: &Person, mutation: &Mutation) -> Result<bool> {
        const DELETE: &str = "delete from external_identity where workspace_id = $1 and person_id = $2";
        const DELETE_SCIM_USER: &str =
            "delete from scim_user where workspace_id = $1 and person_id = $2 and provider <> ''";
        const UPDATE: &str = "update person set disabled_by_administrator = (disabled_by_administrator or \
             disabled_by_directory or disabled_by_scim), disabled_by_directory = false, disabled_by_scim = false, admin_by_directory = false, updated_at = $3 \
             where workspace_id = $1 and id = $2";
        let (workspace_id, id) = (person.workspace_id, person.id);
        on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, workspace_id, mutation);
            let deleted = sqlx::query(DELETE).bind(workspace_id).bind(id).execute(&mut *tx).await?;
            if deleted.rows_affected() == 0 {
                return Ok(false);
            }
            sqlx::query(DELETE_SCIM_USER).bind(workspace_id).bind(id).execute(&mut *tx).await?;
            sqlx::query(UPDATE).bind(workspace_id).bind(id).bind(context.at).execute(&mut *tx).await?;
            sqlx::query(sessions::DELETE_ALL_SESSIONS).bind(workspace_id).bind(id).execute(&mut *tx).await?;
            let target = id.to_string();
            record!(tx, workspace_id, context, EventDraft {
                action: Action::IdentityUnlinked,
                person_id: Some(id),
                target: &target,
                label: &person.email,
                details: Details::default(),
            });
            tx.commit().await?;
            Ok(true)
        })
    }

    /// Moves an external identity to an account at another provider. All sessions of the person end, and the person is hidden from the
    /// provisioning clients of the old provider. What the old provider disabled stays disabled, as if an administrator had. A role that it
    /// granted becomes one that the new provider grants or takes back.
    ///
    /// # Errors
    /// Returns [`Error::AuthorizationLost`] if the caller was revoked meanwhile, and
    /// [`Error::Unavailable`] if the database cannot be reached.
    pub async fn move_identity(
        &self,
        found: &FoundIdentity,
        new: &NewExternalIdentity,
        mutation: &Mutation,
    ) -> Result<Committed<LinkOutcome>> {
        const MOVE: &str = "update external_identity set provider = $4, issuer = $5, subject = $6, label = $7, \
             linked_at = $8, last_sign_in_at = null, seen_at = null where id = $1 and workspace_id = $2 and provider = $3";
        const DELETE_SCIM_USER: &str =
            "delete from scim_user where workspace_id = $1 and person_id = $2 and provider = $3";
        const UPDATE: &str = "update person set disabled_by_administrator = (disabled_by_administrator or \
             disabled_by_directory or disabled_by_scim), disabled_by_directory = false, disabled_by_scim = false, \
             updated_at = $3 where workspace_id = $1 and id = $2";
        let FoundIdentity { identity, person } = found;
        let (workspace_id, id) = (person.workspace_id, person.id);
        let moved: Result<Committed<LinkOutcome>> = on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, workspace_id, mutation);
            let moved = sqlx::query(MOVE).bind(identity.id).bind(workspace_id).bind(&identity.provider)
                .bind(&new.provider).bind(&new.issuer).bind(&new.subject).bind(&new.label).bind(context.at)
                .execute(&mut *tx).await?;
            if moved.rows_affected() == 0 {
                return Ok(Committed::unchanged(LinkOutcome::PersonNotFound));
            }
            sqlx::query(DELETE_SCIM_USER).bind(workspace_id).bind(id).bind(&identity.provider).execute(&mut *tx).await?;
            sqlx::query(UPDATE).bind(workspace_id).bind(id).bind(context.at).execute(&mut *tx).await?;
            sqlx::query(sessions::DELETE_ALL_SESSIONS).bind(workspace_id).bind(id).execute(&mut *tx).await?;
            let target = id.to_string();
            record!(tx, workspace_id, context, EventDraft {
                action: Action::IdentityLinked,
                person_id: Some(id),
                target: &target,
                label: &person.email,
                details: new.details().with("previousProvider", identity.provider.as_str()),
            });
            tx.commit().await?;
            Ok(Committed::new(LinkOutcome::Linked, vec![Invalidation::Person(id)]))
        });
        match moved {
            Err(Error::Conflict) => Ok(Committed::unchanged(LinkOutcome::AlreadyLinked)),
            result => result,
        }
    }
}
