//! A grant that one revocation ends, with the history of its checks and their verification.

use std::{
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{nodes::NODES, probes::Endpoint, report::Tally, revocations::Revocation};

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckResult {
    Accepted,
    Rejected,
    /// A credential was rejected that no revocation affects: that of the caller, or the token of a
    /// demoted person.
    WrongCredential,
    /// 404: the token was accepted, but its owner no longer exists. This is correct while a person
    /// is being deleted.
    OwnerMissing,
    /// 503: the check could not be performed.
    Unavailable,
    /// No response: the node is down or too slow.
    NoResponse,
    /// A status that no check returns.
    Unexpected(u16),
}

/// A check of the grant. It started after the instant `start` and ended before the instant `end`.
#[derive(Clone, Copy, Debug)]
pub struct CheckRecord {
    pub node: usize,
    pub endpoint: Endpoint,
    pub start: Instant,
    pub end: Instant,
    pub result: CheckResult,
}

/// The access that a token gives until it is revoked.
#[derive(Debug)]
pub struct TrackedGrant {
    pub token: String,
    /// The operation that revokes it, or `None` for a grant that is never revoked.
    pub revocation: Option<Revocation>,
    /// The path of the resource that the revocation affects: the token, the person, or the
    /// workspace.
    pub path: String,
    /// The e-mail address of the owner.
    pub email: String,
    history: Mutex<History>,
    /// The number of accepted checks per node.
    accept_counts: watch::Sender<[u32; NODES]>,
}

#[derive(Debug, Default)]
struct History {
    /// The time before the revocation was first sent, or the end of the grace period that began then.
    /// From here on, both results of a check are correct.
    earliest_end: Option<Instant>,
    /// The time at which the revocation was confirmed, or the end of the grace period that began then.
    /// From here on, no check may accept the grant.
    latest_end: Option<Instant>,
    /// A repeated revocation returned 404. That confirms nothing.
    found_missing: bool,
    attempts: usize,
    checks: Vec<CheckRecord>,
}

impl TrackedGrant {
    /// The number of accepted checks after which a node has the grant in its cache.
    const CACHED_AFTER: u32 = 2;

    pub fn new(token: String, revocation: Option<Revocation>, path: String, email: String) -> Self {
        Self {
            token,
            revocation,
            path,
            email,
            history: Mutex::default(),
            accept_counts: watch::Sender::new([0; NODES]),
        }
    }

    pub fn is_demotion(&self) -> bool {
        self.revocation == Some(Revocation::Demote)
    }

    /// Returns whether every node has the grant in its cache, if it has one.
    pub fn is_cached_everywhere(&self) -> bool {
        self.accept_counts.borrow().iter().all(|count| *count >= Self::CACHED_AFTER)
    }

    /// Waits until every node has the grant in its cache.
    pub async fn wait_until_cached(&self) {
        self.accept_counts
            .subscribe()
            .wait_for(|nodes| nodes.iter().all(|count| *count >= Self::CACHED_AFTER))
            .await
            .unwrap();
    }

    pub fn record_check(&self, check: CheckRecord) {
        self.history().checks.push(check);
        if check.result == CheckResult::Accepted {
            self.accept_counts.send_modify(|nodes| nodes[check.node] += 1);
        }
    }

    /// Records that the revocation is about to be sent. Returns the number of earlier attempts.
    pub fn begin_attempt(&self) -> usize {
        let mut history = self.history();
        history.earliest_end.get_or_insert_with(|| Instant::now() + self.grace_period());
        history.attempts += 1;
        history.attempts - 1
    }

    /// Records that the revocation was confirmed. Returns the time from which no check may accept the
    /// grant.
    pub fn confirm(&self) -> Instant {
        let mut history = self.history();
        // The time is read under the lock, so a check that starts later finds it set.
        *history.latest_end.insert(Instant::now() + self.grace_period())
    }

    fn grace_period(&self) -> Duration {
        self.revocation.map_or(Duration::ZERO, Revocation::grace_period)
    }

    pub fn mark_missing(&self) {
        self.history().found_missing = true;
    }

    /// Returns whether no further revocation will be sent, and no grace period is left.
    pub fn is_finished(&self) -> bool {
        let history = self.history();
        history.latest_end.is_some_and(|end| end <= Instant::now()) || history.found_missing
    }

    /// Verifies the checks since the last call.
    pub fn verify_checks(&self, tally: &mut Tally) {
        let mut history = self.history();
        for check in std::mem::take(&mut history.checks) {
            let after_revocation = history.latest_end.is_some_and(|end| check.start >= end);
            let before_revocation = history.earliest_end.is_none_or(|end| check.end <= end);
            tally.checks += 1;
            tally.checks_after_revocation += u64::from(after_revocation);
            let mut add_violation = |description| {
                tally.add_violation(format!(
                    "{:?}, {:?} of node {}: {description}",
                    self.revocation, check.endpoint, check.node
                ));
            };
            match check.result {
                CheckResult::Accepted | CheckResult::OwnerMissing if after_revocation => {
                    let late = check.start - history.latest_end.unwrap_or(check.start);
                    add_violation(format!(
                        "accepted by a check that started {late:?} after the revocation took effect"
                    ));
                    tally.stale_accepts += 1;
                }
                CheckResult::Rejected | CheckResult::OwnerMissing if before_revocation => {
                    add_violation("rejected before the revocation took effect".to_owned());
                    tally.false_rejections += 1;
                }
                CheckResult::WrongCredential => {
                    add_violation("rejected a credential that the revocation does not affect".to_owned());
                    tally.false_rejections += 1;
                }
                CheckResult::Unexpected(status) => {
                    add_violation(format!("unexpected status {status}"));
                    tally.unexpected += 1;
                }
                CheckResult::Unavailable => tally.unavailable += 1,
                CheckResult::NoResponse => tally.no_response += 1,
                CheckResult::Accepted | CheckResult::Rejected | CheckResult::OwnerMissing => {}
            }
        }
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap()
    }
}
