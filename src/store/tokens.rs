//! Token statements: lookups by digest and by ID. `issue` creates tokens, `replace` schedules the
//! deletion of older ones, `list` lists them,
//! `delete` and `family` delete them, and `descendants` revokes all tokens of a person and reads
//! tombstones.

use uuid::Uuid;

use super::{
    Error, Pool, Result, Store,
    columns::{self, parse_limits, parse_token_access},
    from_row, on_pool,
};
use crate::domain::{
    id::{PersonId, WorkspaceId},
    person::TokenAccess,
    setting::{SettingKey, SettingValue},
    time::Timestamp,
    token::{Replacement, Token},
    token_limits::TokenLimits,
};
use tokenward_guard::token_format::TokenDigest;

/// Column of the client address of the last use of the token `t`, null if the workspace does not record
/// addresses.
macro_rules! last_used_from {
    () => {
        "(select l.last_used_from from token l where l.id = t.id and not exists (select 1 from setting s where \
         s.workspace_id = l.workspace_id and s.key = 'tokenward.recordAddresses' and s.value = 'false')) as \
         last_used_from"
    };
}

/// Columns of [`TokenRow`] in the view `unrevoked_token`.
macro_rules! token_columns {
    () => {
        concat!(
            "t.id, t.workspace_id, t.person_id, t.display_prefix, t.description, t.created_at, t.expires_at, \
             t.last_used_at, t.parent_id, t.limits, t.deletes_at, t.replaced_by, ",
            last_used_from!()
        )
    };
}

mod bulk_delete;
mod delete;
mod descendants;
mod due_deletion;
pub(super) mod family;
mod filter;
mod idempotency;
mod issue;
mod list;
mod new_token;
mod replace;

pub use bulk_delete::BulkDeletion;
use delete::{DeletedToken, DeletedTokenWithDigest};
pub use descendants::TokenLabel;
pub use family::DeletedFamily;
pub use list::{TokenListQuery, TokenOwner};
pub use new_token::{ConsumedForm, IdempotentRequest, IssueOutcome, NewToken, Replaces, ReplayedToken};

/// Set of tokens that a method may access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerScope {
    /// The tokens of one person.
    Person { workspace_id: WorkspaceId, person_id: PersonId },
    /// The tokens of one person, and those of the service accounts of which the person is a custodian.
    Custody { workspace_id: WorkspaceId, person_id: PersonId },
    /// All tokens of a workspace.
    Workspace(WorkspaceId),
}

impl OwnerScope {
    const fn workspace_id(self) -> WorkspaceId {
        match self {
            Self::Person { workspace_id, .. } | Self::Custody { workspace_id, .. } | Self::Workspace(workspace_id) => {
                workspace_id
            }
        }
    }

    const fn person_id(self) -> Option<PersonId> {
        match self {
            Self::Person { person_id, .. } | Self::Custody { person_id, .. } => Some(person_id),
            Self::Workspace(_) => None,
        }
    }

    /// Returns the custodian whose service accounts are included.
    const fn custodian(self) -> Option<PersonId> {
        if let Self::Custody { person_id, .. } = self { Some(person_id) } else { None }
    }
}

/// Condition that a token belongs to person `$3`, if there is one, or to a service account of which
/// person `$4` is a custodian.
macro_rules! is_in_scope {
    () => {
        "(person_id = coalesce($3, person_id) \
         or person_id in (select c.service_account_id from custodian c where c.person_id = $4))"
    };
}
use is_in_scope;

/// Facts that an auth check needs about a token and its owner. They contain no decision.
#[derive(Clone, Debug)]
pub struct FoundToken {
    pub token_id: Uuid,
    pub created_at: Timestamp,
    /// When the token stops authenticating: its scheduled deletion or its expiry.
    pub ends_at: Option<Timestamp>,
    /// The token was replaced, and is deleted at `ends_at`.
    pub is_replaced: bool,
    pub limits: TokenLimits,
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
    Option<String>,
    bool,
    bool,
);

fn parse_found_token(row: FoundTokenRow) -> Result<(TokenDigest, FoundToken)> {
    let (bytes, token_id, created_at, ends_at, person_id, workspace_id, email, name, ..) = row;
    let (.., is_admin, is_platform_admin, is_disabled, token_access, enabled, limits, is_replaced, _) = row;
    let enabled = match enabled.map(|text| SettingKey::Enabled.parse_value(&text)) {
        None => None,
        Some(Some(SettingValue::Switch(on))) => Some(on),
        Some(_) => return Err(Error::corrupt("setting.value")),
    };
    let token = FoundToken {
        token_id,
        created_at,
        ends_at,
        is_replaced,
        limits: parse_limits(limits.as_deref())?,
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
    last_used_from: Option<String>,
    parent_id: Option<Uuid>,
    limits: Option<String>,
    deletes_at: Option<Timestamp>,
    replaced_by: Option<Uuid>,
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
    last_used_from,
    parent_id,
    limits,
    deletes_at,
    replaced_by
});

impl TryFrom<TokenRow> for Token {
    type Error = Error;

    fn try_from(row: TokenRow) -> Result<Self> {
        let replacement = row.replaced_by.zip(row.deletes_at);
        Ok(Self {
            id: row.id,
            workspace_id: row.workspace_id,
            person_id: row.person_id,
            display_prefix: row.display_prefix,
            description: row.description,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            last_used_from: row.last_used_from.and_then(|address| address.parse().ok()),
            parent_id: row.parent_id,
            limits: parse_limits(row.limits.as_deref())?,
            replacement: replacement.map(|(replaced_by, deletes_at)| Replacement { replaced_by, deletes_at }),
        })
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
                    "select t.digest, t.id, t.created_at, coalesce(t.deletes_at, t.expires_at), p.id, p.workspace_id, p.email, p.name, \
                     p.is_admin, p.is_platform_admin, p.is_disabled, p.token_access, (select value from setting \
                     where workspace_id = t.workspace_id and key = $2), ",
                    columns::limits!(),
                    ", t.replaced_by is not null, ",
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
            "lateral (select id, workspace_id, kind, email, name, is_admin, is_platform_admin, is_disabled, token_access, \
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
        const SELECT: &str = concat!(
            "select ",
            token_columns!(),
            " from unrevoked_token t where t.id = $1 and t.workspace_id = $2 and ",
            is_in_scope!()
        );
        let row: Option<TokenRow> = on_pool!(self, pool => sqlx::query_as(SELECT)
            .bind(id).bind(scope.workspace_id()).bind(scope.person_id()).bind(scope.custodian()).fetch_optional(pool).await)?;
        row.map(Token::try_from).transpose()
    }
}
