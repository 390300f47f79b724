//! Tokens: looking up by digest, reading; creating is in `issue`, lists are in `list`, deleting in `delete`, with descendants in
//! `family`, and what concerns many at once in `lineage`.

use sqlx::FromRow;
use uuid::Uuid;

use super::{Error, Pool, Result, Store, on_pool};
use crate::domain::{
    person::TokenAccess,
    setting::{Key, Value},
    time::Timestamp,
    token::Token,
};
use tokenward_guard::token_format::TokenDigest;

mod delete;
mod descendants;
pub(super) mod family;
mod issue;
mod list;

use delete::Gone;
pub use descendants::TokenLabel;
pub use family::DeletedFamily;
pub use issue::{Form, Issued, NewToken, Once, Repeated};
pub use list::{TokenFilter, TokenOwner};

/// Whose tokens a method may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Those of one person.
    Person { workspace_id: i64, person_id: i64 },
    /// Those of everybody in a workspace.
    Workspace(i64),
}

impl Owner {
    const fn workspace_id(self) -> i64 {
        match self {
            Self::Person { workspace_id, .. } | Self::Workspace(workspace_id) => workspace_id,
        }
    }

    const fn person_id(self) -> Option<i64> {
        match self {
            Self::Person { person_id, .. } => Some(person_id),
            Self::Workspace(_) => None,
        }
    }
}

/// What a check learns of a token: facts, no decision.
#[derive(Clone, Debug)]
pub struct Found {
    pub token_id: Uuid,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub person_id: i64,
    pub workspace_id: i64,
    pub email: String,
    pub name: String,
    pub is_admin: bool,
    pub is_platform_admin: bool,
    pub is_disabled: bool,
    pub token_access: TokenAccess,
    /// What the workspace set its switch to, if it did.
    pub enabled: Option<bool>,
}

/// The columns of a check, in the order of its statement: looking them up by name would cost as much as the rest.
type FoundRow = (
    Vec<u8>,
    Uuid,
    Timestamp,
    Option<Timestamp>,
    i64,
    i64,
    String,
    String,
    bool,
    bool,
    bool,
    String,
    Option<String>,
    bool,
);

fn found(row: FoundRow) -> Result<(TokenDigest, Found)> {
    let (bytes, token_id, created_at, expires_at, person_id, workspace_id, email, name, ..) = row;
    let (.., is_admin, is_platform_admin, is_disabled, token_access, enabled, _) = row;
    let enabled = match enabled.map(|text| Key::Enabled.parse_value(&text)) {
        None => None,
        Some(Some(Value::Switch(on))) => Some(on),
        Some(_) => return Err(Error::corrupt("setting.value")),
    };
    let found = Found {
        token_id,
        created_at,
        expires_at,
        person_id,
        workspace_id,
        email,
        name,
        is_admin,
        is_platform_admin,
        is_disabled,
        token_access: access(&token_access)?,
        enabled,
    };
    Ok((digest(&bytes)?, found))
}

fn digest(bytes: &[u8]) -> Result<TokenDigest> {
    bytes.try_into().map(TokenDigest::from_bytes).map_err(|_| Error::corrupt("token.digest"))
}

pub(super) fn access(text: &str) -> Result<TokenAccess> {
    TokenAccess::parse(text).map_err(|_| Error::corrupt("person.token_access"))
}

#[derive(FromRow)]
struct TokenRow {
    id: Uuid,
    workspace_id: i64,
    person_id: i64,
    hint: String,
    description: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
    parent_id: Option<Uuid>,
}

impl From<TokenRow> for Token {
    fn from(row: TokenRow) -> Self {
        Self {
            id: row.id,
            workspace_id: row.workspace_id,
            person_id: row.person_id,
            hint: row.hint,
            description: row.description,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            parent_id: row.parent_id,
        }
    }
}

impl Store {
    /// How many reads of [`Store::find_by_digests`] are worth making at once.
    #[must_use]
    pub fn readers(&self) -> usize {
        match self.pool {
            Pool::Postgres(_) => 2,
            Pool::Sqlite(_) => 1,
        }
    }

    /// The facts of checks, in one indexed read: tokens, holders and the workspaces' switches. Digests that no token has are
    /// not among the answers.
    ///
    /// # Errors
    /// [`Error::Unavailable`], which is not "no such token".
    pub async fn find_by_digests(&self, digests: &[TokenDigest]) -> Result<Vec<(TokenDigest, Found)>> {
        macro_rules! facts {
            ($person:literal, $condition:literal) => {
                concat!(
                    "select t.digest, t.id, t.created_at, t.expires_at, p.id, p.workspace_id, p.email, p.name, p.is_admin, \
                     p.is_platform_admin, p.is_disabled, p.token_access, \
                     (select value from setting where workspace_id = t.workspace_id and key = $2), ",
                    family::in_doubt!(),
                    " from token t join ",
                    $person,
                    " where t.digest ",
                    $condition,
                    " and (p.tokens_dead_until is null or t.created_at > p.tokens_dead_until) \
                     and not exists (select 1 from workspace w where w.id = t.workspace_id and w.removed_at is not null)"
                )
            };
        }
        // Each person by the index: the planner would rather read all of a small workspace for a handful of tokens, and does not
        // look behind an offset.
        const MANY: &str = facts!(
            "lateral (select id, workspace_id, email, name, is_admin, is_platform_admin, is_disabled, token_access, \
             tokens_dead_until from person where id = t.person_id offset 0) p on true",
            "= any($1)"
        );
        const ONE: &str = facts!("person p on p.id = t.person_id", "= $1");
        let key = Key::Enabled.as_str();
        let rows: Vec<FoundRow> = match &self.pool {
            Pool::Postgres(hosts) => {
                let digests: Vec<&[u8]> = digests.iter().map(|digest| digest.as_bytes().as_slice()).collect();
                sqlx::query_as(MANY).bind(digests).bind(key).fetch_all(&hosts.pool()).await?
            }
            // SQLite has no arrays, and no way to its file that would be worth saving.
            Pool::Sqlite(pool) => {
                let mut rows = Vec::new();
                for digest in digests {
                    let bytes = digest.as_bytes().as_slice();
                    rows.extend(sqlx::query_as(ONE).bind(bytes).bind(key).fetch_optional(pool).await?);
                }
                rows
            }
        };
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            let (.., in_doubt) = row;
            let (digest, token) = found(row)?;
            if !(in_doubt && self.is_of_revoked_family(token.token_id).await?) {
                all.push((digest, token));
            }
        }
        Ok(all)
    }

    /// Whether a token descends from one that was revoked with its descendants.
    async fn is_of_revoked_family(&self, id: Uuid) -> Result<bool> {
        let ancestry = self.ancestry_statement();
        let count: i64 = on_pool!(self, pool => sqlx::query_scalar(ancestry).bind(id).fetch_one(pool).await)?;
        Ok(count > 0)
    }

    /// Finds a token within reach of an owner.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn find_token(&self, owner: Owner, id: Uuid) -> Result<Option<Token>> {
        const SELECT: &str = "select id, workspace_id, person_id, hint, description, created_at, expires_at, last_used_at, parent_id \
             from live_token where id = $1 and workspace_id = $2 and person_id = coalesce($3, person_id)";
        let row: Option<TokenRow> = on_pool!(self, pool => sqlx::query_as(SELECT)
            .bind(id).bind(owner.workspace_id()).bind(owner.person_id()).fetch_optional(pool).await)?;
        Ok(row.map(Token::from))
    }
}
