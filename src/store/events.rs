//! What happened. Rows are written by the methods that do it, in the same transaction; here they are read.

use sqlx::FromRow;
use uuid::Uuid;

use super::{Error, Result, Store, on_pool};
use crate::domain::{
    event::{Act, Action, Event},
    setting::Key,
    time::Timestamp,
};

/// What a method has done, to be written down.
pub(super) struct Done<'a> {
    pub action: Action,
    pub person_id: Option<i64>,
    pub target: &'a str,
    pub label: &'a str,
    pub details: &'a str,
}

pub(super) const INSERT: &str = "insert into event \
     (workspace_id, at, actor_id, actor, actor_token_id, action, person_id, target, label, details) \
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

/// Writes down what was done, in the transaction that did it.
macro_rules! record {
    ($tx:expr, $workspace_id:expr, $act:expr, $done:expr) => {
        // A match, so that what `$done` borrows lives until the row is written.
        match ($act, $done) {
            (act, done) => {
                sqlx::query(crate::store::events::INSERT)
                    .bind($workspace_id)
                    .bind(act.at)
                    .bind(act.person_id)
                    .bind(&act.name)
                    .bind(act.token_id)
                    .bind(done.action.as_str())
                    .bind(done.person_id)
                    .bind(done.target)
                    .bind(done.label)
                    .bind(done.details)
                    .execute(&mut *$tx)
                    .await?
            }
        }
    };
}
pub(super) use record;

/// Which events a list shows: of a workspace, or only those about one person there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventFilter {
    pub workspace_id: i64,
    pub person_id: Option<i64>,
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

#[derive(FromRow)]
struct Row {
    id: i64,
    at: Timestamp,
    actor_id: Option<i64>,
    actor: String,
    actor_token_id: Option<Uuid>,
    action: String,
    person_id: Option<i64>,
    target: String,
    label: String,
    details: String,
}

impl Row {
    /// None for what a newer program has written and this one does not know.
    fn into_event(self) -> Option<Event> {
        let act = Act { at: self.at, person_id: self.actor_id, name: self.actor, token_id: self.actor_token_id };
        let Self { id, person_id, target, label, details, .. } = self;
        Some(Event { id, act, action: Action::parse(&self.action)?, person_id, target, label, details })
    }
}

macro_rules! columns {
    () => {
        "id, at, actor_id, actor, actor_token_id, action, person_id, target, label, details"
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
            " $3 order by id",
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
    pub async fn list_events(&self, filter: EventFilter, start: EventStart, limit: i64) -> Result<Vec<Event>> {
        let (statement, mark) = match (filter.person_id, start) {
            (Some(_), EventStart::After(mark)) => (list!("person_id = $2", "<", " desc"), mark),
            (Some(_), EventStart::Before(mark)) => (list!("person_id = $2", ">", ""), mark),
            (None, EventStart::After(mark)) => (list!("cast($2 as bigint) is null", "<", " desc"), mark),
            (None, EventStart::Before(mark)) => (list!("cast($2 as bigint) is null", ">", ""), mark),
        };
        let rows: Vec<Row> = on_pool!(self, pool => sqlx::query_as(statement)
            .bind(filter.workspace_id).bind(filter.person_id).bind(mark).bind(limit).fetch_all(pool).await)?;
        let mut events: Vec<Event> = rows.into_iter().filter_map(Row::into_event).collect();
        if matches!(start, EventStart::Before(_)) {
            events.reverse();
        }
        Ok(events)
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
