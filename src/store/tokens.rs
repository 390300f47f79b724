//! Token statements: lookups by digest and by ID. `issue` creates tokens, `list` lists them,
//! `delete` and `family` delete them, and `descendants` revokes all tokens of a person and reads
//! tombstones.

use uuid::Uuid;

use super::{
    Error, Pool, Result, Store,
    columns::{self, parse_token_access},
    from_row, on_pool,
};
use crate::domain::{
    id::{PersonId, WorkspaceId},
    person::TokenAccess,
    setting::{SettingKey, SettingValue},
    time::Timestamp,
    token::Token,
};
use tokenward_guard::token_format::TokenDigest;

mod delete;
mod descendants;
pub(super) mod family;
mod issue;
mod list;

use delete::DeletedToken;
pub use descendants::TokenLabel;
pub use family::DeletedFamily;
pub use issue::{ConsumedForm, IdempotentRequest, IssueOutcome, NewToken, ReplayedToken};
pub use list::{TokenListQuery, TokenOwner};

/// Set of tokens that a method may access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerScope {
    /// The tokens of one person.
    Person { workspace_id: WorkspaceId, person_id: PersonId },
    /// All tokens of a workspace.
    Workspace(WorkspaceId),
}

impl OwnerScope {
    const fn workspace_id(self) -> WorkspaceId {
        match self {
            Self::Person { workspace_id, .. } | Self::Workspace(workspace_id) => workspace_id,
        }
    }

    const fn person_id(self) -> Option<PersonId> {
        match self {
            Self::Person { person_id, .. } => Some(person_id),
            Self::Workspace(_) => None,
        }
    }
}

/// Facts that an auth check needs about a token and its owner. They contain no decision.
#[derive(Clone, Debug)]
pub struct FoundToken {
    pub token_id: Uuid,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub person_id: PersonId,
    pub workspace_id: WorkspaceId,
    pub email: String,
    pub name: String,
    pub is_admin: bool,
    pub is_platform_admin: bool,
    pub is_disabled: bool,
    pub token_access: TokenAccess,
    /// Setting of the workspace that enables tokens, or `None` if it is not set.
    pub enabled: Option<bool>,
}

/// Columns of [`Store::find_by_digests`], by position, because looking them up by name would double
/// the cost of a row.
type FoundTokenRow = (
    Vec<u8>,
    Uuid,
    Timestamp,
    Option<Timestamp>,
    PersonId,
    WorkspaceId,
    String,
    String,
    bool,
    bool,
    bool,
    String,
    Option<String>,
    bool,
);

fn parse_found_token(row: FoundTokenRow) -> Result<(TokenDigest, FoundToken)> {
    let (bytes, token_id, created_at, expires_at, person_id, workspace_id, email, name, ..) = row;
    let (.., is_admin, is_platform_admin, is_disabled, token_access, enabled, _) = row;
    let enabled = match enabled.map(|text| SettingKey::Enabled.parse_value(&text)) {
        None => None,
        Some(Some(SettingValue::Switch(on))) => Some(on),
        Some(_) => return Err(Error::corrupt("setting.value")),
    };
    let token = FoundToken {
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
        token_access: parse_token_access(&token_access)?,
        enabled,
    };
    Ok((parse_digest(&bytes)?, token))
}

fn parse_digest(bytes: &[u8]) -> Result<TokenDigest> {
    bytes.try_into().map(TokenDigest::from_bytes).map_err(|_| Error::corrupt("token.digest"))
}

struct TokenRow {
    id: Uuid,
    workspace_id: WorkspaceId,
    person_id: PersonId,
    display_prefix: String,
    description: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
    parent_id: Option<Uuid>,
}

from_row!(TokenRow {
    id,
    workspace_id,
    person_id,
    display_prefix,
    description,
    created_at,
    expires_at,
    last_used_at,
    parent_id
});

impl From<TokenRow> for Token {
    fn from(row: TokenRow) -> Self {
        Self {
            id: row.id,
            workspace_id: row.workspace_id,
            person_id: row.person_id,
            display_prefix: row.display_prefix,
            description: row.description,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            parent_id: row.parent_id,
        }
    }
}

impl Store {
    /// Returns the number of concurrent calls of [`Store::find_by_digests`] beyond which throughput
    /// does not grow.
    #[must_use]
    pub fn max_concurrent_lookups(&self) -> usize {
        match self.pool {
            Pool::Postgres(_) => 2,
            Pool::Sqlite(_) => 1,
        }
    }

    /// Reads the facts of tokens with these digests in one indexed statement: token, owner and the
    /// workspace's setting. The result omits digests without a token and revoked tokens.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached. That must not be reported
    /// as an unknown token.
    pub async fn find_by_digests(&self, digests: &[TokenDigest]) -> Result<Vec<(TokenDigest, FoundToken)>> {
        macro_rules! facts {
            ($person:literal, $condition:literal) => {
                concat!(
                    "select t.digest, t.id, t.created_at, t.expires_at, p.id, p.workspace_id, p.email, p.name, \
                     p.is_admin, p.is_platform_admin, p.is_disabled, p.token_access, (select value from setting \
                     where workspace_id = t.workspace_id and key = $2), ",
                    columns::in_doubt!(),
                    " from token t join ",
                    $person,
                    " where t.digest ",
                    $condition,
                    " and (p.tokens_revoked_before is null or t.created_at > p.tokens_revoked_before) and not exists \
                     (select 1 from workspace w where w.id = t.workspace_id and w.removed_at is not null)"
                )
            };
        }
        // Joins each person by index. The planner would otherwise scan all of a small workspace for
        // a few tokens, and it does not look past an `offset`.
        const MANY: &str = facts!(
            "lateral (select id, workspace_id, email, name, is_admin, is_platform_admin, is_disabled, token_access, \
             tokens_revoked_before from person where id = t.person_id offset 0) p on true",
            "= any($1)"
        );
        const ONE: &str = facts!("person p on p.id = t.person_id", "= $1");
        let key = SettingKey::Enabled.as_str();
        let rows: Vec<FoundTokenRow> = match &self.pool {
            Pool::Postgres(failover) => {
                let digests: Vec<&[u8]> = digests.iter().map(|digest| digest.as_bytes().as_slice()).collect();
                sqlx::query_as(MANY).bind(digests).bind(key).fetch_all(&failover.pool()).await?
            }
            // SQLite has no arrays, and no network round trips to save.
            Pool::Sqlite(pool) => {
                let mut rows = Vec::new();
                for digest in digests {
                    let bytes = digest.as_bytes().as_slice();
                    rows.extend(sqlx::query_as(ONE).bind(bytes).bind(key).fetch_optional(pool).await?);
                }
                rows
            }
        };
        let mut tokens = Vec::with_capacity(rows.len());
        for row in rows {
            let (.., in_doubt) = row;
            let (digest, token) = parse_found_token(row)?;
            if !(in_doubt && self.belongs_to_revoked_family(token.token_id).await?) {
                tokens.push((digest, token));
            }
        }
        Ok(tokens)
    }

    /// Returns true if an ancestor of the token was revoked together with its descendants.
    async fn belongs_to_revoked_family(&self, id: Uuid) -> Result<bool> {
        let statement = self.ancestry_sql();
        let count: i64 = on_pool!(self, pool => sqlx::query_scalar(statement).bind(id).fetch_one(pool).await)?;
        Ok(count > 0)
    }

    /// Finds an unrevoked token within the scope.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn find_token(&self, scope: OwnerScope, id: Uuid) -> Result<Option<Token>> {
        const SELECT: &str = "select id, workspace_id, person_id, display_prefix, description, created_at, \
             expires_at, last_used_at, parent_id from unrevoked_token where id = $1 and workspace_id = $2 and \
             person_id = coalesce($3, person_id)";
        let row: Option<TokenRow> = on_pool!(self, pool => sqlx::query_as(SELECT)
            .bind(id).bind(scope.workspace_id()).bind(scope.person_id()).fetch_optional(pool).await)?;
        Ok(row.map(Token::from))
    }
}
