//! The beginning of every mutation: locks the workspaces, then re-reads the caller.
//!
//! Changes of a person, of the person's credentials and of a workspace's settings hold the row of the workspace. A transaction that
//! holds it too, and reads the caller afterwards, therefore sees every right that was taken away before, and its own commit is in
//! front of every right that is taken away later. Tokens and sessions are deleted one by one without that row in some places, so
//! the presented one is locked as well.

use std::ops::Deref;

use sqlx::FromRow;
use uuid::Uuid;

use super::{Error, Pool, Result, Store, tokens};
use crate::domain::{
    authority::{Authority, CallerFacts, Credential, Mutation, PasswordHash},
    event::Act,
    setting::{Key, Value},
    time::Timestamp,
};

/// The act of a mutation whose caller was re-read, or that has none. An event is written from it alone, so a method that skips
/// [`begin!`] does not compile.
#[derive(Clone, Copy)]
pub(super) struct Authorized<'a> {
    act: &'a Act,
    /// When the presented token expires; `None` where it never does, or none was presented.
    expires_at: Option<Timestamp>,
}

impl<'a> Authorized<'a> {
    /// For what the service records by itself, and for methods whose statement is its own authorization.
    pub(super) fn without_caller(act: &'a Act) -> Self {
        Self { act, expires_at: None }
    }

    /// When the presented token expires.
    pub(super) fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }
}

impl Deref for Authorized<'_> {
    type Target = Act;

    fn deref(&self) -> &Act {
        self.act
    }
}

#[derive(FromRow)]
pub(super) struct CallerRow {
    is_admin: bool,
    is_platform_admin: bool,
    is_disabled: bool,
    token_access: String,
    force_password_change: bool,
    password_hash: String,
    expires_at: Option<Timestamp>,
    enabled: Option<String>,
    /// Whether the token's ancestors must be looked at, too.
    pub(super) in_doubt: bool,
}

impl CallerRow {
    fn read(self) -> Result<CallerFacts> {
        let enabled = match self.enabled.map(|text| Key::Enabled.parse_value(&text)) {
            None => None,
            Some(Some(Value::Switch(on))) => Some(on),
            Some(_) => return Err(Error::corrupt("setting.value")),
        };
        Ok(CallerFacts {
            is_admin: self.is_admin,
            is_platform_admin: self.is_platform_admin,
            is_disabled: self.is_disabled,
            token_access: tokens::access(&self.token_access)?,
            force_password_change: self.force_password_change,
            password_hash: PasswordHash(self.password_hash),
            expires_at: self.expires_at,
            enabled,
        })
    }
}

/// The caller's row with what the credential adds to it; no row where either is gone. `$lock` keeps the credential from being deleted
/// until the transaction ends.
macro_rules! caller {
    ($expires_at:literal, $credential:literal, $lock:literal) => {
        concat!(
            "select p.is_admin, p.is_platform_admin, p.is_disabled, p.token_access, p.force_password_change, p.password_hash, ",
            $expires_at,
            " as expires_at, (select value from setting where workspace_id = p.workspace_id and key = $3) as enabled, ",
            tokens::family::in_doubt!(),
            " as in_doubt from person p",
            $credential,
            $lock
        )
    };
}

macro_rules! by_token {
    ($lock:literal) => {
        caller!(
            "t.expires_at",
            " join token t on t.person_id = p.id where p.workspace_id = $1 and p.id = $2 and t.id = $4 \
             and (p.tokens_dead_until is null or t.created_at > p.tokens_dead_until)",
            $lock
        )
    };
}

macro_rules! by_session {
    ($lock:literal) => {
        caller!(
            "cast(null as timestamptz)",
            " join web_session s on s.person_id = p.id where p.workspace_id = $1 and p.id = $2 and s.id = $4",
            $lock
        )
    };
}

const BY_PASSWORD: &str =
    caller!("cast(null as timestamptz)", " where p.workspace_id = $1 and p.id = $2 and cast($4 as uuid) is null", "");

impl Store {
    /// Locks the row of a workspace for the rest of the transaction and returns its ID; no row where there is no such workspace.
    /// Holders queue, so that a change of settings gets its turn however many tokens are created; a shared lock would let them pass
    /// it. SQLite has one writer at a time.
    pub(super) fn hold_statement(&self) -> &'static str {
        match self.pool {
            Pool::Postgres(_) => "select id from workspace where id = $1 and removed_at is null for no key update",
            Pool::Sqlite(_) => "update workspace set id = id where id = $1 and removed_at is null returning id",
        }
    }

    /// The statement that re-reads a caller: workspace, person, key of the switch, ID of the credential.
    pub(super) fn caller_statement(&self, credential: &Credential) -> &'static str {
        match (credential, &self.pool) {
            (Credential::Password(_), _) => BY_PASSWORD,
            (Credential::Token(_), Pool::Postgres(_)) => by_token!(" for key share of t"),
            (Credential::Token(_), Pool::Sqlite(_)) => by_token!(""),
            (Credential::Session(_), Pool::Postgres(_)) => by_session!(" for key share of s"),
            (Credential::Session(_), Pool::Sqlite(_)) => by_session!(""),
        }
    }
}

/// The workspaces that a mutation locks, in ascending order, so that two mutations never wait for each other.
pub(super) fn workspaces(target: i64, mutation: &Mutation) -> Vec<i64> {
    let mut ids: Vec<i64> = mutation.authority.iter().map(|authority| authority.workspace_id).chain([target]).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The ID of a presented token or session.
pub(super) fn credential_id(credential: &Credential) -> Option<Uuid> {
    match credential {
        Credential::Token(id) | Credential::Session(id) => Some(*id),
        Credential::Password(_) => None,
    }
}

/// The ID of a presented token.
pub(super) fn token_id(credential: &Credential) -> Option<Uuid> {
    if let Credential::Token(id) = credential { Some(*id) } else { None }
}

/// Judges the caller's row.
pub(super) fn judge<'a>(
    mutation: &'a Mutation,
    authority: &Authority,
    row: Option<CallerRow>,
) -> Result<Authorized<'a>> {
    let facts = row.map(CallerRow::read).transpose()?;
    authority.check(facts.as_ref())?;
    Ok(Authorized { act: &mutation.act, expires_at: facts.and_then(|facts| facts.expires_at) })
}

/// Begins the transaction of a mutation in a workspace: locks its row and that of the caller's workspace, then re-reads the caller.
/// Gives the transaction, the authorized act, and whether the workspace exists. Nothing is written where the caller lost the right:
/// the method returns [`Error::AuthorityLost`].
macro_rules! begin {
    ($store:expr, $pool:expr, $workspace_id:expr, $mutation:expr) => {{
        use crate::store::authority::{self, Authorized};
        let (target, mutation): (i64, &crate::domain::authority::Mutation) = ($workspace_id, $mutation);
        let mut tx = $pool.begin().await?;
        let (mut exists, mut caller_exists) = (false, false);
        for id in authority::workspaces(target, mutation) {
            let held: Option<i64> =
                sqlx::query_scalar($store.hold_statement()).bind(id).fetch_optional(&mut *tx).await?;
            exists = exists || held == Some(target);
            caller_exists = caller_exists || held == mutation.authority.as_ref().map(|caller| caller.workspace_id);
        }
        let authorized = match &mutation.authority {
            None => Authorized::without_caller(&mutation.act),
            Some(authority) => {
                let mut row: Option<authority::CallerRow> =
                    sqlx::query_as($store.caller_statement(&authority.credential))
                        .bind(authority.workspace_id)
                        .bind(authority.person_id)
                        .bind(crate::domain::setting::Key::Enabled.as_str())
                        .bind(authority::credential_id(&authority.credential))
                        .fetch_optional(&mut *tx)
                        .await?;
                if let (Some(id), true) =
                    (authority::token_id(&authority.credential), row.as_ref().is_some_and(|row| row.in_doubt))
                {
                    let revoked: i64 =
                        sqlx::query_scalar($store.ancestry_statement()).bind(id).fetch_one(&mut *tx).await?;
                    row = row.filter(|_| revoked == 0);
                }
                authority::judge(mutation, authority, row.filter(|_| caller_exists))?
            }
        };
        (tx, authorized, exists)
    }};
}
pub(super) use begin;
