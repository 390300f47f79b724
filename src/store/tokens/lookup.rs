//! Lookup of tokens by digest, for auth checks.

use sqlx::Row as _;
use uuid::Uuid;

use super::parse_digest;
use crate::{
    domain::{
        id::{PersonId, WorkspaceId},
        person::TokenAccess,
        reaffirmation::ProviderSignIn,
        setting::{SettingKey, SettingValue},
        time::Timestamp,
        token_limits::TokenLimits,
    },
    store::{
        Error, Pool, Result, Store,
        columns::{self, parse_limits, parse_token_access},
        on_pool,
    },
};
use tokenward_guard::token_format::TokenDigest;

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
    /// Last sign-in of a person who signs in through an identity provider only.
    pub provider_sign_in: Option<ProviderSignIn>,
}

/// Columns of [`Store::find_by_digests`], by position, because looking them up by name would double
/// the cost of a row.
struct FoundTokenRow {
    facts: FoundTokenColumns,
    provider: Option<String>,
    signed_in_at: Option<Timestamp>,
}

/// The first columns. A tuple has 16 at most.
type FoundTokenColumns = (
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

macro_rules! found_token_row {
    ($($source:ty),*) => {
        $(impl<'r> sqlx::FromRow<'r, $source> for FoundTokenRow {
            fn from_row(row: &'r $source) -> sqlx::Result<Self> {
                let facts = FoundTokenColumns::from_row(row)?;
                Ok(Self { facts, provider: row.try_get(16)?, signed_in_at: row.try_get(17)? })
            }
        })*
    };
}
found_token_row!(sqlx::postgres::PgRow, sqlx::sqlite::SqliteRow);

fn parse_found_token(row: FoundTokenRow) -> Result<(TokenDigest, FoundToken)> {
    let FoundTokenRow { facts, provider, signed_in_at } = row;
    let (bytes, token_id, created_at, ends_at, person_id, workspace_id, email, name, ..) = facts;
    let (.., is_admin, is_platform_admin, is_disabled, token_access, enabled, limits, is_replaced, _) = facts;
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
        provider_sign_in: provider.zip(signed_in_at).map(|(provider, at)| ProviderSignIn { provider, at }),
    };
    Ok((parse_digest(&bytes)?, token))
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
                    columns::provider_sign_in!(),
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
            "lateral (select id, workspace_id, kind, password_hash, email, name, is_admin, is_platform_admin, is_disabled, token_access, \
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
            let (.., in_doubt) = row.facts;
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
}
