//! The changes that an identity provider makes to a person: disabling, enabling, the role and the address.

use super::FoundIdentity;
use crate::{
    domain::{
        authority::Mutation,
        event::{Action, Details},
        invalidation::Invalidation,
        person::{Email, Person},
    },
    store::{
        Committed, Result, Store,
        authority::begin,
        events::{EventDraft, record},
        on_pool,
        service_accounts::{dependent, record_unowned},
        sessions,
    },
};

/// State of a person according to the identity provider. The facts of an administrator stay as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderChange {
    /// `Some`: disable the person, for this reason. `None`: lift what the directory disabled. Only directories
    /// disable people.
    pub disabled_for: Option<&'static str>,
    /// The provider grants the role of an administrator.
    pub grants_admin: bool,
    /// New e-mail address; `None`: no change.
    pub email: Option<Email>,
}

impl ProviderChange {
    /// Returns whether the change would change this person.
    #[must_use]
    pub fn is_needed(&self, person: &Person) -> bool {
        let changes_state = self.disabled_for.is_some() != person.disabled_by.directory;
        let takes_role = person.admin_by_directory && !self.grants_admin;
        let gives_role = self.grants_admin && !person.is_admin;
        let changes_email = self.email.as_ref().is_some_and(|email| email.as_str() != person.email);
        changes_state || takes_role || gives_role || changes_email
    }
}

/// Result of a change by an identity provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderChangeOutcome {
    Changed,
    /// Nothing had to be changed, or the person was removed meanwhile.
    Unchanged,
    /// Changed. The workspace has no enabled administrator any more.
    ChangedLastAdministrator,
}

struct Current {
    email: String,
    is_admin: bool,
    is_disabled: bool,
    disabled_by_directory: bool,
    admin_by_directory: bool,
}

crate::store::from_row!(Current { email, is_admin, is_disabled, disabled_by_directory, admin_by_directory });

impl Current {
    /// Returns the role after the change: what an administrator granted stays, what the directory
    /// granted follows the directory.
    fn new_role(&self, change: &ProviderChange) -> (bool, bool) {
        match (change.grants_admin, self.is_admin, self.admin_by_directory) {
            (true, true, false) => (true, false),
            (true, ..) => (true, true),
            (false, is_admin, true) => (is_admin && !self.admin_by_directory, false),
            (false, is_admin, false) => (is_admin, false),
        }
    }

    fn is_unchanged(&self, change: &ProviderChange) -> bool {
        self.disabled_by_directory == change.disabled_for.is_some()
            && self.new_role(change) == (self.is_admin, self.admin_by_directory)
            && change.email.as_ref().is_none_or(|email| email.as_str() == self.email)
    }

    fn events(&self, change: &ProviderChange, by: &str, provider: &str) -> Vec<(Action, Details)> {
        let mut events = Vec::new();
        let by = Details::default().with("by", by).with("provider", provider);
        match (self.disabled_by_directory, change.disabled_for) {
            (false, Some(reason)) => events.push((Action::PersonDisabled, by.clone().with("reason", reason))),
            (true, None) => events.push((Action::PersonEnabled, by.clone())),
            _ => {}
        }
        let (is_admin, _) = self.new_role(change);
        if is_admin != self.is_admin {
            events.push((Action::PersonChanged, by.clone().with("role", crate::store::people::role_name(is_admin))));
        }
        if let Some(email) = change.email.as_ref().filter(|email| email.as_str() != self.email) {
            events.push((
                Action::PersonChanged,
                by.with("email", email.as_str()).with("previousEmail", self.email.as_str()),
            ));
        }
        events
    }
}

impl Store {
    /// Changes a person as the identity provider says. Disabling and another role end the sessions. This holds
    /// for the last administrator of a workspace too: the provider does not let this person sign in,
    /// and the operator can make another one administrator.
    ///
    /// # Errors
    /// Returns [`Error::Conflict`](crate::store::Error::Conflict) if the new address is taken, and
    /// [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be reached or
    /// does not respond in time.
    pub async fn apply_provider_change(
        &self,
        found: &FoundIdentity,
        change: &ProviderChange,
        mutation: &Mutation,
    ) -> Result<Committed<ProviderChangeOutcome>> {
        const SELECT: &str = "select email, is_admin, is_disabled, disabled_by_directory, admin_by_directory from person \
             where workspace_id = $1 and id = $2 and removed_at is null \
             and exists (select 1 from external_identity i where i.id = $3 and i.person_id = person.id)";
        const COUNT_ENABLED_ADMINISTRATORS: &str =
            "select count(*) from person where workspace_id = $1 and is_admin and not is_disabled and kind = 'person'";
        // A node of an older version sets `is_disabled` only.
        const UPDATE: &str = "update person set disabled_by_directory = $3, is_disabled = ((disabled_by_administrator or \
             disabled_by_scim or (is_disabled and not disabled_by_directory)) or $3), is_admin = $4, admin_by_directory = $5, email = coalesce($6, email), \
             email_key = coalesce($7, email_key), updated_at = $8 where workspace_id = $1 and id = $2";
        let (workspace_id, id) = (found.person.workspace_id, found.person.id);
        let disables = change.disabled_for.is_some();
        on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, workspace_id, mutation);
            let current: Option<Current> = sqlx::query_as(SELECT).bind(workspace_id).bind(id)
                .bind(found.identity.id).fetch_optional(&mut *tx).await?;
            let Some(current) = current.filter(|current| !current.is_unchanged(change)) else {
                return Ok(Committed::unchanged(ProviderChangeOutcome::Unchanged));
            };
            let (is_admin, admin_by_directory) = current.new_role(change);
            let dependent = if disables { dependent!(tx, id) } else { Vec::new() };
            sqlx::query(UPDATE)
                .bind(workspace_id)
                .bind(id)
                .bind(disables)
                .bind(is_admin)
                .bind(admin_by_directory)
                .bind(change.email.as_ref().map(Email::as_str))
                .bind(change.email.as_ref().map(|email| email.key().as_str().to_owned()))
                .bind(context.at)
                .execute(&mut *tx)
                .await?;
            if (disables && !current.is_disabled) || is_admin != current.is_admin {
                sqlx::query(sessions::DELETE_ALL_SESSIONS).bind(workspace_id).bind(id).execute(&mut *tx).await?;
            }
            for (action, details) in current.events(change, &mutation.context.actor_name, &found.identity.provider) {
                let target = id.to_string();
                let draft =
                    EventDraft { action, person_id: Some(id), target: &target, label: &current.email, details };
                record!(tx, workspace_id, context, draft);
            }
            record_unowned!(tx, workspace_id, context, &dependent, &current.email);
            let remaining: i64 =
                sqlx::query_scalar(COUNT_ENABLED_ADMINISTRATORS).bind(workspace_id).fetch_one(&mut *tx).await?;
            tx.commit().await?;
            let lost_admin = current.is_admin && !current.is_disabled && (disables || !is_admin);
            let outcome = if lost_admin && remaining == 0 {
                ProviderChangeOutcome::ChangedLastAdministrator
            } else {
                ProviderChangeOutcome::Changed
            };
            Ok(Committed::new(outcome, vec![Invalidation::Person(id)]))
        })
    }
}
