//! The outbox of webhooks. A trigger of the database fills it in the transaction of each event, so no
//! event is lost, and a node that claims a row sends it.

use std::fmt;

use uuid::Uuid;

use super::{
    Error, Pool, Result, Store, authority::Authorized, events::record, from_row, on_pool, on_readers,
    webhooks::webhook_event,
};
use crate::domain::{
    event::{Action, AuditContext, Details, Event},
    id::WorkspaceId,
    time::Timestamp,
    webhook::{Attempt, AttemptOutcome, Delivery, DeliveryState, RETRY_SECONDS, SigningSecret},
};

/// Webhook that has deliveries to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueWebhook {
    pub id: Uuid,
    /// The last attempt failed.
    pub is_failing: bool,
}

/// Deliveries of one webhook that this node has claimed. `Debug` does not print the URL.
#[derive(Clone)]
pub struct ClaimedBatch {
    pub webhook_id: Uuid,
    /// May contain a secret.
    pub url: String,
    pub secret: SigningSecret,
    pub failing_since: Option<Timestamp>,
    pub enabled_at: Timestamp,
    pub deliveries: Vec<ClaimedDelivery>,
}

impl fmt::Debug for ClaimedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimedBatch")
            .field("webhook_id", &self.webhook_id)
            .field("failing_since", &self.failing_since)
            .field("deliveries", &self.deliveries)
            .finish_non_exhaustive()
    }
}

/// Delivery that this node has claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedDelivery {
    pub id: i64,
    /// The end of the retries.
    pub retry_until: Timestamp,
    /// The event; `None`: it was purged.
    pub event: Option<Event>,
}

/// The times of the next attempts after a failed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Of this delivery; `None`: it is given up.
    pub delivery_at: Option<Timestamp>,
    /// Of all deliveries of the webhook.
    pub webhook_at: Timestamp,
}

struct ClaimedRow {
    id: i64,
    workspace_id: WorkspaceId,
    event_seq: i64,
    retry_until: Timestamp,
}

from_row!(ClaimedRow { id, workspace_id, event_seq, retry_until });

struct TargetRow {
    url: String,
    secret: Vec<u8>,
    failing_since: Option<Timestamp>,
    enabled_at: Timestamp,
}

from_row!(TargetRow { url, secret, failing_since, enabled_at });

struct DeliveryRow {
    id: i64,
    event_id: Option<i64>,
    action: Option<String>,
    created_at: Timestamp,
    next_attempt_at: Option<Timestamp>,
    attempts: i64,
    attempted_at: Option<Timestamp>,
    duration_millis: Option<i64>,
    response_status: Option<i64>,
    outcome: Option<String>,
    is_enabled: bool,
    paused_until: Option<Timestamp>,
}

from_row!(DeliveryRow {
    id,
    event_id,
    action,
    created_at,
    next_attempt_at,
    attempts,
    attempted_at,
    duration_millis,
    response_status,
    outcome,
    is_enabled,
    paused_until
});

impl From<DeliveryRow> for Delivery {
    fn from(row: DeliveryRow) -> Self {
        let outcome = row.outcome.as_deref().and_then(AttemptOutcome::parse);
        let state = match (row.next_attempt_at, outcome) {
            (Some(_), _) => DeliveryState::Pending,
            (None, Some(AttemptOutcome::Succeeded)) => DeliveryState::Succeeded,
            (None, _) => DeliveryState::Failed,
        };
        Self {
            id: row.id,
            event_id: row.event_id,
            action: row.action,
            created_at: row.created_at,
            state,
            attempts: row.attempts,
            attempted_at: row.attempted_at,
            duration_millis: row.duration_millis,
            response_status: row.response_status,
            outcome,
            // The pause of the webhook delays all of its deliveries.
            next_attempt_at: row
                .next_attempt_at
                .filter(|_| row.is_enabled)
                .map(|at| row.paused_until.map_or(at, |end| end.max(at))),
        }
    }
}

macro_rules! claim {
    ($verb:literal, $lock:literal) => {
        concat!(
            $verb,
            "set claimed_until = $3, attempts = attempts + 1, attempted_at = $2, \
             retry_until = coalesce(retry_until, $4) where id in (select id from webhook_delivery where webhook_id = $1 \
             and next_attempt_at <= $2 and (claimed_until is null or claimed_until <= $2) and exists (select 1 from webhook w \
             where w.id = $1 and w.is_enabled and (w.paused_until is null or w.paused_until <= $2)) \
             order by next_attempt_at, id limit $5",
            $lock,
            ") returning id, workspace_id, event_seq, retry_until"
        )
    };
}

impl Store {
    /// Lists webhooks that have deliveries to send and are not paused.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn list_due_webhooks(&self, now: Timestamp, limit: i64) -> Result<Vec<DueWebhook>> {
        const SELECT: &str = "select w.id, w.failing_since is not null from webhook w \
             join workspace s on s.id = w.workspace_id where s.removed_at is null and w.is_enabled \
             and (w.paused_until is null or w.paused_until <= $1) and exists (select 1 from webhook_delivery d \
             where d.webhook_id = w.id and d.next_attempt_at <= $1 and (d.claimed_until is null or d.claimed_until <= $1)) \
             order by w.id limit $2";
        let rows: Vec<(Uuid, bool)> =
            on_pool!(self, pool => sqlx::query_as(SELECT).bind(now).bind(limit).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(|(id, is_failing)| DueWebhook { id, is_failing }).collect())
    }

    /// Claims deliveries of a webhook until `until`. No other node sends them in the meantime. Returns
    /// `None` if there is none to send.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached, and [`Error::Corrupt`] if the
    /// webhook's secret is invalid.
    pub async fn claim_webhook_deliveries(
        &self,
        webhook_id: Uuid,
        now: Timestamp,
        until: Timestamp,
        limit: i64,
    ) -> Result<Option<ClaimedBatch>> {
        const TARGET: &str = "select url, secret, failing_since, enabled_at from webhook where id = $1";
        let statement = match self.pool {
            Pool::Postgres(_) => claim!("update webhook_delivery ", " for update skip locked"),
            Pool::Sqlite(_) => claim!("update webhook_delivery ", ""),
        };
        let retry_until = now.plus_seconds(RETRY_SECONDS);
        let (mut rows, target): (Vec<ClaimedRow>, Option<TargetRow>) = on_pool!(self, pool => {
            let rows = sqlx::query_as(statement).bind(webhook_id).bind(now).bind(until).bind(retry_until).bind(limit)
                .fetch_all(pool).await?;
            let target = sqlx::query_as(TARGET).bind(webhook_id).fetch_optional(pool).await?;
            Ok::<_, Error>((rows, target))
        })?;
        let Some(target) = target.filter(|_| !rows.is_empty()) else { return Ok(None) };
        rows.sort_unstable_by_key(|row| row.id);
        let mut deliveries = Vec::with_capacity(rows.len());
        for row in rows {
            let event = self.find_event(row.workspace_id, row.event_seq).await?;
            // A node of a newer version sends an event that this program does not know, once the claim ends.
            if event.is_none() && self.has_event(row.workspace_id, row.event_seq).await? {
                continue;
            }
            deliveries.push(ClaimedDelivery { id: row.id, retry_until: row.retry_until, event });
        }
        let TargetRow { url, secret, failing_since, enabled_at } = target;
        let secret = SigningSecret::from_bytes(&secret).ok_or(Error::corrupt("webhook.secret"))?;
        Ok(Some(ClaimedBatch { webhook_id, url, secret, failing_since, enabled_at, deliveries }))
    }

    /// Records the end of an attempt, and releases the claim. After a failed one, the webhook pauses
    /// until `retry.webhook_at`. If it has accepted nothing for three days, it is disabled, with an event
    /// that has this label. Returns whether it was disabled.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn finish_webhook_delivery(
        &self,
        (webhook_id, label): (Uuid, &str),
        delivery_id: i64,
        attempt: &Attempt,
        retry: Retry,
        context: &AuditContext,
    ) -> Result<bool> {
        const FINISH: &str = "update webhook_delivery set claimed_until = null, next_attempt_at = $2, attempted_at = $3, \
             duration_millis = $4, response_status = $5, outcome = $6 where id = $1 and next_attempt_at is not null";
        const SUCCEEDED: &str = "update webhook set failing_since = null, paused_until = null \
             where id = $1 and failing_since is not null";
        const FAILED: &str = "update webhook set failing_since = coalesce(failing_since, $2), paused_until = $3 \
             where id = $1 and is_enabled returning workspace_id, failing_since";
        const DISABLE: &str =
            "update webhook set is_enabled = false, updated_at = $2, paused_until = null where id = $1";
        let next = retry.delivery_at.filter(|_| attempt.outcome != AttemptOutcome::Succeeded);
        let duration = i64::try_from(attempt.duration.as_millis()).unwrap_or(i64::MAX);
        on_pool!(self, pool => {
            let mut tx = pool.begin().await?;
            sqlx::query(FINISH).bind(delivery_id).bind(next).bind(attempt.began_at).bind(duration)
                .bind(attempt.status.map(i64::from)).bind(attempt.outcome.as_str()).execute(&mut *tx).await?;
            let failing: Option<(WorkspaceId, Timestamp)> = match attempt.outcome {
                AttemptOutcome::EventPurged => None,
                AttemptOutcome::Succeeded => {
                    sqlx::query(SUCCEEDED).bind(webhook_id).execute(&mut *tx).await?;
                    None
                }
                _ => sqlx::query_as(FAILED).bind(webhook_id).bind(attempt.began_at).bind(retry.webhook_at)
                    .fetch_optional(&mut *tx).await?,
            };
            let expired = failing.filter(|(_, since)| since.plus_seconds(RETRY_SECONDS) <= context.at);
            if let Some((workspace_id, since)) = expired {
                sqlx::query(DISABLE).bind(webhook_id).bind(context.at).execute(&mut *tx).await?;
                let details = Details::default().with("failingSince", since.to_string());
                let target = webhook_id.to_string();
                let event = webhook_event(Action::WebhookDisabled, &target, label, details);
                record!(tx, workspace_id, Authorized::without_caller(context), event);
            }
            tx.commit().await?;
            Ok(expired.is_some())
        })
    }

    /// Lists the deliveries of a webhook before a delivery ID, newest first.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn list_webhook_deliveries(
        &self,
        workspace_id: WorkspaceId,
        webhook_id: Uuid,
        before: i64,
        limit: i64,
    ) -> Result<Vec<Delivery>> {
        const SELECT: &str = "select d.id, e.id as event_id, e.action, d.created_at, d.next_attempt_at, d.attempts, \
             d.attempted_at, d.duration_millis, d.response_status, d.outcome, w.is_enabled, w.paused_until \
             from webhook w join webhook_delivery d on d.webhook_id = w.id \
             left join event e on e.workspace_id = d.workspace_id and e.seq = d.event_seq \
             where w.workspace_id = $1 and w.id = $2 and d.id < $3 order by d.id desc limit $4";
        let rows: Vec<DeliveryRow> = on_readers!(self, pool => sqlx::query_as(SELECT)
            .bind(workspace_id).bind(webhook_id).bind(before).bind(limit).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(Delivery::from).collect())
    }

    /// Deletes up to `limit` deliveries of events before a time. Returns their number.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn purge_webhook_deliveries(&self, before: Timestamp, limit: i64) -> Result<u64> {
        const DELETE: &str = "delete from webhook_delivery where id in \
             (select id from webhook_delivery where created_at < $1 limit $2)";
        Ok(on_pool!(self, pool => sqlx::query(DELETE).bind(before).bind(limit).execute(pool).await
            .map(|result| result.rows_affected()))?)
    }
}
