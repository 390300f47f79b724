//! Audit log: appending events to the hash chain, and reading them. A mutation appends its event in
//! its own transaction.

use uuid::Uuid;

use super::{Error, Result, Store, authority::Authorized, from_row, on_pool, on_readers};
use crate::domain::{
    audit_chain::{AuditEntry, EntryHash},
    event::{Action, AuditContext, Details, Event, RequestContext},
    id::{PersonId, WorkspaceId},
    session::UserAgent,
    setting::SettingKey,
    time::Timestamp,
};

/// Content of an event that a method appends.
pub(super) struct EventDraft<'a> {
    pub action: Action,
    pub person_id: Option<PersonId>,
    pub target: &'a str,
    pub label: &'a str,
    pub details: Details,
}

/// Takes the next sequence number of a workspace's chain and returns it with the previous hash. The
/// row stays locked until the transaction ends, so this is the last lock that a transaction takes.
pub(super) const NEXT_SEQ: &str = "insert into event_chain (workspace_id, seq, hash, anchor_seq, anchor_hash) \
     values ($1, 1, $2, 0, $2) on conflict (workspace_id) do update set seq = event_chain.seq + 1 returning seq, hash";

/// Beginning of the statement that appends events: the columns, in the order in which they are bound.
macro_rules! insert_into_event {
    () => {
        "insert into event (workspace_id, occurred_at, actor_id, actor, actor_token_id, action, person_id, target, \
         label, details, seq, hash, address, user_agent, request_id, outcome) "
    };
}
pub(super) use insert_into_event;

pub(super) const INSERT_EVENT: &str =
    concat!(insert_into_event!(), "values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)");

pub(super) const UPDATE_HEAD: &str = "update event_chain set hash = $2 where workspace_id = $1";

/// Appends an event to the audit log, in the transaction of the operation.
macro_rules! record {
    ($tx:expr, $workspace_id:expr, $context:expr, $event:expr) => {
        // A `match`, so that the temporaries borrowed by the draft live until the row is written.
        match ($workspace_id, &$context, $event) {
            (workspace_id, context, event) => {
                use crate::{domain::audit_chain::EntryHash, store::events};
                let genesis = EntryHash::GENESIS;
                let (seq, previous_hash): (i64, Vec<u8>) = sqlx::query_as(events::NEXT_SEQ)
                    .bind(workspace_id)
                    .bind(genesis.as_bytes().as_slice())
                    .fetch_one(&mut *$tx)
                    .await?;
                let (entry, hash) = events::chained_entry(seq, &previous_hash, workspace_id, context, &event)?;
                sqlx::query(events::INSERT_EVENT)
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
                sqlx::query(events::UPDATE_HEAD)
                    .bind(workspace_id)
                    .bind(hash.as_bytes().as_slice())
                    .execute(&mut *$tx)
                    .await?;
            }
        }
    };
}
pub(super) use record;

/// Returns the entry of an event, and its hash.
pub(super) fn chained_entry(
    seq: i64,
    previous_hash: &[u8],
    workspace_id: WorkspaceId,
    context: &Authorized<'_>,
    event: &EventDraft<'_>,
) -> Result<(AuditEntry, EntryHash)> {
    let entry = AuditEntry {
        seq,
        workspace_id,
        at: context.at,
        actor_id: context.actor_id,
        actor: context.actor_name.clone(),
        actor_token_id: context.token_id,
        action: event.action.as_str().to_owned(),
        person_id: event.person_id,
        target: event.target.to_owned(),
        label: event.label.to_owned(),
        details: event.details.to_json_string(),
        address: context.request.client_ip.map(|address| address.to_string()),
        user_agent: context.request.user_agent.as_str().to_owned(),
        request_id: context.request.request_id.clone(),
        outcome: event.action.outcome().as_str().to_owned(),
    };
    let previous_hash = EntryHash::from_bytes(previous_hash).ok_or(Error::corrupt("event_chain.hash"))?;
    let hash = previous_hash.hash_next(&entry);
    Ok((entry, hash))
}

/// Conditions on listed events of a workspace. `None` matches everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFilter {
    pub workspace_id: WorkspaceId,
    pub person_id: Option<PersonId>,
    pub action: Option<Action>,
    /// Person who caused the event.
    pub actor_id: Option<PersonId>,
    /// Token that the event concerns or was caused with.
    pub token_id: Option<Uuid>,
    /// Inclusive lower bound.
    pub since: Option<Timestamp>,
    /// Exclusive upper bound.
    pub until: Option<Timestamp>,
}

impl EventFilter {
    /// Creates a filter that matches all events of a workspace.
    #[must_use]
    pub const fn all(workspace_id: WorkspaceId) -> Self {
        Self { workspace_id, person_id: None, action: None, actor_id: None, token_id: None, since: None, until: None }
    }
}

/// Event that is appended on its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    pub context: AuditContext,
    pub action: Action,
    pub person_id: Option<PersonId>,
    pub target: String,
    pub label: String,
    pub details: Details,
}

/// Start of a page in a list, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventPageStart {
    /// After this event ID: older events.
    After(i64),
    /// Before this event ID: newer events.
    Before(i64),
}

impl Default for EventPageStart {
    fn default() -> Self {
        Self::After(i64::MAX)
    }
}

/// Page of a list, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventPage {
    pub events: Vec<Event>,
    /// Start of the next page, or `None` after the last one.
    pub next: Option<EventPageStart>,
}

struct Row {
    id: i64,
    seq: Option<i64>,
    occurred_at: Timestamp,
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
}

from_row!(Row {
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
    request_id
});

impl Row {
    /// Returns `None` for an action of a newer program.
    fn into_event(self) -> Option<Event> {
        let origin = RequestContext {
            client_ip: self.address.and_then(|text| text.parse().ok()),
            user_agent: UserAgent::from_header(&self.user_agent),
            request_id: self.request_id,
            ..RequestContext::default()
        };
        let context = AuditContext {
            at: self.occurred_at,
            actor_id: self.actor_id,
            actor_name: self.actor,
            token_id: self.actor_token_id,
            request: origin,
        };
        let action = Action::parse(&self.action)?;
        let details = Details::parse(&self.details);
        let Self { id, seq, person_id, target, label, .. } = self;
        Some(Event { id, seq, context, action, person_id, target, label, details })
    }
}

macro_rules! columns {
    () => {
        "id, seq, occurred_at, actor_id, actor, actor_token_id, action, person_id, target, label, details, address, \
         user_agent, request_id"
    };
}

/// Statement of the list. With a person it uses the index on that person's events.
macro_rules! list {
    ($condition:literal, $comparison:literal, $order:literal) => {
        concat!(
            "select ",
            columns!(),
            " from event where workspace_id = $1 and ",
            $condition,
            " and id ",
            $comparison,
            " $3 and (cast($5 as text) is null or action = $5) and (cast($6 as bigint) is null or actor_id = $6) \
             and occurred_at >= $7 and occurred_at < $8 and (cast($9 as text) is null or target = $9 or actor_token_id = $10) \
             order by id",
            $order,
            " limit $4"
        )
    };
}

impl Store {
    /// Lists events, newest first for either kind of start.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn list_events(&self, filter: &EventFilter, start: EventPageStart, limit: i64) -> Result<Vec<Event>> {
        let rows = self.fetch_event_rows(filter, start, limit).await?;
        let mut events: Vec<Event> = rows.into_iter().filter_map(Row::into_event).collect();
        if matches!(start, EventPageStart::Before(_)) {
            events.reverse();
        }
        Ok(events)
    }

    /// Reads a page of events, newest first, that begins after an event.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn list_event_page(&self, filter: &EventFilter, after: i64, limit: i64) -> Result<EventPage> {
        let rows = self.fetch_event_rows(filter, EventPageStart::After(after), limit).await?;
        let is_full = i64::try_from(rows.len()).is_ok_and(|count| count == limit);
        // Counts rows and not events, so that an event of a newer program does not end the list.
        let next = rows.last().filter(|_| is_full).map(|last| EventPageStart::After(last.id));
        Ok(EventPage { events: rows.into_iter().filter_map(Row::into_event).collect(), next })
    }

    async fn fetch_event_rows(&self, filter: &EventFilter, start: EventPageStart, limit: i64) -> Result<Vec<Row>> {
        let (statement, id) = match (filter.person_id, start) {
            (Some(_), EventPageStart::After(id)) => (list!("person_id = $2", "<", " desc"), id),
            (Some(_), EventPageStart::Before(id)) => (list!("person_id = $2", ">", ""), id),
            (None, EventPageStart::After(id)) => (list!("cast($2 as bigint) is null", "<", " desc"), id),
            (None, EventPageStart::Before(id)) => (list!("cast($2 as bigint) is null", ">", ""), id),
        };
        Ok(on_readers!(self, pool => sqlx::query_as(statement)
            .bind(filter.workspace_id).bind(filter.person_id).bind(id).bind(limit)
            .bind(filter.action.map(Action::as_str)).bind(filter.actor_id)
            .bind(filter.since.unwrap_or(Timestamp::MIN)).bind(filter.until.unwrap_or(Timestamp::MAX))
            .bind(filter.token_id.map(|id| id.to_string())).bind(filter.token_id)
            .fetch_all(pool).await)?)
    }

    /// Finds the event at a position in the chain of a workspace.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn find_event(&self, workspace_id: WorkspaceId, seq: i64) -> Result<Option<Event>> {
        const SELECT: &str = concat!("select ", columns!(), " from event where workspace_id = $1 and seq = $2");
        let row: Option<Row> =
            on_pool!(self, pool => sqlx::query_as(SELECT).bind(workspace_id).bind(seq).fetch_optional(pool).await)?;
        Ok(row.and_then(Row::into_event))
    }

    /// Returns whether there is an event at a position in the chain, of this or of a newer program.
    pub(super) async fn has_event(&self, workspace_id: WorkspaceId, seq: i64) -> Result<bool> {
        const COUNT: &str = "select count(*) from event where workspace_id = $1 and seq = $2";
        let count: i64 =
            on_pool!(self, pool => sqlx::query_scalar(COUNT).bind(workspace_id).bind(seq).fetch_one(pool).await)?;
        Ok(count > 0)
    }

    /// Appends an event that belongs to no other method, such as a denied attempt.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn insert_event(&self, workspace_id: WorkspaceId, event: &NewEvent) -> Result<()> {
        let draft = EventDraft {
            action: event.action,
            person_id: event.person_id,
            target: &event.target,
            label: &event.label,
            details: event.details.clone(),
        };
        on_pool!(self, pool => {
            let mut tx = pool.begin().await?;
            record!(tx, workspace_id, Authorized::without_caller(&event.context), draft);
            tx.commit().await?;
            Ok(())
        })
    }

    /// Finds the last recorded change of a setting.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached, and [`Error::Corrupt`] if
    /// the row has an unknown action.
    pub async fn find_last_setting_change(&self, workspace_id: WorkspaceId, key: SettingKey) -> Result<Option<Event>> {
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
