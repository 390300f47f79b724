//! Replacement of a token by a newer one: the older token is deleted after a grace period.

use uuid::Uuid;

use super::parse_digest;
use crate::{
    domain::{
        event::Details,
        time::Timestamp,
        token::{GracePeriod, IssueError, Lifetime},
        token_limits::TokenLimits,
    },
    store::{Result, Store, columns::parse_limits, from_row},
};
use tokenward_guard::token_format::TokenDigest;

/// Columns of a token that is replaced.
pub(super) struct ReplacedRow {
    digest: Vec<u8>,
    display_prefix: String,
    description: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    limits: Option<String>,
    replaced_by: Option<Uuid>,
}

from_row!(ReplacedRow { digest, display_prefix, description, created_at, expires_at, limits, replaced_by });

/// Token that is replaced.
pub(super) struct ReplacedToken {
    digest: Vec<u8>,
    pub(super) display_prefix: String,
    pub(super) description: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    pub(super) limits: TokenLimits,
}

pub(super) const SELECT_REPLACED: &str = "select digest, display_prefix, description, created_at, expires_at, limits, \
     replaced_by from unrevoked_token where id = $1 and workspace_id = $2 and person_id = $3";
pub(super) const SCHEDULE: &str =
    "update token set deletes_at = $2, replaced_by = $3 where id = $1 and replaced_by is null";
pub(super) const DELETE: &str = "delete from token where id = $1";

/// Finds the token that `$new` replaces, in its transaction.
macro_rules! find {
    ($tx:expr, $new:expr, $replaces:expr) => {{
        let row: Option<replace::ReplacedRow> = sqlx::query_as(replace::SELECT_REPLACED)
            .bind($replaces.token_id)
            .bind($new.workspace_id)
            .bind($new.person_id)
            .fetch_optional(&mut *$tx)
            .await?;
        replace::ReplacedToken::from_row(row, $new.mutation.context.at)?
    }};
}
pub(super) use find;

/// Schedules the deletion of the replaced token, or deletes it if there is no grace period. Evaluates to
/// the draft of the event. No event is recorded before: the end of the chain is the last lock that a
/// transaction takes.
macro_rules! schedule {
    ($tx:expr, $new:expr, $replaces:expr, $replaced:expr, $target:expr) => {{
        let deletes_at = $replaced.deletes_at($new.mutation.context.at, $replaces.grace);
        let statement = match deletes_at {
            Some(deletes_at) => sqlx::query(replace::SCHEDULE).bind($replaces.token_id).bind(deletes_at).bind($new.id),
            None => sqlx::query(replace::DELETE).bind($replaces.token_id),
        };
        // A statement that deletes single tokens may have taken the row meanwhile.
        if statement.execute(&mut *$tx).await?.rows_affected() == 0 {
            return Ok(Committed::unchanged(Err(IssueError::ReplacedTokenNotFound)));
        }
        EventDraft {
            action: if deletes_at.is_some() { Action::TokenReplaced } else { Action::TokenDeleted },
            person_id: Some($new.person_id),
            target: $target,
            label: &$replaced.display_prefix,
            details: $replaced.details(deletes_at, $new.id),
        }
    }};
}
pub(super) use schedule;

impl ReplacedToken {
    /// Checks that a token can be replaced at a time. The outer error is a corrupt row.
    pub(super) fn from_row(row: Option<ReplacedRow>, now: Timestamp) -> Result<std::result::Result<Self, IssueError>> {
        let Some(row) = row else { return Ok(Err(IssueError::ReplacedTokenNotFound)) };
        if row.replaced_by.is_some() {
            return Ok(Err(IssueError::AlreadyReplaced));
        }
        if row.expires_at.is_some_and(|expires_at| now >= expires_at) {
            return Ok(Err(IssueError::ReplacedTokenExpired));
        }
        let limits = parse_limits(row.limits.as_deref())?;
        let ReplacedRow { digest, display_prefix, description, created_at, expires_at, .. } = row;
        Ok(Ok(Self { digest, display_prefix, description, created_at, expires_at, limits }))
    }

    /// Returns the digest.
    pub(super) fn digest(&self) -> Result<TokenDigest> {
        parse_digest(&self.digest)
    }

    /// Returns the lifetime that the token was created with, rounded down to seconds.
    pub(super) fn lifetime(&self) -> Lifetime {
        match self.expires_at {
            None => Lifetime::Forever,
            Some(end) => Lifetime::Seconds((end.as_millis() - self.created_at.as_millis()) / 1_000),
        }
    }

    /// Returns when the token is deleted, at its expiry at the latest. `None`: at once.
    pub(super) fn deletes_at(&self, now: Timestamp, grace: GracePeriod) -> Option<Timestamp> {
        let scheduled = grace.ends_at(now)?;
        Some(self.expires_at.map_or(scheduled, |expires_at| expires_at.min(scheduled)))
    }

    pub(super) fn details(&self, deletes_at: Option<Timestamp>, replaced_by: Uuid) -> Details {
        Details::default()
            .with_some("description", Some(self.description.as_str()).filter(|text| !text.is_empty()))
            .with("replacedBy", replaced_by.to_string())
            .with_some("deletesAt", deletes_at.map(|time| time.to_string()))
    }
}

impl Store {
    /// Returns the statement that counts the nodes that would ignore limits and scheduled deletions of
    /// tokens; `None` on SQLite, which has one process.
    pub(super) fn older_nodes_sql(&self) -> Option<&'static str> {
        self.cluster().map(|_| "select count(*) from node where schema_version < 10")
    }
}
