//! Repeated requests with an `Idempotency-Key`. The record of a request is written with its token.

use uuid::Uuid;

use super::new_token::{IdempotentRequest, IssueOutcome, NewToken, ReplayedToken};
use crate::{
    domain::{
        time::Timestamp,
        token::{IssueError, Token},
    },
    store::{Result, Store, columns, from_row, on_pool},
};

/// Time in which a repeated request gets the same response.
pub(in crate::store) const IDEMPOTENCY_WINDOW_SECONDS: i64 = 600;

pub(in crate::store) struct IdempotencyRow {
    body_digest: Vec<u8>,
    encrypted_value: Vec<u8>,
    pub(in crate::store) token_id: Uuid,
    display_prefix: String,
    description: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    /// 1 if the token is not revoked, else 0.
    unrevoked_count: i64,
}

from_row!(IdempotencyRow {
    body_digest,
    encrypted_value,
    token_id,
    display_prefix,
    description,
    created_at,
    expires_at,
    unrevoked_count
});

/// Limits of a token whose creation is repeated. They never change.
pub(in crate::store) const SELECT_LIMITS: &str =
    concat!("select ", columns::limits!(), " from token t where t.id = $1");
pub(in crate::store) const DELETE_EXPIRED_RECORD: &str =
    "delete from idempotency_record where key_digest = $1 and created_at <= $2";
pub(in crate::store) const SELECT_RECORD: &str = "select body_digest, encrypted_value, token_id, display_prefix, description, created_at, \
     expires_at, (select count(*) from unrevoked_token where id = idempotency_record.token_id) as unrevoked_count \
     from idempotency_record where key_digest = $1";
pub(in crate::store) const INSERT_RECORD: &str = "insert into idempotency_record (key_digest, body_digest, person_id, encrypted_value, \
     token_id, display_prefix, description, created_at, expires_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/// Inserts the record if the request has a key.
macro_rules! insert {
    ($tx:expr, $new:expr, $token:expr) => {
        if let Some(request) = &$new.idempotency {
            sqlx::query($crate::store::tokens::idempotency::INSERT_RECORD)
                .bind(request.key_digest.as_slice())
                .bind(request.body_digest.as_slice())
                .bind($token.person_id)
                .bind(&request.encrypted_value)
                .bind($token.id)
                .bind(&$token.display_prefix)
                .bind(&$token.description)
                .bind($token.created_at)
                .bind($token.expires_at)
                .execute(&mut *$tx)
                .await?;
        }
    };
}
pub(super) use insert;

/// Returns the result of the earlier request with the same `Idempotency-Key`, if there was one.
macro_rules! replay {
    ($tx:expr, $new:expr, $now:expr) => {
        match &$new.idempotency {
            None => None,
            Some(request) => {
                let key = request.key_digest.as_slice();
                let expired_by = $now.plus_seconds(-$crate::store::tokens::idempotency::IDEMPOTENCY_WINDOW_SECONDS);
                sqlx::query($crate::store::tokens::idempotency::DELETE_EXPIRED_RECORD)
                    .bind(key)
                    .bind(expired_by)
                    .execute(&mut *$tx)
                    .await?;
                let record: Option<$crate::store::tokens::idempotency::IdempotencyRow> =
                    sqlx::query_as($crate::store::tokens::idempotency::SELECT_RECORD)
                        .bind(key)
                        .fetch_optional(&mut *$tx)
                        .await?;
                match record {
                    None => None,
                    Some(record) => {
                        let limits: Option<Option<String>> =
                            sqlx::query_scalar($crate::store::tokens::idempotency::SELECT_LIMITS)
                                .bind(record.token_id)
                                .fetch_optional(&mut *$tx)
                                .await?;
                        Some(record.replay($new, request, limits.flatten().as_deref())?)
                    }
                }
            }
        }
    };
}
pub(super) use replay;

impl Store {
    /// Deletes the idempotency records that have expired. Returns their number.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be
    /// reached or does not respond in time.
    pub async fn purge_idempotency_records(&self, now: Timestamp) -> Result<u64> {
        const DELETE: &str = "delete from idempotency_record where created_at <= $1";
        Ok(on_pool!(self, pool => sqlx::query(DELETE).bind(now.plus_seconds(-IDEMPOTENCY_WINDOW_SECONDS))
            .execute(pool).await.map(|result| result.rows_affected()))?)
    }
}

impl IdempotencyRow {
    /// Returns the token of the earlier request. `limits` is the column of its row.
    pub(super) fn replay(
        self,
        new: &NewToken,
        request: &IdempotentRequest,
        limits: Option<&str>,
    ) -> Result<std::result::Result<IssueOutcome, IssueError>> {
        if self.body_digest != request.body_digest {
            return Ok(Err(IssueError::IdempotencyKeyReused));
        }
        if self.unrevoked_count == 0 {
            return Ok(Err(IssueError::IdempotentTokenDeleted));
        }
        let token = Token {
            id: self.token_id,
            workspace_id: new.workspace_id,
            person_id: new.person_id,
            display_prefix: self.display_prefix,
            description: self.description,
            created_at: self.created_at,
            expires_at: self.expires_at,
            last_used_at: None,
            last_used_from: None,
            parent_id: new.mutation.context.token_id,
            trust_rule_id: None,
            limits: columns::parse_limits(limits)?,
            replacement: None,
        };
        Ok(Ok(IssueOutcome::Replayed(ReplayedToken { token, encrypted_value: self.encrypted_value })))
    }
}
