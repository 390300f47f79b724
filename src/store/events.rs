//! What happened. Rows are written by the methods that do it, in the same transaction; here they are read.

use sqlx::FromRow;
use uuid::Uuid;

use super::{Error, Result, Store, authority::Authorized, on_pool, on_readers};
use crate::domain::{
    audit_chain::{Entry, Link},
    event::{Act, Action, Details, Event, Origin},
    session::UserAgent,
    setting::Key,
    time::Timestamp,
};

/// What a method has done, to be written down.
pub(super) struct Done<'a> {
    pub action: Action,
    pub person_id: Option<i64>,
    pub target: &'a str,
    pub label: &'a str,
    pub details: Details,
}

/// Takes the next place in a workspace's chain; answers it with the hash before it. Whoever has it keeps the others waiting, so it
/// is the last that a transaction takes.
pub(super) const NEXT: &str = "insert into event_chain (workspace_id, seq, hash, anchor_seq, anchor_hash) \
     values ($1, 1, $2, 0, $2) on conflict (workspace_id) do update set seq = event_chain.seq + 1 returning seq, hash";

pub(super) const INSERT: &str = "insert into event \
     (workspace_id, at, actor_id, actor, actor_token_id, action, person_id, target, label, details, seq, hash, \
     address, user_agent, request_id, outcome) \
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";

pub(super) const HEAD: &str = "update event_chain set hash = $2 where workspace_id = $1";

/// Writes down what was done, in the transaction that did it.
macro_rules! record {
    ($tx:expr, $workspace_id:expr, $act:expr, $done:expr) => {
        // A match, so that what `$done` borrows lives until the row is written.
        match ($workspace_id, $act, $done) {
            (workspace_id, act, done) => {
                use crate::{domain::audit_chain::Link, store::events};
                let beginning = Link::BEGINNING;
                let (seq, before): (i64, Vec<u8>) = sqlx::query_as(events::NEXT)
                    .bind(workspace_id)
                    .bind(beginning.as_bytes().as_slice())
                    .fetch_one(&mut *$tx)
                    .await?;
                let (entry, hash) = events::next(seq, &before, workspace_id, act, &done)?;
                sqlx::query(events::INSERT)
                    .bind(workspace_id)
                    .bind(entry.at)
                    .bind(entry.actor_id)
                    .bind(&entry.actor)
                    .bind(entry.actor_token_id)
                    .bind(&entry.action)
                    .bind(entry.person_id)
                    .bind(&entry.target)
                    .bind(&entry.label)
                    .bind(&entry.details)
                    .bind(seq)
                    .bind(hash.as_bytes().as_slice())
                    .bind(&entry.address)
                    .bind(&entry.user_agent)
                    .bind(&entry.request_id)
                    .bind(&entry.outcome)
                    .execute(&mut *$tx)
                    .await?;
                sqlx::query(events::HEAD)
                    .bind(workspace_id)
                    .bind(hash.as_bytes().as_slice())
                    .execute(&mut *$tx)
                    .await?;
            }
        }
    };
}
pub(super) use record;

/// The row of what was done, and its hash.
pub(super) fn next(
    seq: i64,
    before: &[u8],
    workspace_id: i64,
    act: Authorized<'_>,
    done: &Done<'_>,
) -> Result<(Entry, Link)> {
    let entry = Entry {
        seq,
        workspace_id,
        at: act.at,
        actor_id: act.person_id,
        actor: act.name.clone(),
        actor_token_id: act.token_id,
        action: done.action.as_str().to_owned(),
        person_id: done.person_id,
        target: done.target.to_owned(),
        label: done.label.to_owned(),
        details: done.details.to_text(),
        address: act.origin.address.map(|address| address.to_string()),
        user_agent: act.origin.user_agent.as_str().to_owned(),
        request_id: act.origin.request_id.clone(),
        outcome: done.action.outcome().as_str().to_owned(),
    };
    let before = Link::from_bytes(before).ok_or(Error::corrupt("event_chain.hash"))?;
    let hash = before.then(&entry);
    Ok((entry, hash))
}

/// Which events a list shows: of a workspace, or only those about one person there; those that fit every other part that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    pub workspace_id: i64,
    pub person_id: Option<i64>,
    pub action: Option<Action>,
    /// Done by this person.
    pub actor_id: Option<i64>,
    /// Not before this moment.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
}

/// Something to be written down by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub act: Act,
    pub action: Action,
    pub person_id: Option<i64>,
    pub target: String,
    pub label: String,
    pub details: Details,
}

/// Where a part of a list, newest first, begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventStart {
    /// Behind this one: older ones.
    After(i64),
    /// Before this one: newer ones.
    Before(i64),
}

impl Default for EventStart {
    fn default() -> Self {
        Self::After(i64::MAX)
    }
}

/// A page of a list, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventPage {
    pub events: Vec<Event>,
    /// Where the next page begins; none after the last one.
    pub next: Option<EventStart>,
}

#[derive(FromRow)]
struct Row {
    id: i64,
    seq: Option<i64>,
    at: Timestamp,
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
}

impl Row {
    /// None for what a newer program has written and this one does not know.
    fn into_event(self) -> Option<Event> {
        let origin = Origin {
            address: self.address.and_then(|text| text.parse().ok()),
            user_agent: UserAgent::of(&self.user_agent),
            request_id: self.request_id,
            ..Origin::default()
        };
        let act =
            Act { at: self.at, person_id: self.actor_id, name: self.actor, token_id: self.actor_token_id, origin };
        let (action, details) = (Action::parse(&self.action)?, Details::parse(&self.details));
        let Self { id, seq, person_id, target, label, .. } = self;
        Some(Event { id, seq, act, action, person_id, target, label, details })
    }
}

macro_rules! columns {
    () => {
        "id, seq, at, actor_id, actor, actor_token_id, action, person_id, target, label, details, address, user_agent, request_id"
    };
}

/// The list; a person's own part by that part's index.
macro_rules! list {
    ($whose:literal, $comparison:literal, $order:literal) => {
        concat!(
            "select ",
            columns!(),
            " from event where workspace_id = $1 and ",
            $whose,
            " and id ",
            $comparison,
            " $3 and (cast($5 as text) is null or action = $5) and (cast($6 as bigint) is null or actor_id = $6) \
             and at >= $7 and at < $8 order by id",
            $order,
            " limit $4"
        )
    };
}

impl Store {
    /// Lists events, newest first whichever way the part lies.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn list_events(&self, filter: &EventFilter, start: EventStart, limit: i64) -> Result<Vec<Event>> {
        let rows = self.event_rows(filter, start, limit).await?;
        let mut events: Vec<Event> = rows.into_iter().filter_map(Row::into_event).collect();
        if matches!(start, EventStart::Before(_)) {
            events.reverse();
        }
        Ok(events)
    }

    /// Reads a page of events, newest first, that begins after an event.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn list_event_page(&self, filter: &EventFilter, after: i64, limit: i64) -> Result<EventPage> {
        let rows = self.event_rows(filter, EventStart::After(after), limit).await?;
        let is_full = i64::try_from(rows.len()).is_ok_and(|count| count == limit);
        // By the rows and not by the events: a row that a newer program wrote ends no list.
        let next = rows.last().filter(|_| is_full).map(|last| EventStart::After(last.id));
        Ok(EventPage { events: rows.into_iter().filter_map(Row::into_event).collect(), next })
    }

    async fn event_rows(&self, filter: &EventFilter, start: EventStart, limit: i64) -> Result<Vec<Row>> {
        let (statement, mark) = match (filter.person_id, start) {
            (Some(_), EventStart::After(mark)) => (list!("person_id = $2", "<", " desc"), mark),
            (Some(_), EventStart::Before(mark)) => (list!("person_id = $2", ">", ""), mark),
            (None, EventStart::After(mark)) => (list!("cast($2 as bigint) is null", "<", " desc"), mark),
            (None, EventStart::Before(mark)) => (list!("cast($2 as bigint) is null", ">", ""), mark),
        };
        Ok(on_readers!(self, pool => sqlx::query_as(statement)
            .bind(filter.workspace_id).bind(filter.person_id).bind(mark).bind(limit)
            .bind(filter.action.map(Action::as_str)).bind(filter.actor_id)
            .bind(filter.since.unwrap_or(Timestamp::FIRST)).bind(filter.until.unwrap_or(Timestamp::LAST))
            .fetch_all(pool).await)?)
    }

    /// Writes down what no other method does: somebody who was refused.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn record(&self, workspace_id: i64, told: &Told) -> Result<()> {
        let done = Done {
            action: told.action,
            person_id: told.person_id,
            target: &told.target,
            label: &told.label,
            details: told.details.clone(),
        };
        on_pool!(self, pool => {
            let mut tx = pool.begin().await?;
            record!(tx, workspace_id, Authorized::without_caller(&told.act), done);
            tx.commit().await?;
        });
        Ok(())
    }

    /// The last change of a setting that is written down.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn find_setting_change(&self, workspace_id: i64, key: Key) -> Result<Option<Event>> {
        const SELECT: &str = concat!(
            "select ",
            columns!(),
            " from event where workspace_id = $1 and action = $2 and target = $3 order by id desc limit 1"
        );
        let row: Option<Row> = on_pool!(self, pool => sqlx::query_as(SELECT)
            .bind(workspace_id).bind(Action::SettingChanged.as_str()).bind(key.as_str()).fetch_optional(pool).await)?;
        row.map(|row| row.into_event().ok_or(Error::corrupt("event.action"))).transpose()
    }
}
