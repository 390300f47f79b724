//! The delivery of events: claims rows of the outbox, sends them, and records the outcome.
//!
//! Each event is sent at least once. A node that stops in between leaves its claim, and after the end
//! of the claim another node sends the event again.

use std::{collections::HashSet, pin::pin, time::Duration};

use futures_util::{
    StreamExt as _,
    future::join_all,
    stream::{self, FuturesUnordered},
};
use http::{HeaderName, HeaderValue};
use tokio::time::Instant;
use uuid::Uuid;

use super::Webhooks;
use crate::{
    domain::{
        causes::Causes,
        event::{AuditContext, Event},
        event_json::event_to_json,
        time::Timestamp,
        webhook::{Attempt, AttemptOutcome, RETRY_SECONDS, SigningSecret, message_id, message_timestamp, next_attempt},
    },
    outbound::{OutboundError, OutboundRequest, OutboundUrl},
    service::Result,
    store::{ClaimedBatch, ClaimedDelivery, DueWebhook, Retry},
};

/// The time limit of one request.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The duration of a claim: longer than a request with its database statements.
const CLAIM_SECONDS: i64 = 60;
/// The maximum number of webhooks that one node sends to at the same time.
const MAX_CONCURRENT_WEBHOOKS: usize = 64;
/// The number of webhooks that one look at the outbox finds.
const MAX_DUE_WEBHOOKS: i64 = 512;
/// The number of requests to one webhook at the same time.
const BATCH_SIZE: i64 = 8;
/// The interval at which the outbox is read.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The time after which a delivery is purged. It is longer than the retries.
const RETENTION: Duration = Duration::from_secs(14 * 86_400);
/// The number of deliveries deleted per statement.
const PURGE_BATCH_SIZE: i64 = 1_000;

impl Webhooks {
    /// Delivers events until the future is dropped. One slow receiver does not delay the others.
    pub async fn run(self) {
        let mut in_progress: HashSet<Uuid> = HashSet::new();
        let mut batches = FuturesUnordered::new();
        loop {
            // Batches go on while the outbox is read. One of them may hold the only connection that writes to
            // SQLite, and must not wait for the read, which waits for the connection.
            let due = {
                let mut due = pin!(self.list_due_logged());
                loop {
                    tokio::select! {
                        due = &mut due => break due,
                        Some((id, _)) = batches.next(), if !batches.is_empty() => {
                            in_progress.remove(&id);
                        }
                    }
                }
            };
            for webhook in due {
                if in_progress.len() < MAX_CONCURRENT_WEBHOOKS && in_progress.insert(webhook.id) {
                    batches.push(self.deliver_logged(webhook));
                }
            }
            let mut poll = pin!(tokio::time::sleep(POLL_INTERVAL));
            // A batch that failed to be recorded must not be repeated without a delay.
            loop {
                tokio::select! {
                    Some((id, has_more)) = batches.next(), if !batches.is_empty() => {
                        in_progress.remove(&id);
                        if has_more {
                            break;
                        }
                    }
                    () = &mut poll => break,
                }
            }
        }
    }

    /// Lists webhooks that have deliveries to send. After a failure there is none.
    async fn list_due_logged(&self) -> Vec<DueWebhook> {
        match self.store.list_due_webhooks(self.clock.now(), MAX_DUE_WEBHOOKS).await {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(error = %Causes(&error), "failed to read the outbox of webhooks; retrying");
                Vec::new()
            }
        }
    }

    /// Delivers one batch to each webhook that has deliveries to send now. Returns the number of
    /// attempts.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::service::Error::Unavailable) if the database is unreachable or too
    /// slow.
    pub async fn deliver_due(&self) -> Result<usize> {
        let due = self.store.list_due_webhooks(self.clock.now(), MAX_DUE_WEBHOOKS).await?;
        let batches = stream::iter(due).map(|webhook| self.deliver_batch(webhook));
        let attempts: Vec<Result<usize>> = batches.buffer_unordered(MAX_CONCURRENT_WEBHOOKS).collect().await;
        attempts.into_iter().sum()
    }

    /// Deletes old deliveries. Returns their number.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::service::Error::Unavailable) if the database is unreachable or too
    /// slow.
    pub async fn purge_deliveries(&self) -> Result<u64> {
        let before = self.clock.now().before(RETENTION);
        let mut purged = 0;
        loop {
            match self.store.purge_webhook_deliveries(before, PURGE_BATCH_SIZE).await? {
                0 => return Ok(purged),
                count => purged += count,
            }
        }
    }

    /// Delivers one batch. Returns the webhook, and whether a full batch was sent.
    async fn deliver_logged(&self, webhook: DueWebhook) -> (Uuid, bool) {
        match self.deliver_batch(webhook).await {
            Ok(attempts) => (webhook.id, attempts > 0),
            Err(error) => {
                tracing::warn!(webhook.id = %webhook.id, error = %Causes(&error), "failed to record deliveries of a webhook");
                (webhook.id, false)
            }
        }
    }

    /// Claims and sends deliveries of one webhook: a single one while it fails. Returns the number of
    /// attempts.
    async fn deliver_batch(&self, webhook: DueWebhook) -> Result<usize> {
        let now = self.clock.now();
        let limit = if webhook.is_failing { 1 } else { BATCH_SIZE };
        let until = now.plus_seconds(CLAIM_SECONDS);
        let Some(batch) = self.store.claim_webhook_deliveries(webhook.id, now, until, limit).await? else {
            return Ok(0);
        };
        let deliveries = batch.deliveries.iter().map(|delivery| self.deliver(&batch, delivery));
        let finished = join_all(deliveries).await;
        let count = finished.len();
        finished.into_iter().collect::<Result<Vec<()>>>()?;
        Ok(count)
    }

    /// Sends one delivery, and records the outcome.
    async fn deliver(&self, batch: &ClaimedBatch, delivery: &ClaimedDelivery) -> Result<()> {
        let (began_at, started) = (self.clock.now(), Instant::now());
        let (outcome, status) = match &delivery.event {
            Some(event) => self.send(batch, event).await,
            None => (AttemptOutcome::EventPurged, None),
        };
        let attempt = Attempt { began_at, duration: started.elapsed(), outcome, status };
        self.counters.record(outcome, attempt.duration);
        let now = self.clock.now();
        let retry = self.retry(batch, delivery, outcome, now);
        let target = (batch.webhook_id, OutboundUrl::label_of(&batch.url));
        let context = AuditContext::for_system(now);
        let is_disabled =
            self.store.finish_webhook_delivery((target.0, &target.1), delivery.id, &attempt, retry, &context).await?;
        if is_disabled {
            self.counters.record_disabled();
            tracing::warn!(webhook.id = %batch.webhook_id, "disabled a webhook that accepted no event for three days");
        }
        Ok(())
    }

    /// Returns the times of the next attempts.
    fn retry(
        &self,
        batch: &ClaimedBatch,
        delivery: &ClaimedDelivery,
        outcome: AttemptOutcome,
        now: Timestamp,
    ) -> Retry {
        let began = delivery.retry_until.plus_seconds(-RETRY_SECONDS);
        // Enabling a webhook again gives everything that waits for it another three days.
        let end = delivery.retry_until.max(batch.enabled_at.plus_seconds(RETRY_SECONDS));
        let is_over = now >= end || outcome == AttemptOutcome::EventPurged;
        let delivery_at = if is_over { None } else { Some(next_attempt(now, began, &self.random)) };
        let webhook_at = next_attempt(now, batch.failing_since.unwrap_or(now), &self.random);
        Retry { delivery_at, webhook_at }
    }

    async fn send(&self, batch: &ClaimedBatch, event: &Event) -> (AttemptOutcome, Option<u16>) {
        // The configuration may have changed since the URL was stored.
        let Ok(url) = self.client.parse_url(&batch.url) else { return (AttemptOutcome::AddressNotAllowed, None) };
        let body = event_to_json(event);
        let headers = signed_headers(&batch.secret, event.id, message_timestamp(&self.clock), &body);
        match self.client.post_json(OutboundRequest { url, headers, body }).await {
            Ok(status) if status.is_success() => (AttemptOutcome::Succeeded, Some(status.as_u16())),
            Ok(status) => (AttemptOutcome::Rejected, Some(status.as_u16())),
            Err(error) => (outcome_of(error), None),
        }
    }
}

/// Returns the headers of Standard Webhooks 1.0.
fn signed_headers(secret: &SigningSecret, event_id: i64, timestamp: i64, body: &str) -> Vec<(HeaderName, HeaderValue)> {
    let id = message_id(event_id);
    let signature = secret.sign(&id, timestamp, body);
    [("webhook-id", id), ("webhook-timestamp", timestamp.to_string()), ("webhook-signature", signature)]
        .into_iter()
        // The values are visible ASCII characters.
        .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?)))
        .collect()
}

fn outcome_of(error: OutboundError) -> AttemptOutcome {
    match error {
        OutboundError::TimedOut => AttemptOutcome::TimedOut,
        OutboundError::ConnectionFailed => AttemptOutcome::ConnectionFailed,
        OutboundError::NameNotResolved => AttemptOutcome::NameNotResolved,
        OutboundError::AddressNotAllowed => AttemptOutcome::AddressNotAllowed,
    }
}
