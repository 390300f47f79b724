//! Audit log: appending many events in one transaction with few statements.

use sqlx::{Database, Encode, QueryBuilder, Type};
use uuid::Uuid;

use super::{
    Error, Result,
    authority::Authorized,
    events::{EventDraft, chained_entry, insert_into_event},
};
use crate::domain::{
    audit_chain::{AuditEntry, EntryHash},
    id::{PersonId, WorkspaceId},
    time::Timestamp,
};

/// Maximum number of events per statement, which has 16 bound values for each. SQLite allows 32,766
/// of them.
pub(super) const EVENTS_PER_STATEMENT: usize = 500;

/// Moves the head of a chain past a batch of events.
pub(super) const UPDATE_HEAD: &str = "update event_chain set hash = $2, seq = $3 where workspace_id = $1";

/// An event of a batch with its hash.
pub(super) type ChainedEvent = (AuditEntry, EntryHash);

/// Chains events in their order. The first one gets the number `seq`.
pub(super) fn chain_events(
    seq: i64,
    previous_hash: &[u8],
    workspace_id: WorkspaceId,
    context: &Authorized<'_>,
    drafts: &[EventDraft<'_>],
) -> Result<Vec<ChainedEvent>> {
    let mut previous_hash = EntryHash::from_bytes(previous_hash).ok_or(Error::corrupt("event_chain.hash"))?;
    let mut events = Vec::with_capacity(drafts.len());
    for (seq, draft) in (seq..).zip(drafts) {
        let event = chained_entry(seq, previous_hash.as_bytes(), workspace_id, context, draft)?;
        previous_hash = event.1;
        events.push(event);
    }
    Ok(events)
}

/// Returns the statement that inserts events.
pub(super) fn insertion<DB>(events: &[ChainedEvent]) -> QueryBuilder<DB>
where
    DB: Database<Arguments: Default>,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
    String: for<'q> Encode<'q, DB> + Type<DB>,
    Vec<u8>: for<'q> Encode<'q, DB> + Type<DB>,
    WorkspaceId: for<'q> Encode<'q, DB> + Type<DB>,
    Timestamp: for<'q> Encode<'q, DB> + Type<DB>,
    Option<PersonId>: for<'q> Encode<'q, DB> + Type<DB>,
    Option<String>: for<'q> Encode<'q, DB> + Type<DB>,
    Option<Uuid>: for<'q> Encode<'q, DB> + Type<DB>,
{
    let mut statement = QueryBuilder::new(insert_into_event!());
    statement.push_values(events, |mut row, (entry, hash)| {
        row.push_bind(entry.workspace_id)
            .push_bind(entry.at)
            .push_bind(entry.actor_id)
            .push_bind(entry.actor.clone())
            .push_bind(entry.actor_token_id)
            .push_bind(entry.action.clone())
            .push_bind(entry.person_id)
            .push_bind(entry.target.clone())
            .push_bind(entry.label.clone())
            .push_bind(entry.details.clone())
            .push_bind(entry.seq)
            .push_bind(hash.as_bytes().to_vec())
            .push_bind(entry.address.clone())
            .push_bind(entry.user_agent.clone())
            .push_bind(entry.request_id.clone())
            .push_bind(entry.outcome.clone());
    });
    statement
}

/// Appends events to the audit log, in the transaction of the operation. Takes a vector of
/// [`EventDraft`]s, of which there is at least one.
macro_rules! record_all {
    ($tx:expr, $workspace_id:expr, $context:expr, $events:expr) => {{
        use crate::{
            domain::audit_chain::EntryHash,
            store::{event_batch, events},
        };
        let genesis = EntryHash::GENESIS;
        let (seq, previous_hash): (i64, Vec<u8>) = sqlx::query_as(events::NEXT_SEQ)
            .bind($workspace_id)
            .bind(genesis.as_bytes().as_slice())
            .fetch_one(&mut *$tx)
            .await?;
        let events = event_batch::chain_events(seq, &previous_hash, $workspace_id, &$context, &$events)?;
        for chunk in events.chunks(event_batch::EVENTS_PER_STATEMENT) {
            // The text depends on the number of rows, so a prepared statement would not be reused.
            event_batch::insertion(chunk).build().persistent(false).execute(&mut *$tx).await?;
        }
        if let Some((last, hash)) = events.last() {
            sqlx::query(event_batch::UPDATE_HEAD)
                .bind($workspace_id)
                .bind(hash.as_bytes().as_slice())
                .bind(last.seq)
                .execute(&mut *$tx)
                .await?;
        }
    }};
}
pub(super) use record_all;
