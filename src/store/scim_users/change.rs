//! Changes of users by a provisioning client.

use super::outcome::{Changed, Current, ScimUserChange, ScimUserOutcome};
use crate::{
    domain::{
        authority::{AuthorizationLost, Mutation},
        event::{Action, Details},
        id::PersonId,
        invalidation::Invalidation,
        person::{Email, PersonName},
        scim::{ScimAttributes, ScimCredential},
    },
    store::{
        Committed, Error, Result, Store,
        authority::begin,
        events::{EventDraft, record},
        on_pool,
        people::{self, COUNT_ADMINISTRATORS, UpdateOutcome, is_local_administrator},
        service_accounts::{dependent, record_unowned},
        sessions,
    },
};

/// Finds the credential again. A revoked one changes nothing.
pub(super) const FIND_CREDENTIAL: &str = "select count(*) from scim_credential where workspace_id = $1 and id = $2";

/// Reads person `$3` of workspace `$1` for a client with the provider `$2`, deleted users included.
pub(super) const SELECT_CURRENT: &str = concat!(
    "select email, name, is_admin, is_platform_admin, is_disabled, disabled_by_scim, (password_hash is not null) as \
     has_local_password, ",
    is_local_administrator!(),
    " as is_local_administrator, s.revision as scim_revision, s.is_active as scim_is_active, (s.deleted_at is not null) \
     as is_scim_deleted from person left join scim_user s on s.person_id = person.id and s.provider = $2 \
     where person.workspace_id = $1 and person.id = $3 and kind = 'person' and removed_at is null \
     and (s.person_id is not null or exists (select 1 from external_identity i where i.person_id = person.id \
     and i.provider = $2))"
);

/// Writes the row of a user. Null leaves the state unchanged; a new row is active then.
pub(super) const UPSERT: &str = "insert into scim_user (person_id, provider, workspace_id, user_name, user_name_key, \
     external_id, profile, is_active, revision, created_at, updated_at, deleted_at) \
     values ($1, $2, $3, $4, $5, $6, $7, coalesce($8, true), 1, $9, $9, $10) on conflict (person_id, provider) do \
     update set user_name = excluded.user_name, user_name_key = excluded.user_name_key, external_id = \
     excluded.external_id, profile = excluded.profile, is_active = coalesce($8, scim_user.is_active), \
     revision = scim_user.revision + 1, updated_at = excluded.updated_at, deleted_at = excluded.deleted_at";

/// Updates the account. `disabled_by_scim` follows the rows of all clients. A node of an older version
/// sets `is_disabled` only.
pub(super) const UPDATE_PERSON: &str = "update person set email = coalesce($3, email), email_key = coalesce($4, email_key), \
     name = coalesce($5, name), disabled_by_scim = exists (select 1 from scim_user u where u.person_id = person.id and \
     not u.is_active), is_disabled = (disabled_by_administrator or disabled_by_directory or (is_disabled and not \
     disabled_by_directory and not disabled_by_scim) or exists (select 1 from scim_user u where u.person_id = person.id \
     and not u.is_active)), updated_at = $6 where workspace_id = $1 and id = $2 \
     returning email, is_disabled, disabled_by_scim";

pub(super) const COUNT_TOKENS: &str = "select count(*) from unrevoked_token where workspace_id = $1 and person_id = $2";

/// Revokes all tokens. Another node's clock may be ahead of this one's.
pub(super) const REVOKE_TOKENS: &str = "update person set tokens_revoked_before = coalesce((select max(created_at) from token where \
     workspace_id = $1 and person_id = $2 and created_at > $3), $3) where workspace_id = $1 and id = $2";

/// Begins the transaction of a provisioning client: locks the workspace, and finds the credential
/// again. Evaluates to the transaction and the authorized context.
macro_rules! begin_scim {
    ($store:expr, $pool:expr, $credential:expr, $mutation:expr) => {{
        let (mut tx, context, exists) = begin!($store, $pool, $credential.workspace_id, $mutation);
        let found: i64 = sqlx::query_scalar(crate::store::scim_users::change::FIND_CREDENTIAL)
            .bind($credential.workspace_id)
            .bind($credential.id)
            .fetch_one(&mut *tx)
            .await?;
        if !exists || found == 0 {
            return Err(AuthorizationLost::CallerRevoked.into());
        }
        (tx, context)
    }};
}
pub(super) use begin_scim;

/// Writes the row of a user and the account. Evaluates to the account afterwards.
macro_rules! write_user {
    ($tx:expr, $context:expr, $credential:expr, $person_id:expr, $change:expr) => {{
        use crate::store::scim_users::change::{UPDATE_PERSON, UPSERT};
        let (attributes, email) = (&$change.attributes, $change.email.as_ref());
        sqlx::query(UPSERT)
            .bind($person_id)
            .bind($credential.provider_key())
            .bind($credential.workspace_id)
            .bind(&attributes.user_name)
            .bind(attributes.user_name_key().as_str())
            .bind(&attributes.external_id)
            .bind(crate::store::scim_users::change::profile_text(attributes)?)
            .bind($change.is_active)
            .bind($context.at)
            .bind(Some($context.at).filter(|_| $change.deletes))
            .execute(&mut *$tx)
            .await?;
        let changed: Changed = sqlx::query_as(UPDATE_PERSON)
            .bind($credential.workspace_id)
            .bind($person_id)
            .bind(email.map(Email::as_str))
            .bind(email.map(|email| email.key().as_str().to_owned()))
            .bind($change.name.as_ref().map(PersonName::as_str))
            .bind($context.at)
            .fetch_one(&mut *$tx)
            .await?;
        changed
    }};
}
pub(super) use write_user;

/// Applies a change to a person in a transaction, with sessions, tokens and events. Leaves the
/// surrounding method with the outcome if the change is not possible. Evaluates to nothing: the
/// caller commits.
macro_rules! apply_change {
    ($tx:expr, $context:expr, $credential:expr, $person_id:expr, $current:expr, $change:expr) => {{
        let (credential, workspace_id, id): (&ScimCredential, _, PersonId) =
            ($credential, $credential.workspace_id, $person_id);
        let (current, change): (&Current, &ScimUserChange) = ($current, $change);
        if let Some(outcome) = change.rejection(current) {
            return Ok(Committed::unchanged(outcome));
        }
        let dependent = if change.disables(current) { dependent!($tx, id) } else { Vec::new() };
        let changed = write_user!($tx, $context, credential, id, change);
        let is_newly_disabled = changed.is_disabled && !current.is_disabled;
        if is_newly_disabled || change.deletes {
            sqlx::query(sessions::DELETE_ALL_SESSIONS).bind(workspace_id).bind(id).execute(&mut *$tx).await?;
        }
        let target = id.to_string();
        for (action, details) in change.events(credential, current, &changed) {
            let event = EventDraft { action, person_id: Some(id), target: &target, label: &changed.email, details };
            record!($tx, workspace_id, $context, event);
        }
        if change.deletes {
            crate::store::scim_users::change::revoke_tokens!($tx, $context, workspace_id, id, &target);
        }
        if is_newly_disabled {
            record_unowned!($tx, workspace_id, $context, &dependent, &changed.email);
            let remaining = sqlx::query_as(COUNT_ADMINISTRATORS).bind(workspace_id).fetch_one(&mut *$tx).await?;
            let (was_platform, was_local) =
                (current.is_admin && current.is_platform_admin, current.is_local_administrator);
            let outcome = people::administrators_outcome(&remaining, was_platform, was_local);
            if let Some(outcome) = crate::store::scim_users::change::administrators_rejection(outcome) {
                return Ok(Committed::unchanged(outcome));
            }
        }
    }};
}
pub(super) use apply_change;

/// Revokes all tokens of a person, with an event if there are any.
macro_rules! revoke_tokens {
    ($tx:expr, $context:expr, $workspace_id:expr, $person_id:expr, $target:expr) => {
        let count: i64 = sqlx::query_scalar(crate::store::scim_users::change::COUNT_TOKENS)
            .bind($workspace_id)
            .bind($person_id)
            .fetch_one(&mut *$tx)
            .await?;
        if count > 0 {
            sqlx::query(crate::store::scim_users::change::REVOKE_TOKENS)
                .bind($workspace_id)
                .bind($person_id)
                .bind($context.at)
                .execute(&mut *$tx)
                .await?;
            let label = format!("{count} token{}", if count == 1 { "" } else { "s" });
            let details = Details::default().with("count", count);
            let (action, person_id) = (Action::TokensDeleted, Some($person_id));
            record!(
                $tx,
                $workspace_id,
                $context,
                EventDraft { action, person_id, target: $target, label: &label, details }
            );
        }
    };
}
pub(super) use revoke_tokens;

/// Returns the stored text of names and e-mail addresses.
pub(super) fn profile_text(attributes: &ScimAttributes) -> Result<String> {
    serde_json::to_string(&attributes.profile).map_err(|_| Error::corrupt("scim_user.profile"))
}

/// Returns the rejection of a change that leaves no administrator.
pub(super) fn administrators_rejection(outcome: UpdateOutcome) -> Option<ScimUserOutcome> {
    match outcome {
        UpdateOutcome::LastAdministrator => Some(ScimUserOutcome::LastAdministrator),
        UpdateOutcome::LastPlatformAdministrator => Some(ScimUserOutcome::LastPlatformAdministrator),
        UpdateOutcome::LastLocalAdministrator => Some(ScimUserOutcome::LastLocalAdministrator),
        _ => None,
    }
}

impl Store {
    /// Changes, disables, enables or deletes a user that the client may see. Disabling ends the
    /// sessions, and the tokens do not authenticate. Deleting revokes the tokens as well. Enabling lifts
    /// only what clients disabled.
    ///
    /// # Errors
    /// Returns [`Error::Conflict`] if the user name, the external ID or the e-mail is taken,
    /// [`Error::AuthorizationLost`] if the credential was revoked meanwhile, and
    /// [`Error::Unavailable`] if the database cannot be reached.
    pub async fn update_scim_user(
        &self,
        credential: &ScimCredential,
        id: PersonId,
        change: &ScimUserChange,
        mutation: &Mutation,
    ) -> Result<Committed<ScimUserOutcome>> {
        on_pool!(self, pool => {
            let (mut tx, context) = begin_scim!(self, pool, credential, mutation);
            let current: Option<Current> = sqlx::query_as(SELECT_CURRENT).bind(credential.workspace_id)
                .bind(credential.provider_key()).bind(id).fetch_optional(&mut *tx).await?;
            let Some(current) = current.filter(|current| !current.is_scim_deleted) else {
                return Ok(Committed::unchanged(ScimUserOutcome::NotFound));
            };
            // A repeated request waits for the barrier as well.
            if change.is_noop(&current) {
                return Ok(Committed::unchanged(ScimUserOutcome::Changed(id)));
            }
            apply_change!(tx, context, credential, id, &current, change);
            tx.commit().await?;
            Ok(Committed::new(ScimUserOutcome::Changed(id), vec![Invalidation::Person(id)]))
        })
    }
}
