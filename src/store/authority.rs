//! Beginning of every mutation: locks the workspaces, then reads the caller again.
//!
//! Changes of a person, of a person's password and of a workspace's settings lock the row of the
//! workspace. A mutation locks it too and reads the caller afterwards. It therefore sees every
//! earlier revocation of a right, and commits before every later one. Some methods delete single
//! tokens and sessions without that lock, so the presented credential is locked as well.

use std::ops::Deref;

use uuid::Uuid;

use super::{Error, Pool, Result, Store, columns, from_row};
use crate::domain::{
    authority::{Authority, CallerFacts, Mutation, PasswordHash, VerifiedCredential},
    event::AuditContext,
    id::WorkspaceId,
    setting::{SettingKey, SettingValue},
    time::Timestamp,
    token_limits::TokenLimits,
};

/// Audit context of a mutation whose caller was read again, or that has no caller. Events are
/// written only from this type, so a method that skips [`begin!`] does not compile.
pub(super) struct Authorized<'a> {
    context: &'a AuditContext,
    /// When the presented token stops authenticating; `None` if it never does or none was presented.
    ends_at: Option<Timestamp>,
    /// Limits of the presented token; none if none was presented.
    limits: TokenLimits,
    /// The caller, as read again; `None`: no caller.
    caller: Option<CallerFacts>,
}

impl<'a> Authorized<'a> {
    /// Wraps the context of an operation of the service itself, or of a statement that is its own
    /// authorization.
    pub(super) fn without_caller(context: &'a AuditContext) -> Self {
        Self { context, ends_at: None, limits: TokenLimits::NONE, caller: None }
    }

    /// Returns when the presented token stops authenticating.
    pub(super) fn ends_at(&self) -> Option<Timestamp> {
        self.ends_at
    }

    /// Returns the caller, as read again; `None` without a caller.
    pub(super) fn caller(&self) -> Option<&CallerFacts> {
        self.caller.as_ref()
    }

    /// Returns whether the presented token was issued in exchange for a JWT.
    pub(super) fn is_exchanged(&self) -> bool {
        self.caller.as_ref().is_some_and(|caller| caller.is_exchanged)
    }

    /// Returns the limits of the presented token.
    pub(super) fn limits(&self) -> &TokenLimits {
        &self.limits
    }
}

impl Deref for Authorized<'_> {
    type Target = AuditContext;

    fn deref(&self) -> &AuditContext {
        self.context
    }
}

pub(super) struct CallerRow {
    is_admin: bool,
    is_platform_admin: bool,
    is_disabled: bool,
    is_custodian: bool,
    token_access: String,
    force_password_change: bool,
    password_hash: Option<String>,
    ends_at: Option<Timestamp>,
    limits: Option<String>,
    is_exchanged: bool,
    enabled: Option<String>,
    /// True if the token's ancestors must be checked as well.
    pub(super) in_doubt: bool,
}

from_row!(CallerRow {
    is_admin,
    is_platform_admin,
    is_disabled,
    is_custodian,
    token_access,
    force_password_change,
    password_hash,
    ends_at,
    limits,
    is_exchanged,
    enabled,
    in_doubt
});

impl CallerRow {
    fn into_facts(self) -> Result<CallerFacts> {
        let enabled = match self.enabled.map(|text| SettingKey::Enabled.parse_value(&text)) {
            None => None,
            Some(Some(SettingValue::Switch(on))) => Some(on),
            Some(_) => return Err(Error::corrupt("setting.value")),
        };
        Ok(CallerFacts {
            is_admin: self.is_admin,
            is_platform_admin: self.is_platform_admin,
            is_disabled: self.is_disabled,
            is_custodian: self.is_custodian,
            token_access: columns::parse_token_access(&self.token_access)?,
            force_password_change: self.force_password_change,
            password_hash: self.password_hash.map(PasswordHash),
            ends_at: self.ends_at,
            is_exchanged: self.is_exchanged,
            enabled,
        })
    }
}

/// Row of the caller, joined with the credential; no row if either was deleted. `$lock` prevents
/// the deletion of the credential until the transaction ends.
macro_rules! caller {
    ($token:expr, $credential:literal, $lock:literal) => {
        concat!(
            "select p.is_admin, p.is_platform_admin, p.is_disabled, exists (select 1 from custodian c where \
             c.person_id = p.id and c.service_account_id = $5) as is_custodian, p.token_access, p.force_password_change, \
             p.password_hash, ",
            $token,
            ", (select value from setting where workspace_id = p.workspace_id and key = $3) as enabled, ",
            columns::in_doubt!(),
            " as in_doubt from person p",
            $credential,
            $lock
        )
    };
}

macro_rules! no_token {
    () => {
        "cast(null as timestamptz) as ends_at, cast(null as text) as limits, false as is_exchanged"
    };
}

macro_rules! by_token {
    ($lock:literal) => {
        caller!(
            concat!(
                "coalesce(t.deletes_at, t.expires_at) as ends_at, ",
                columns::limits!(),
                " as limits, t.trust_rule_id is not null as is_exchanged"
            ),
            " join token t on t.person_id = p.id where p.workspace_id = $1 and p.id = $2 and t.id = $4 \
             and (p.tokens_revoked_before is null or t.created_at > p.tokens_revoked_before)",
            $lock
        )
    };
}

macro_rules! by_session {
    ($lock:literal) => {
        caller!(
            no_token!(),
            " join web_session s on s.person_id = p.id where p.workspace_id = $1 and p.id = $2 and s.id = $4",
            $lock
        )
    };
}

macro_rules! by_identity {
    ($lock:literal) => {
        caller!(
            no_token!(),
            " join external_identity i on i.person_id = p.id where p.workspace_id = $1 and p.id = $2 and i.id = $4 \
             and p.password_hash is null",
            $lock
        )
    };
}

const CALLER_BY_PASSWORD: &str =
    caller!(no_token!(), " where p.workspace_id = $1 and p.id = $2 and cast($4 as uuid) is null", "");

impl Store {
    /// Returns the statement that locks the row of a workspace for the rest of the transaction. It
    /// yields the ID, or no row if there is no such workspace. The lock is exclusive, so that a
    /// change of settings is not starved by token creations, as it would be with a shared lock.
    /// SQLite has one writer at a time.
    pub(super) fn lock_workspace_sql(&self) -> &'static str {
        match self.pool {
            Pool::Postgres(_) => "select id from workspace where id = $1 and removed_at is null for no key update",
            Pool::Sqlite(_) => "update workspace set id = id where id = $1 and removed_at is null returning id",
        }
    }

    /// Returns the statement that reads the caller again. Parameters: workspace, person, setting
    /// key, credential ID, service account whose custodian the caller must be.
    pub(super) fn caller_sql(&self, credential: &VerifiedCredential) -> &'static str {
        match (credential, &self.pool) {
            (VerifiedCredential::Password(_), _) => CALLER_BY_PASSWORD,
            (VerifiedCredential::Token(_), Pool::Postgres(_)) => by_token!(" for key share of t"),
            (VerifiedCredential::Token(_), Pool::Sqlite(_)) => by_token!(""),
            (VerifiedCredential::Session(_), Pool::Postgres(_)) => by_session!(" for key share of s"),
            (VerifiedCredential::Session(_), Pool::Sqlite(_)) => by_session!(""),
            (VerifiedCredential::Identity(_), Pool::Postgres(_)) => by_identity!(" for key share of i"),
            (VerifiedCredential::Identity(_), Pool::Sqlite(_)) => by_identity!(""),
        }
    }
}

/// Returns the workspaces that a mutation locks, in ascending order to avoid deadlocks.
pub(super) fn workspaces_to_lock(target: WorkspaceId, mutation: &Mutation) -> Vec<WorkspaceId> {
    let mut ids: Vec<WorkspaceId> =
        mutation.authority.iter().map(|authority| authority.workspace_id).chain([target]).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Returns the ID of a presented token, session or external identity.
pub(super) fn credential_id(credential: &VerifiedCredential) -> Option<Uuid> {
    match credential {
        VerifiedCredential::Token(id) | VerifiedCredential::Session(id) | VerifiedCredential::Identity(id) => Some(*id),
        VerifiedCredential::Password(_) => None,
    }
}

/// Returns the ID of a presented token.
pub(super) fn presented_token_id(credential: &VerifiedCredential) -> Option<Uuid> {
    if let VerifiedCredential::Token(id) = credential { Some(*id) } else { None }
}

/// Checks the row of the caller against the required authority.
pub(super) fn check_authority<'a>(
    mutation: &'a Mutation,
    authority: &Authority,
    row: Option<CallerRow>,
) -> Result<Authorized<'a>> {
    let limits = columns::parse_limits(row.as_ref().and_then(|row| row.limits.as_deref()))?;
    let facts = row.map(CallerRow::into_facts).transpose()?;
    authority.check(facts.as_ref())?;
    let ends_at = facts.as_ref().and_then(|facts| facts.ends_at);
    Ok(Authorized { context: &mutation.context, ends_at, limits, caller: facts })
}

/// Begins the transaction of a mutation in a workspace: locks its row and that of the caller's
/// workspace, then reads the caller again. Evaluates to the transaction, the authorized context,
/// and whether the workspace exists. If the caller lost the right, the method returns
/// [`Error::AuthorizationLost`] and nothing is written.
macro_rules! begin {
    ($store:expr, $pool:expr, $workspace_id:expr, $mutation:expr) => {{
        use crate::store::authority::{self, Authorized};
        let (target, mutation): (crate::domain::id::WorkspaceId, &crate::domain::authority::Mutation) =
            ($workspace_id, $mutation);
        let mut tx = $pool.begin().await?;
        let mut exists = false;
        let mut caller_exists = false;
        for id in authority::workspaces_to_lock(target, mutation) {
            let locked: Option<crate::domain::id::WorkspaceId> =
                sqlx::query_scalar($store.lock_workspace_sql()).bind(id).fetch_optional(&mut *tx).await?;
            exists = exists || locked == Some(target);
            caller_exists = caller_exists || locked == mutation.authority.as_ref().map(|caller| caller.workspace_id);
        }
        let authorized = match &mutation.authority {
            None => Authorized::without_caller(&mutation.context),
            Some(authority) => {
                let mut row: Option<authority::CallerRow> = sqlx::query_as($store.caller_sql(&authority.credential))
                    .bind(authority.workspace_id)
                    .bind(authority.person_id)
                    .bind(crate::domain::setting::SettingKey::Enabled.as_str())
                    .bind(authority::credential_id(&authority.credential))
                    .bind(authority.role.service_account())
                    .fetch_optional(&mut *tx)
                    .await?;
                if let (Some(id), true) =
                    (authority::presented_token_id(&authority.credential), row.as_ref().is_some_and(|row| row.in_doubt))
                {
                    let revoked: i64 = sqlx::query_scalar($store.ancestry_sql()).bind(id).fetch_one(&mut *tx).await?;
                    row = row.filter(|_| revoked == 0);
                }
                authority::check_authority(mutation, authority, row.filter(|_| caller_exists))?
            }
        };
        (tx, authorized, exists)
    }};
}
pub(super) use begin;
