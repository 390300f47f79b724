//! Audit chains: reading them completely, and pruning old events.

use sqlx::{
    Decode, Postgres, Sqlite, Type,
    error::BoxDynError,
    postgres::{PgTypeInfo, PgValueRef},
    sqlite::{SqliteTypeInfo, SqliteValueRef},
};
use uuid::Uuid;

use super::{
    Error, Result, Store,
    authority::Authorized,
    events::{EventDraft, record},
    from_row, on_pool,
};
use crate::domain::{
    audit_chain::{AuditEntry, EntryHash},
    event::{Action, AuditContext, Details},
    id::{PersonId, WorkspaceId},
    time::Timestamp,
};

/// State of a workspace's chain: its head, and the anchor from which its oldest remaining event
/// continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditChain {
    pub workspace_id: WorkspaceId,
    pub seq: i64,
    pub hash: EntryHash,
    /// Sequence number of the last pruned event; 0 if none was pruned.
    pub anchor_seq: i64,
    pub anchor_hash: EntryHash,
}

/// Stored columns of an event that its hash does not cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// Position of the event in lists.
    pub id: i64,
    pub hash: Option<EntryHash>,
    /// True if the stored time is a whole millisecond, as this program writes it.
    pub is_whole_millisecond: bool,
}

struct ChainRow {
    workspace_id: WorkspaceId,
    seq: i64,
    hash: Vec<u8>,
    anchor_seq: i64,
    anchor_hash: Vec<u8>,
}

from_row!(ChainRow { workspace_id, seq, hash, anchor_seq, anchor_hash });

struct EntryRow {
    id: i64,
    seq: i64,
    occurred_at: StoredTimestamp,
    actor_id: Option<PersonId>,
    actor: String,
    actor_token_id: Option<Uuid>,
    action: String,
    person_id: Option<PersonId>,
    target: String,
    label: String,
    details: String,
    address: Option<String>,
    user_agent: String,
    request_id: String,
    outcome: String,
    hash: Option<Vec<u8>>,
}

from_row!(EntryRow {
    id,
    seq,
    occurred_at,
    actor_id,
    actor,
    actor_token_id,
    action,
    person_id,
    target,
    label,
    details,
    address,
    user_agent,
    request_id,
    outcome,
    hash
});

impl TryFrom<ChainRow> for AuditChain {
    type Error = Error;

    fn try_from(row: ChainRow) -> Result<Self> {
        let ChainRow { workspace_id, seq, anchor_seq, .. } = row;
        let hash = parse_hash(&row.hash)?;
        let anchor_hash = parse_hash(&row.anchor_hash)?;
        Ok(Self { workspace_id, seq, hash, anchor_seq, anchor_hash })
    }
}

impl EntryRow {
    fn into_entry(self, workspace_id: WorkspaceId) -> (AuditEntry, StoredEntry) {
        let hash = self.hash.as_deref().and_then(EntryHash::from_bytes);
        let StoredTimestamp { at, is_whole_millisecond } = self.occurred_at;
        let stored = StoredEntry { id: self.id, hash, is_whole_millisecond };
        let entry = AuditEntry {
            seq: self.seq,
            workspace_id,
            at,
            actor_id: self.actor_id,
            actor: self.actor,
            actor_token_id: self.actor_token_id,
            action: self.action,
            person_id: self.person_id,
            target: self.target,
            label: self.label,
            details: self.details,
            address: self.address,
            user_agent: self.user_agent,
            request_id: self.request_id,
            outcome: self.outcome,
        };
        (entry, stored)
    }
}

impl Store {
    /// Lists the chains of all workspaces that have events.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached, and [`Error::Corrupt`] if
    /// a stored hash is invalid.
    pub async fn list_chains(&self) -> Result<Vec<AuditChain>> {
        const SELECT: &str = "select workspace_id, seq, hash, anchor_seq, anchor_hash from event_chain where \
             workspace_id in (select id from workspace where removed_at is null) order by workspace_id";
        let rows: Vec<ChainRow> = on_pool!(self, pool => sqlx::query_as(SELECT).fetch_all(pool).await)?;
        rows.into_iter().map(AuditChain::try_from).collect()
    }

    /// Counts the events of a workspace that precede the anchor of its chain. Pruning leaves none.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn count_events_before_anchor(&self, chain: &AuditChain) -> Result<i64> {
        const COUNT: &str = "select count(*) from event where workspace_id = $1 and seq <= $2";
        Ok(on_pool!(self, pool => sqlx::query_scalar(COUNT).bind(chain.workspace_id).bind(chain.anchor_seq)
            .fetch_one(pool).await)?)
    }

    /// Lists the workspaces without a chain. Every workspace has one from its creation on.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn list_workspaces_without_chain(&self) -> Result<Vec<WorkspaceId>> {
        const SELECT: &str = "select id from workspace where removed_at is null and id not in (select workspace_id \
             from event_chain) order by id";
        Ok(on_pool!(self, pool => sqlx::query_scalar(SELECT).fetch_all(pool).await)?)
    }

    /// Lists the events of a chain in their order, with their stored columns.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn list_entries(
        &self,
        workspace_id: WorkspaceId,
        after_seq: i64,
        limit: i64,
    ) -> Result<Vec<(AuditEntry, StoredEntry)>> {
        const SELECT: &str = "select id, seq, occurred_at, actor_id, actor, actor_token_id, action, person_id, \
             target, label, details, address, user_agent, request_id, outcome, hash from event where workspace_id = \
             $1 and seq > $2 order by seq limit $3";
        let rows: Vec<EntryRow> = on_pool!(self, pool => sqlx::query_as(SELECT)
            .bind(workspace_id).bind(after_seq).bind(limit).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(|row| row.into_entry(workspace_id)).collect())
    }

    /// Deletes up to `limit` of a workspace's oldest events, as far as all of them are older than
    /// `before`. Returns their number. The anchor of the chain then holds the sequence number and
    /// the hash of the last pruned event.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached, and [`Error::Corrupt`] if
    /// a stored hash is invalid.
    pub async fn prune_events(
        &self,
        workspace_id: WorkspaceId,
        before: Timestamp,
        limit: i64,
        context: &AuditContext,
    ) -> Result<u64> {
        // Also locks the chain, so that no event is appended meanwhile.
        const LOCK_CHAIN: &str = "update event_chain set seq = seq where workspace_id = $1 returning anchor_seq, seq";
        const FIRST_KEPT: &str = "select min(seq) from event where workspace_id = $1 and occurred_at >= $2";
        const SELECT_HASH: &str = "select hash from event where workspace_id = $1 and seq = $2";
        const DELETE: &str = "delete from event where workspace_id = $1 and seq <= $2";
        // Events that only record pruning are not pruned alone, because that would append another
        // one.
        const COUNT_OTHERS: &str = "select count(*) from event where workspace_id = $1 and seq <= $2 and action <> $3";
        const MOVE_ANCHOR: &str = "update event_chain set anchor_seq = $2, anchor_hash = $3 where workspace_id = $1";
        on_pool!(self, pool => {
            let mut tx = pool.begin().await?;
            let anchor: Option<(i64, i64)> =
                sqlx::query_as(LOCK_CHAIN).bind(workspace_id).fetch_optional(&mut *tx).await?;
            let Some((anchor_seq, head_seq)) = anchor else { return Ok(0) };
            let first_kept: Option<i64> =
                sqlx::query_scalar(FIRST_KEPT).bind(workspace_id).bind(before).fetch_one(&mut *tx).await?;
            let last_pruned = first_kept.map_or(head_seq, |seq| seq - 1).min(anchor_seq + limit);
            let hash: Option<Option<Vec<u8>>> =
                sqlx::query_scalar(SELECT_HASH).bind(workspace_id).bind(last_pruned).fetch_optional(&mut *tx).await?;
            // Nothing is old enough, or a row is missing. In the second case the rest stays for an
            // investigation.
            let (Some(Some(hash)), true) = (hash, last_pruned > anchor_seq) else { return Ok(0) };
            let other_events: i64 = sqlx::query_scalar(COUNT_OTHERS).bind(workspace_id).bind(last_pruned)
                .bind(Action::EventsPruned.as_str()).fetch_one(&mut *tx).await?;
            if other_events == 0 {
                return Ok(0);
            }
            let deleted =
                sqlx::query(DELETE).bind(workspace_id).bind(last_pruned).execute(&mut *tx).await?.rows_affected();
            sqlx::query(MOVE_ANCHOR).bind(workspace_id).bind(last_pruned).bind(&hash).execute(&mut *tx).await?;
            let details = Details::default().with("upTo", last_pruned).with("hash", parse_hash(&hash)?.to_hex());
            let target = last_pruned.to_string();
            let action = Action::EventsPruned;
            let context = Authorized::without_caller(context);
            let event = EventDraft { action, person_id: None, target: &target, label: "", details };
            record!(tx, workspace_id, context, event);
            tx.commit().await?;
            Ok(deleted)
        })
    }
}

/// Stored time of an event. PostgreSQL has microseconds, of which the hash covers the milliseconds.
struct StoredTimestamp {
    at: Timestamp,
    is_whole_millisecond: bool,
}

impl Type<Postgres> for StoredTimestamp {
    fn type_info() -> PgTypeInfo {
        <Timestamp as Type<Postgres>>::type_info()
    }
}

impl Decode<'_, Postgres> for StoredTimestamp {
    fn decode(value: PgValueRef<'_>) -> std::result::Result<Self, BoxDynError> {
        /// Milliseconds from 1970 to 2000, the epoch of PostgreSQL.
        const SINCE_1970: i64 = 946_684_800_000;
        // Decoded by hand, because the stored value may be outside of the calendar's range.
        let micros = <i64 as Decode<Postgres>>::decode(value)?;
        let at = Timestamp::from_millis(micros.div_euclid(1_000).saturating_add(SINCE_1970));
        Ok(Self { at, is_whole_millisecond: micros % 1_000 == 0 })
    }
}

impl Type<Sqlite> for StoredTimestamp {
    fn type_info() -> SqliteTypeInfo {
        <Timestamp as Type<Sqlite>>::type_info()
    }

    fn compatible(ty: &SqliteTypeInfo) -> bool {
        <Timestamp as Type<Sqlite>>::compatible(ty)
    }
}

impl Decode<'_, Sqlite> for StoredTimestamp {
    fn decode(value: SqliteValueRef<'_>) -> std::result::Result<Self, BoxDynError> {
        Ok(Self { at: <Timestamp as Decode<Sqlite>>::decode(value)?, is_whole_millisecond: true })
    }
}

fn parse_hash(bytes: &[u8]) -> Result<EntryHash> {
    EntryHash::from_bytes(bytes).ok_or(Error::corrupt("event_chain.hash"))
}
