//! The state of the sync with each directory.

use super::{Error, Result, Store, from_row, on_pool};
use crate::domain::{
    directory_sync::{SyncOutcome, SyncReport, SyncState},
    time::Timestamp,
};

struct Row {
    provider: String,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    succeeded_at: Option<Timestamp>,
    claimed_until: Option<Timestamp>,
    outcome: Option<String>,
    message: String,
    entries: i64,
    disabled: i64,
    enabled: i64,
    held: i64,
}

from_row!(Row {
    provider,
    started_at,
    finished_at,
    succeeded_at,
    claimed_until,
    outcome,
    message,
    entries,
    disabled,
    enabled,
    held
});

impl TryFrom<Row> for SyncState {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let parse = |name: &str| SyncOutcome::parse(name).ok_or(Error::corrupt("directory_sync.outcome"));
        Ok(Self {
            provider: row.provider,
            started_at: row.started_at,
            finished_at: row.finished_at,
            succeeded_at: row.succeeded_at,
            claimed_until: row.claimed_until,
            outcome: row.outcome.as_deref().map(parse).transpose()?,
            report: SyncReport {
                message: row.message,
                entries: row.entries,
                disabled: row.disabled,
                enabled: row.enabled,
                held: row.held,
            },
        })
    }
}

impl Store {
    /// Claims the next sync of a provider until `until`. Returns whether this node is to run it: no
    /// node runs one, and the last began before `due_before`.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn claim_directory_sync(
        &self,
        provider: &str,
        now: Timestamp,
        due_before: Timestamp,
        until: Timestamp,
    ) -> Result<bool> {
        const CLAIM: &str = "insert into directory_sync (provider, claimed_until, started_at) values ($1, $4, $2) \
             on conflict (provider) do update set claimed_until = $4, started_at = $2 \
             where (directory_sync.claimed_until is null or directory_sync.claimed_until <= $2) \
             and (directory_sync.started_at is null or directory_sync.started_at <= $3)";
        let claimed = on_pool!(self, pool => sqlx::query(CLAIM).bind(provider).bind(now).bind(due_before).bind(until)
            .execute(pool).await.map(|result| result.rows_affected()))?;
        Ok(claimed == 1)
    }

    /// Extends the claim of the sync that began at `started_at`. Returns `false` if the claim ended and
    /// another node began a sync.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn renew_directory_sync(&self, provider: &str, started_at: Timestamp, until: Timestamp) -> Result<bool> {
        const RENEW: &str = "update directory_sync set claimed_until = $3 where provider = $1 and started_at = $2 \
                             and claimed_until is not null";
        let renewed = on_pool!(self, pool => sqlx::query(RENEW).bind(provider).bind(started_at).bind(until)
            .execute(pool).await.map(|result| result.rows_affected()))?;
        Ok(renewed == 1)
    }

    /// Records the end of the sync that began at `started_at`, and releases the claim. Changes nothing
    /// if another node has begun a sync since.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn finish_directory_sync(
        &self,
        provider: &str,
        (started_at, at): (Timestamp, Timestamp),
        outcome: SyncOutcome,
        report: &SyncReport,
    ) -> Result<()> {
        const FINISH: &str = "update directory_sync set claimed_until = null, finished_at = $2, outcome = $3, \
             message = $4, entries = $5, disabled = $6, enabled = $7, held = $8, \
             succeeded_at = case when $3 = 'success' then $2 else succeeded_at end where provider = $1 and started_at = $9";
        Ok(on_pool!(self, pool => sqlx::query(FINISH).bind(provider).bind(at).bind(outcome.as_str())
            .bind(&report.message).bind(report.entries).bind(report.disabled).bind(report.enabled).bind(report.held)
            .bind(started_at).execute(pool).await.map(|_| ()))?)
    }

    /// Lists the states of all syncs.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn list_directory_syncs(&self) -> Result<Vec<SyncState>> {
        const SELECT: &str = "select provider, started_at, finished_at, succeeded_at, claimed_until, outcome, message, \
                              entries, disabled, enabled, held from directory_sync order by provider";
        let rows: Vec<Row> = on_pool!(self, pool => sqlx::query_as(SELECT).fetch_all(pool).await)?;
        rows.into_iter().map(SyncState::try_from).collect()
    }
}
