//! The chains of events: reading them whole, and cutting off what is old.

use sqlx::{
    Decode, FromRow, Postgres, Sqlite, Type,
    error::BoxDynError,
    postgres::{PgTypeInfo, PgValueRef},
    sqlite::{SqliteTypeInfo, SqliteValueRef},
};
use uuid::Uuid;

use super::{
    Error, Result, Store,
    authority::Authorized,
    events::{Done, record},
    on_pool,
};
use crate::domain::{
    audit_chain::{Entry, Link},
    event::{Act, Action, Details},
    time::Timestamp,
};

/// Where a workspace's chain ends, and what its first event that is left goes on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    pub workspace_id: i64,
    pub seq: i64,
    pub hash: Link,
    /// The last event that was removed; 0: none was.
    pub anchor_seq: i64,
    pub anchor_hash: Link,
    /// How many events are older than the chain.
    pub unchained_count: i64,
    /// The greatest id that one of them may have.
    pub unchained_id: i64,
}

/// How an event is stored, beside what its hash covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Lists show events in this order.
    pub id: i64,
    pub hash: Option<Link>,
    /// The time is a whole millisecond, as it was written.
    pub is_whole_millisecond: bool,
}

#[derive(FromRow)]
struct ChainRow {
    workspace_id: i64,
    seq: i64,
    hash: Vec<u8>,
    anchor_seq: i64,
    anchor_hash: Vec<u8>,
    unchained_count: i64,
    unchained_id: i64,
}

#[derive(FromRow)]
struct EntryRow {
    id: i64,
    seq: i64,
    at: Moment,
    actor_id: Option<i64>,
    actor: String,
    actor_token_id: Option<Uuid>,
    action: String,
    person_id: Option<i64>,
    target: String,
    label: String,
    details: String,
    address: Option<String>,
    user_agent: String,
    request_id: String,
    outcome: String,
    hash: Option<Vec<u8>>,
}

impl TryFrom<ChainRow> for Chain {
    type Error = Error;

    fn try_from(row: ChainRow) -> Result<Self> {
        let ChainRow { workspace_id, seq, anchor_seq, unchained_count, unchained_id, .. } = row;
        let (hash, anchor_hash) = (link(&row.hash)?, link(&row.anchor_hash)?);
        Ok(Self { workspace_id, seq, hash, anchor_seq, anchor_hash, unchained_count, unchained_id })
    }
}

impl EntryRow {
    fn of(self, workspace_id: i64) -> (Entry, Stored) {
        let hash = self.hash.as_deref().and_then(Link::from_bytes);
        let Moment { at, is_whole_millisecond } = self.at;
        let stored = Stored { id: self.id, hash, is_whole_millisecond };
        let entry = Entry {
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
    /// The chains of all workspaces in which something happened.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn list_chains(&self) -> Result<Vec<Chain>> {
        const SELECT: &str = "select workspace_id, seq, hash, anchor_seq, anchor_hash, unchained_count, unchained_id \
             from event_chain where workspace_id in (select id from workspace where removed_at is null) order by workspace_id";
        let rows: Vec<ChainRow> = on_pool!(self, pool => sqlx::query_as(SELECT).fetch_all(pool).await)?;
        rows.into_iter().map(Chain::try_from).collect()
    }

    /// How many events of a workspace stand outside its chain, although it had begun: they were not written by this program.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn count_outside(&self, chain: &Chain) -> Result<i64> {
        const COUNT: &str =
            "select count(*) from event where workspace_id = $1 and (seq <= $2 or (seq is null and id > $3))";
        Ok(on_pool!(self, pool => sqlx::query_scalar(COUNT).bind(chain.workspace_id).bind(chain.anchor_seq)
            .bind(chain.unchained_id).fetch_one(pool).await)?)
    }

    /// How many events of a workspace are older than its chain.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn count_unchained(&self, chain: &Chain) -> Result<i64> {
        const COUNT: &str = "select count(*) from event where workspace_id = $1 and seq is null and id <= $2";
        Ok(on_pool!(self, pool => sqlx::query_scalar(COUNT).bind(chain.workspace_id).bind(chain.unchained_id)
            .fetch_one(pool).await)?)
    }

    /// The workspaces that have no chain. Each has one from its beginning on.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn list_chainless(&self) -> Result<Vec<i64>> {
        const SELECT: &str = "select id from workspace where removed_at is null and id not in (select workspace_id from event_chain) order by id";
        Ok(on_pool!(self, pool => sqlx::query_scalar(SELECT).fetch_all(pool).await)?)
    }

    /// The events of a chain in their order, with how each is stored.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn list_entries(&self, workspace_id: i64, after_seq: i64, limit: i64) -> Result<Vec<(Entry, Stored)>> {
        const SELECT: &str = "select id, seq, at, actor_id, actor, actor_token_id, action, person_id, target, label, \
             details, address, user_agent, request_id, outcome, hash \
             from event where workspace_id = $1 and seq > $2 order by seq limit $3";
        let rows: Vec<EntryRow> = on_pool!(self, pool => sqlx::query_as(SELECT)
            .bind(workspace_id).bind(after_seq).bind(limit).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(|row| row.of(workspace_id)).collect())
    }

    /// Removes up to `most` of a workspace's oldest events, as far as all of them are from before a moment; answers how many. The
    /// chain itself says to which event it was cut, and what that event's hash was.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn prune_events(&self, workspace_id: i64, before: Timestamp, most: i64, act: &Act) -> Result<u64> {
        // Also keeps others from adding to the chain.
        const ANCHOR: &str = "update event_chain set seq = seq where workspace_id = $1 returning anchor_seq, seq";
        const KEPT: &str = "select min(seq) from event where workspace_id = $1 and seq is not null and at >= $2";
        const HASH: &str = "select hash from event where workspace_id = $1 and seq = $2";
        const DELETE: &str = "delete from event where workspace_id = $1 and seq <= $2";
        // Those from before there was a chain go, too, and are counted. What somebody else put there stays.
        const UNCHAINED: &str = "delete from event where workspace_id = $1 and seq is null and at < $2 \
             and id <= (select unchained_id from event_chain where workspace_id = $1)";
        const UNCOUNT: &str = "update event_chain set unchained_count = unchained_count - $2 where workspace_id = $1";
        // What tells of cuts alone is not cut off: it would only make place for another that tells of that.
        const OTHERS: &str = "select count(*) from event where workspace_id = $1 and seq <= $2 and action <> $3";
        const MOVE: &str = "update event_chain set anchor_seq = $2, anchor_hash = $3 where workspace_id = $1";
        on_pool!(self, pool => {
            let mut tx = pool.begin().await?;
            let anchor: Option<(i64, i64)> =
                sqlx::query_as(ANCHOR).bind(workspace_id).fetch_optional(&mut *tx).await?;
            let Some((anchor, end)) = anchor else { return Ok(0) };
            let kept: Option<i64> =
                sqlx::query_scalar(KEPT).bind(workspace_id).bind(before).fetch_one(&mut *tx).await?;
            let last = kept.map_or(end, |kept| kept - 1).min(anchor + most);
            let hash: Option<Option<Vec<u8>>> =
                sqlx::query_scalar(HASH).bind(workspace_id).bind(last).fetch_optional(&mut *tx).await?;
            // Nothing is old, or a row is missing: then what is left stays, for whoever looks into it.
            let (Some(Some(hash)), true) = (hash, last > anchor) else { return Ok(0) };
            let others: i64 = sqlx::query_scalar(OTHERS).bind(workspace_id).bind(last)
                .bind(Action::EventsPruned.as_str()).fetch_one(&mut *tx).await?;
            if others == 0 {
                return Ok(0);
            }
            let deleted = sqlx::query(DELETE).bind(workspace_id).bind(last).execute(&mut *tx).await?.rows_affected();
            let older = sqlx::query(UNCHAINED).bind(workspace_id).bind(before).execute(&mut *tx).await?.rows_affected();
            sqlx::query(UNCOUNT).bind(workspace_id).bind(i64::try_from(older).unwrap_or(0)).execute(&mut *tx).await?;
            sqlx::query(MOVE).bind(workspace_id).bind(last).bind(&hash).execute(&mut *tx).await?;
            let details = Details::default().with("upTo", last).with("hash", link(&hash)?.to_hex());
            let (action, target) = (Action::EventsPruned, last.to_string());
            let act = Authorized::without_caller(act);
            record!(tx, workspace_id, act, Done { action, person_id: None, target: &target, label: "", details });
            tx.commit().await?;
            Ok(deleted + older)
        })
    }
}

/// A time as it is stored: PostgreSQL counts microseconds, of which the hash covers the milliseconds.
struct Moment {
    at: Timestamp,
    is_whole_millisecond: bool,
}

impl Type<Postgres> for Moment {
    fn type_info() -> PgTypeInfo {
        <Timestamp as Type<Postgres>>::type_info()
    }
}

impl Decode<'_, Postgres> for Moment {
    fn decode(value: PgValueRef<'_>) -> std::result::Result<Self, BoxDynError> {
        /// Milliseconds from 1970 to 2000, from where PostgreSQL counts.
        const SINCE_1970: i64 = 946_684_800_000;
        // What is stored may be a moment that no calendar has.
        let micros = <i64 as Decode<Postgres>>::decode(value)?;
        let at = Timestamp::from_millis(micros.div_euclid(1_000).saturating_add(SINCE_1970));
        Ok(Self { at, is_whole_millisecond: micros % 1_000 == 0 })
    }
}

impl Type<Sqlite> for Moment {
    fn type_info() -> SqliteTypeInfo {
        <Timestamp as Type<Sqlite>>::type_info()
    }

    fn compatible(ty: &SqliteTypeInfo) -> bool {
        <Timestamp as Type<Sqlite>>::compatible(ty)
    }
}

impl Decode<'_, Sqlite> for Moment {
    fn decode(value: SqliteValueRef<'_>) -> std::result::Result<Self, BoxDynError> {
        Ok(Self { at: <Timestamp as Decode<Sqlite>>::decode(value)?, is_whole_millisecond: true })
    }
}

fn link(bytes: &[u8]) -> Result<Link> {
    Link::from_bytes(bytes).ok_or(Error::corrupt("event_chain.hash"))
}
