//! The log of denied attempts. It aggregates equal attempts: the first is written to the audit log
//! soon, later ones at most once per interval with a count. A flood of wrong credentials therefore
//! does not become a flood of rows.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use parking_lot::Mutex;

use crate::{
    domain::{
        causes::Causes,
        event::{Action, AuditContext, Details, RequestContext},
        id::{PersonId, WorkspaceId},
        ip_network::rate_limit_key,
        time::{Clock, Timestamp},
    },
    store::{self, NewEvent, Store, TokenLabel},
};
use tokenward_guard::token_format::TokenDigest;

/// The maximum number of separate aggregates. Above it, attempts of one kind share an aggregate.
/// Half of the entries are reserved for attempts that concern a person.
const MAX_ENTRIES: usize = 10_000;
/// The maximum number of addresses with separate aggregates, per kind of attempt and person.
const MAX_ADDRESSES_PER_KIND: u32 = 50;
/// The maximum number of rows written per flush.
const MAX_ROWS_PER_FLUSH: usize = 500;
/// The minimum interval between two events of one aggregate.
const REPORT_INTERVAL_SECONDS: i64 = 60;
/// The same interval for uses of revoked or expired tokens.
const REVOKED_TOKEN_INTERVAL_SECONDS: i64 = 3_600;

/// A denied attempt. Equal attempts are aggregated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct DeniedAttempt {
    pub workspace_id: WorkspaceId,
    pub action: Action,
    pub person_id: Option<PersonId>,
    pub target: String,
    pub label: String,
    /// The reason in a few words.
    pub reason: String,
    /// The client address that separates aggregates. IPv6 addresses are cut to their first 64 bits.
    pub address: Option<IpAddr>,
}

/// The occurrences of one attempt since its last event.
#[derive(Clone, Debug)]
struct Aggregate {
    count: u64,
    first_at: Timestamp,
    last_at: Timestamp,
    request: RequestContext,
    flushed_at: Option<Timestamp>,
}

/// The attempts that are not written yet.
#[derive(Debug, Default)]
struct Pending {
    attempts: HashMap<DeniedAttempt, Aggregate>,
    /// Token values that do not authenticate. Whether they were tokens is looked up at the next
    /// flush.
    unknown_tokens: HashMap<TokenDigest, Aggregate>,
    /// The number of addresses with separate aggregates, by kind of attempt, workspace and person.
    address_counts: HashMap<(Action, WorkspaceId, Option<PersonId>), u32>,
}

/// The denied attempts of this process. Cheap to clone; all clones share one state.
#[derive(Clone)]
pub struct DeniedAttemptLog {
    store: Store,
    clock: Clock,
    pending: Arc<Mutex<Pending>>,
}

impl Aggregate {
    fn new(at: Timestamp, request: RequestContext) -> Self {
        Self { count: 0, first_at: at, last_at: at, request, flushed_at: None }
    }

    fn increment(&mut self, at: Timestamp, request: RequestContext) {
        if self.count == 0 {
            self.first_at = at;
        }
        self.count += 1;
        self.last_at = at;
        self.request = request;
    }

    fn is_flush_due(&self, now: Timestamp, report_interval: i64) -> bool {
        self.flushed_at.is_none_or(|flushed_at| now >= flushed_at.plus_seconds(report_interval))
    }

    /// Returns the occurrences to write now, if there are any, and restarts the count.
    fn drain(&mut self, now: Timestamp, report_interval: i64, all: bool) -> Option<Self> {
        if self.count == 0 || !(all || self.is_flush_due(now, report_interval)) {
            return None;
        }
        let taken = self.clone();
        self.count = 0;
        self.flushed_at = Some(now);
        Some(taken)
    }

    /// Adds the occurrences of another aggregate.
    fn merge(&mut self, other: &Self) {
        if self.count == 0 || other.first_at < self.first_at {
            self.first_at = other.first_at;
        }
        if self.count == 0 || other.last_at > self.last_at {
            self.last_at = other.last_at;
            self.request = other.request.clone();
        }
        self.count += other.count;
    }

    fn into_event(self, attempt: &DeniedAttempt) -> NewEvent {
        let details = Details::default()
            .with("cause", attempt.reason.as_str())
            .with("count", self.count)
            .with("firstAt", self.first_at.to_string())
            .with("lastAt", self.last_at.to_string());
        NewEvent {
            context: AuditContext::for_named_actor("anonymous", self.last_at, self.request),
            action: attempt.action,
            person_id: attempt.person_id,
            target: attempt.target.clone(),
            label: attempt.label.clone(),
            details,
        }
    }
}

impl Pending {
    /// Returns the aggregate of an attempt: its own, or a shared one if there is no room.
    fn entry(&mut self, mut attempt: DeniedAttempt, at: Timestamp) -> &mut Aggregate {
        attempt.address = attempt.address.map(rate_limit_key);
        let kind = (attempt.action, attempt.workspace_id, attempt.person_id);
        if !self.attempts.contains_key(&attempt) {
            let addresses = self.address_counts.entry(kind).or_default();
            *addresses += 1;
            if *addresses > MAX_ADDRESSES_PER_KIND {
                attempt.address = None;
            }
            let max_entries = if attempt.person_id.is_some() { MAX_ENTRIES } else { MAX_ENTRIES / 2 };
            if self.attempts.len() >= max_entries {
                let (person_id, target, label) = (None, String::new(), "other attempts".to_owned());
                attempt = DeniedAttempt { person_id, target, label, address: None, ..attempt };
            }
        }
        self.attempts.entry(attempt).or_insert_with(|| Aggregate::new(at, RequestContext::default()))
    }

    /// Returns the aggregates to write now. Aggregates that were written and did not recur within
    /// their interval are dropped.
    fn take_due(&mut self, now: Timestamp, all: bool) -> Vec<(DeniedAttempt, Aggregate)> {
        self.attempts.retain(|attempt, aggregate| {
            aggregate.count > 0 || !aggregate.is_flush_due(now, report_interval(attempt.action))
        });
        self.address_counts.clear();
        for attempt in self.attempts.keys().filter(|attempt| attempt.address.is_some()) {
            *self.address_counts.entry((attempt.action, attempt.workspace_id, attempt.person_id)).or_default() += 1;
        }
        let drain = |(attempt, aggregate): (&DeniedAttempt, &mut Aggregate)| {
            aggregate.drain(now, report_interval(attempt.action), all).map(|aggregate| (attempt.clone(), aggregate))
        };
        let max_rows = if all { usize::MAX } else { MAX_ROWS_PER_FLUSH };
        self.attempts.iter_mut().filter_map(drain).take(max_rows).collect()
    }

    /// Puts back an aggregate that could not be written.
    fn restore(&mut self, attempt: DeniedAttempt, taken: &Aggregate) {
        let aggregate = self.attempts.entry(attempt).or_insert_with(|| Aggregate { count: 0, ..taken.clone() });
        aggregate.merge(taken);
        aggregate.flushed_at = taken.flushed_at;
    }
}

/// Returns the minimum interval in seconds between two events of one aggregate.
fn report_interval(action: Action) -> i64 {
    if action == Action::RevokedTokenRejected { REVOKED_TOKEN_INTERVAL_SECONDS } else { REPORT_INTERVAL_SECONDS }
}

impl DeniedAttemptLog {
    /// Creates an empty log that writes to `store`.
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, pending: Arc::default() }
    }

    /// Records a denied attempt in memory.
    pub(super) fn record(&self, attempt: DeniedAttempt, request: RequestContext) {
        let now = self.clock.now();
        self.lock().entry(attempt, now).increment(now, request);
    }

    /// Records a denied auth check. The event belongs to workspace 1, because the owner of the
    /// credential is unknown.
    pub fn record_auth_check(&self, route: &str, reason: &str) {
        let attempt = DeniedAttempt {
            workspace_id: WorkspaceId::FIRST,
            action: Action::AuthCheckDenied,
            person_id: None,
            target: route.to_owned(),
            label: String::new(),
            reason: reason.to_owned(),
            address: None,
        };
        self.record(attempt, RequestContext::default());
    }

    /// Records the use of a value that may be a revoked token.
    pub(super) fn record_unknown_token(&self, digest: TokenDigest, request: RequestContext) {
        let now = self.clock.now();
        let mut pending = self.lock();
        if pending.unknown_tokens.len() < MAX_ENTRIES || pending.unknown_tokens.contains_key(&digest) {
            pending
                .unknown_tokens
                .entry(digest)
                .or_insert_with(|| Aggregate::new(now, RequestContext::default()))
                .increment(now, request);
        }
    }

    /// Returns the number of unresolved token digests, at most 10,000.
    #[must_use]
    pub fn unknown_token_count(&self) -> usize {
        self.lock().unknown_tokens.len()
    }

    /// Returns the number of events that are not written yet, at most 20,000.
    #[must_use]
    pub fn pending_events(&self) -> usize {
        let pending = self.lock();
        let attempts = pending.attempts.values().filter(|aggregate| aggregate.count > 0).count();
        attempts + pending.unknown_tokens.len()
    }

    /// Writes the aggregates that are due, or all of them. Aggregates that cannot be written stay
    /// in the log. Not cancel safe: dropping the future loses aggregates.
    ///
    /// # Errors
    /// [`store::Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn flush(&self, all: bool) -> Result<(), store::Error> {
        self.resolve_unknown_tokens().await?;
        let due = self.lock().take_due(self.clock.now(), all);
        let mut failure = None;
        for (attempt, aggregate) in due {
            if failure.is_none() {
                failure = match self
                    .store
                    .insert_event(attempt.workspace_id, &aggregate.clone().into_event(&attempt))
                    .await
                {
                    Err(error @ store::Error::Unavailable(_)) => Some(error),
                    Ok(()) => continue,
                    // The workspace was removed, so the event has no audience.
                    Err(error) => {
                        tracing::debug!(error = %Causes(&error), "discarding a denied attempt");
                        continue;
                    }
                };
            }
            self.lock().restore(attempt, &aggregate);
        }
        failure.map_or(Ok(()), Err)
    }

    /// Looks up which unknown values are revoked tokens, and records their use.
    async fn resolve_unknown_tokens(&self) -> Result<(), store::Error> {
        let digests: Vec<TokenDigest> = self.lock().unknown_tokens.keys().copied().collect();
        if digests.is_empty() {
            return Ok(());
        }
        let revoked = self.store.find_revoked(&digests).await?;
        let mut pending = self.lock();
        for (digest, token) in revoked {
            if let Some(aggregate) = pending.unknown_tokens.remove(&digest) {
                pending.entry(tombstone_used(token), aggregate.first_at).merge(&aggregate);
            }
        }
        for digest in digests {
            pending.unknown_tokens.remove(&digest);
        }
        Ok(())
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, Pending> {
        self.pending.lock()
    }
}

/// Returns the denied attempt for a use of a deleted token.
fn tombstone_used(token: TokenLabel) -> DeniedAttempt {
    DeniedAttempt {
        workspace_id: token.workspace_id,
        action: Action::RevokedTokenRejected,
        person_id: Some(token.person_id),
        target: token.id.to_string(),
        label: token.display_prefix,
        reason: "deleted".to_owned(),
        address: None,
    }
}
