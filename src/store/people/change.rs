//! Updating and deleting people. A workspace always keeps an enabled administrator.

use super::{COUNT_ADMINISTRATORS, RemainingAdministrators, is_local_administrator, role_name};
use crate::{
    domain::{
        authority::Mutation,
        event::{Action, Details},
        id::{PersonId, WorkspaceId},
        invalidation::Invalidation,
        person::{Email, EmailKey, PersonName, TokenAccess},
        service_account::{Custodians, IDENTITY_PREFIX, ServiceName},
    },
    store::{
        Committed, Result, Store,
        authority::begin,
        events::{EventDraft, record},
        from_row, login_failures, on_pool, removal,
        service_accounts::{self, dependent, insert_custodians, record_unowned},
        sessions, sources,
    },
};

/// Changes of a person; `None` leaves a value unchanged.
#[derive(Clone, Default)]
pub struct PersonChange {
    pub email: Option<Email>,
    pub name: Option<PersonName>,
    pub password_hash: Option<String>,
    pub is_admin: Option<bool>,
    pub is_disabled: Option<bool>,
    pub token_access: Option<TokenAccess>,
    pub force_password_change: Option<bool>,
    /// `true`: the person receives e-mail about tokens that expire soon.
    pub notify_on_expiry: Option<bool>,
    /// New name of a service account.
    pub service_name: Option<ServiceName>,
    /// New custodians of a service account.
    pub custodians: Option<Custodians>,
    /// Password hash that the person must still have, or nothing is changed.
    pub expected_password_hash: Option<String>,
}

/// Result of an update or a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateOutcome {
    Changed,
    /// The workspace has no such person.
    NotFound,
    /// Nothing changed: the password that the caller proved is no longer the person's.
    StaleCredential,
    /// Nothing changed: the workspace would have no enabled administrator.
    LastAdministrator,
    /// Nothing changed: the service would have no enabled platform administrator.
    LastPlatformAdministrator,
    /// Nothing changed: people of the workspace sign in through a provider, and no enabled
    /// administrator could sign in without it.
    LastLocalAdministrator,
    /// Nothing changed: the person has been linked to an identity provider, which has the password.
    PasswordOfProvider,
    /// Nothing changed: only the directory that disabled the person can enable it.
    DisabledByDirectory,
    /// Nothing changed: only the provisioning client that disabled the person can enable it.
    DisabledByScim,
    /// Nothing changed: this custodian is not an enabled person of the workspace.
    InvalidCustodian(PersonId),
    /// Nothing changed: only the directory that made the person an administrator can take the role.
    AdministratorByDirectory,
}

impl PersonChange {
    fn ends_sessions(&self, was_admin: bool) -> bool {
        let changes_role = self.is_admin.is_some_and(|is_admin| is_admin != was_admin);
        self.password_hash.is_some() || self.is_disabled == Some(true) || changes_role
    }

    /// Returns the new name of a person or a service account.
    fn name(&self) -> Option<&str> {
        self.name.as_ref().map(PersonName::as_str).or_else(|| self.service_name.as_ref().map(ServiceName::as_str))
    }

    /// Returns the new values of the columns `email` and `email_key`.
    fn identity(&self) -> Option<(String, String)> {
        match (&self.service_name, &self.email) {
            (Some(name), _) => Some((name.identity(), name.identity())),
            (None, Some(email)) => Some((email.as_str().to_owned(), email.key().as_str().to_owned())),
            (None, None) => None,
        }
    }

    /// Returns the current name of a service account with this identity if the change renames it.
    fn previous_name<'a>(&self, current_identity: &'a str) -> Option<&'a str> {
        let new_name = self.service_name.as_ref()?.as_str();
        current_identity.strip_prefix(IDENTITY_PREFIX).filter(|current_name| *current_name != new_name)
    }

    /// Returns the events that describe the change of a person with this e-mail, or of a service account
    /// with this identity. Messages about a changed e-mail or password are sent to the previous address.
    fn events(&self, current_email: &str) -> Vec<(Action, Details)> {
        let is_new_email = self.email.as_ref().is_some_and(|email| email.key() != EmailKey::from_text(current_email));
        let previous = is_new_email.then_some(current_email);
        let mut events = Vec::new();
        if self.password_hash.is_some() {
            events.push((Action::PasswordChanged, Details::default().with_some("previousEmail", previous)));
        }
        if let Some(is_disabled) = self.is_disabled {
            events.push((if is_disabled { Action::PersonDisabled } else { Action::PersonEnabled }, Details::default()));
        }
        let details = Details::default()
            .with_some("email", self.email.as_ref().map(Email::as_str))
            .with_some("previousEmail", previous)
            .with_some("name", self.name())
            .with_some("previousName", self.previous_name(current_email))
            .with_some("custodians", self.custodians.as_ref().map(Custodians::to_text))
            .with_some("role", self.is_admin.map(role_name))
            .with_some("tokenAccess", self.token_access.map(TokenAccess::as_str))
            .with_some("forcePasswordChange", self.force_password_change)
            .with_some("notifyOnExpiry", self.notify_on_expiry);
        if details != Details::default() {
            events.push((Action::PersonChanged, details));
        }
        events
    }
}

/// Updates a person: null leaves a value unchanged. A node of an older version sets `is_disabled`
/// only, so that flag counts as well.
const UPDATE: &str = "update person set email = coalesce($3, email), email_key = coalesce($4, email_key), \
     name = coalesce($5, name), password_hash = coalesce($6, password_hash), is_admin = coalesce($7, \
     is_admin), admin_by_directory = (admin_by_directory and coalesce($7, true)), disabled_by_administrator = coalesce($8, disabled_by_administrator), \
     disabled_by_directory = (disabled_by_directory and not $12), disabled_by_scim = (disabled_by_scim and not $12), \
     is_disabled = (coalesce($8, disabled_by_administrator or (is_disabled and not disabled_by_directory and not \
     disabled_by_scim)) or ((disabled_by_directory or disabled_by_scim) and not $12)), token_access = coalesce($9, token_access), \
     force_password_change = coalesce($10, force_password_change), notify_on_expiry = coalesce($13, notify_on_expiry), \
     updated_at = $11 where workspace_id = $1 \
     and id = $2 and removed_at is null returning email, email_key, is_platform_admin";

/// Reads the person that an update changes.
const SELECT_CURRENT: &str = concat!(
    "select email, is_admin, password_hash, (disabled_by_directory and not disabled_by_administrator) as \
     is_directory_alone, (disabled_by_scim and not disabled_by_administrator) as is_scim_alone, admin_by_directory, ",
    is_local_administrator!(),
    " as is_local_administrator, exists (select 1 from external_identity i where i.person_id = person.id) as \
     has_identity from person where workspace_id = $1 and id = $2 and removed_at is null"
);

impl Store {
    /// Updates a person of a workspace, unless no enabled administrator would remain. A new
    /// password, another role and disabling the account delete the person's web sessions. A new
    /// password and enabling the account reset the login failures.
    ///
    /// # Errors
    /// Returns [`Error::Conflict`](crate::store::Error::Conflict) if the e-mail is taken,
    /// [`Error::AuthorizationLost`](crate::store::Error::AuthorizationLost) if the caller was revoked
    /// meanwhile, and [`Error::Unavailable`](crate::store::Error::Unavailable) if the database
    /// cannot be reached.
    pub async fn update_person(
        &self,
        workspace_id: WorkspaceId,
        id: PersonId,
        change: &PersonChange,
        mutation: &Mutation,
    ) -> Result<Committed<UpdateOutcome>> {
        let (email, email_key) = change.identity().unzip();
        on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, workspace_id, mutation);
            let current: Option<CurrentPerson> =
                sqlx::query_as(SELECT_CURRENT).bind(workspace_id).bind(id).fetch_optional(&mut *tx).await?;
            let Some(current) = current else { return Ok(Committed::unchanged(UpdateOutcome::NotFound)) };
            let is_operator = mutation.authority.is_none();
            if let Some(outcome) = current.rejection(change, is_operator) {
                return Ok(Committed::unchanged(outcome));
            }
            let dependent = if change.is_disabled == Some(true) { dependent!(tx, id) } else { Vec::new() };
            let updated: Option<(String, String, bool)> = sqlx::query_as(UPDATE)
                .bind(workspace_id).bind(id)
                .bind(&email).bind(&email_key)
                .bind(change.name())
                .bind(&change.password_hash)
                .bind(change.is_admin).bind(change.is_disabled)
                .bind(change.token_access.map(TokenAccess::as_str))
                .bind(change.force_password_change)
                .bind(context.at)
                // The operator enables a person whatever the directory or the provisioning client says, until
                // the next sync or request.
                .bind(is_operator && change.is_disabled == Some(false))
                .bind(change.notify_on_expiry)
                .fetch_optional(&mut *tx)
                .await?;
            let Some((email, email_key, is_platform_admin)) = updated else {
                return Ok(Committed::unchanged(UpdateOutcome::NotFound));
            };
            if change.password_hash.is_some() || change.is_disabled == Some(false) {
                let digest = EmailKey::from_text(&email_key).digest();
                sqlx::query(login_failures::DELETE_LOGIN_FAILURES)
                    .bind(digest.as_bytes().as_slice())
                    .execute(&mut *tx)
                    .await?;
                sqlx::query(sources::RESET_SOURCE_FAILURES).bind(id).execute(&mut *tx).await?;
            }
            if change.ends_sessions(current.is_admin) {
                sqlx::query(sessions::DELETE_ALL_SESSIONS).bind(workspace_id).bind(id).execute(&mut *tx).await?;
            }
            if let Some(custodians) = &change.custodians {
                sqlx::query(service_accounts::DELETE_CUSTODIANS).bind(workspace_id).bind(id).execute(&mut *tx).await?;
                if let Some(invalid) = insert_custodians!(tx, workspace_id, id, custodians) {
                    return Ok(Committed::unchanged(UpdateOutcome::InvalidCustodian(invalid)));
                }
            }
            for (action, details) in change.events(&current.email) {
                let target = id.to_string();
                let event = EventDraft { action, person_id: Some(id), target: &target, label: &email, details };
                record!(tx, workspace_id, context, event);
            }
            record_unowned!(tx, workspace_id, context, &dependent, &email);
            let remaining = sqlx::query_as(COUNT_ADMINISTRATORS).bind(workspace_id).fetch_one(&mut *tx).await?;
            let outcome = administrators_outcome(&remaining, is_platform_admin, current.is_local_administrator);
            if outcome != UpdateOutcome::Changed {
                return Ok(Committed::unchanged(outcome));
            }
            tx.commit().await?;
            Ok(Committed::new(outcome, vec![Invalidation::Person(id)]))
        })
    }

    /// Deletes a person of a workspace with all tokens, unless no enabled administrator would
    /// remain. If the tokens are many, [`Store::purge_removed`] deletes their rows and the person's
    /// afterwards. No method finds them in the meantime.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be
    /// reached or does not respond in time, and
    /// [`Error::AuthorizationLost`](crate::store::Error::AuthorizationLost) if the caller lost its right
    /// meanwhile.
    pub async fn delete_person(
        &self,
        workspace_id: WorkspaceId,
        id: PersonId,
        mutation: &Mutation,
    ) -> Result<Committed<UpdateOutcome>> {
        const SELECT: &str = concat!(
            "select email, is_platform_admin, ",
            is_local_administrator!(),
            " as is_local_administrator from person where workspace_id = $1 and id = $2 and removed_at is null"
        );
        const DELETE: &str = "delete from person where workspace_id = $1 and id = $2";
        on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, workspace_id, mutation);
            let current: Option<(String, bool, bool)> =
                sqlx::query_as(SELECT).bind(workspace_id).bind(id).fetch_optional(&mut *tx).await?;
            let Some((email, is_platform_admin, was_local)) = current else { return Ok(Committed::unchanged(UpdateOutcome::NotFound)) };
            let dependent = dependent!(tx, id);
            let tokens: i64 = sqlx::query_scalar(removal::COUNT_PERSON_TOKENS).bind(workspace_id).bind(id)
                .bind(removal::MAX_ROWS_PER_STATEMENT + 1).fetch_one(&mut *tx).await?;
            if tokens > removal::MAX_ROWS_PER_STATEMENT {
                sqlx::query(removal::REVOKE_PERSON).bind(workspace_id).bind(id).bind(context.at).execute(&mut *tx).await?;
                sqlx::query(sessions::DELETE_ALL_SESSIONS).bind(workspace_id).bind(id).execute(&mut *tx).await?;
            } else {
                sqlx::query(DELETE).bind(workspace_id).bind(id).execute(&mut *tx).await?;
            }
            let target = id.to_string();
            let event = EventDraft {
                action: Action::PersonRemoved,
                person_id: Some(id),
                target: &target,
                label: &email,
                details: Details::default(),
            };
            record!(tx, workspace_id, context, event);
            record_unowned!(tx, workspace_id, context, &dependent, &email);
            let remaining = sqlx::query_as(COUNT_ADMINISTRATORS).bind(workspace_id).fetch_one(&mut *tx).await?;
            let outcome = administrators_outcome(&remaining, is_platform_admin, was_local);
            if outcome != UpdateOutcome::Changed {
                return Ok(Committed::unchanged(outcome));
            }
            tx.commit().await?;
            Ok(Committed::new(outcome, vec![Invalidation::Person(id)]))
        })
    }
}

/// Current state of the person that an update changes.
struct CurrentPerson {
    email: String,
    is_admin: bool,
    password_hash: Option<String>,
    /// The directory disabled the person, and no administrator did.
    is_directory_alone: bool,
    /// A provisioning client disabled the person, and no administrator did.
    is_scim_alone: bool,
    admin_by_directory: bool,
    is_local_administrator: bool,
    /// The person signs in through an identity provider.
    has_identity: bool,
}

from_row!(CurrentPerson {
    email,
    is_admin,
    password_hash,
    is_directory_alone,
    is_scim_alone,
    admin_by_directory,
    is_local_administrator,
    has_identity
});

impl CurrentPerson {
    /// Returns the outcome if the change is not possible in this state.
    fn rejection(&self, change: &PersonChange, is_operator: bool) -> Option<UpdateOutcome> {
        if change.expected_password_hash.as_ref().is_some_and(|expected| Some(expected) != self.password_hash.as_ref())
        {
            return Some(UpdateOutcome::StaleCredential);
        }
        if is_operator {
            return None;
        }
        if change.password_hash.is_some() && self.password_hash.is_none() && self.has_identity {
            return Some(UpdateOutcome::PasswordOfProvider);
        }
        if change.is_disabled == Some(false) && self.is_directory_alone {
            return Some(UpdateOutcome::DisabledByDirectory);
        }
        if change.is_disabled == Some(false) && self.is_scim_alone {
            return Some(UpdateOutcome::DisabledByScim);
        }
        (change.is_admin == Some(false) && self.admin_by_directory).then_some(UpdateOutcome::AdministratorByDirectory)
    }
}

/// Evaluates the remaining administrators. It runs under the workspace's lock, so two concurrent
/// changes cannot both succeed by relying on each other's administrator.
pub(in crate::store) fn administrators_outcome(
    remaining: &RemainingAdministrators,
    was_platform_admin: bool,
    was_local_administrator: bool,
) -> UpdateOutcome {
    let RemainingAdministrators { administrators, platform_administrators, local_administrators, has_identities } =
        *remaining;
    if administrators == 0 {
        UpdateOutcome::LastAdministrator
    } else if was_platform_admin && platform_administrators == 0 {
        UpdateOutcome::LastPlatformAdministrator
    } else if was_local_administrator && local_administrators == 0 && has_identities {
        UpdateOutcome::LastLocalAdministrator
    } else {
        UpdateOutcome::Changed
    }
}
