//! Writers that create and revoke grants. Each keeps some grants that every node has in its cache.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time::timeout};

use super::{
    linearizability::TestRun,
    nodes::{NODES, client},
    probes::check_everywhere,
    revocations::{Admin, Revocation, RevocationOutcome},
    tracked_grant::TrackedGrant,
};

/// The number of grants that a writer keeps, so that grants from before a fault can be revoked
/// during it.
const PREPARED_GRANTS: usize = 30;
/// The pause between two revocations, which leaves time for checks.
const REVOCATION_INTERVAL: Duration = Duration::from_millis(80);
/// The maximum wait until every node has a grant in its cache. A node that is down never will.
const CACHE_WAIT_TIMEOUT: Duration = Duration::from_millis(500);

struct Writer {
    run: Arc<TestRun>,
    http: reqwest::Client,
    home: usize,
    turn: usize,
    grants: VecDeque<Arc<TrackedGrant>>,
    checks: JoinSet<()>,
}

/// Creates and revokes grants until the run is stopped. Uses one node, and the next one after a
/// failed revocation.
pub async fn run_writer(run: Arc<TestRun>, home: usize) {
    let mut writer = Writer { run, http: client(), home, turn: 0, grants: VecDeque::new(), checks: JoinSet::new() };
    while !writer.run.is_stopped() {
        let was_prepared = writer.grants.len() < PREPARED_GRANTS && writer.prepare().await;
        if writer.grants.len() >= PREPARED_GRANTS || !was_prepared {
            writer.revoke_one().await;
            tokio::time::sleep(REVOCATION_INTERVAL).await;
        }
    }
    while let Some(result) = writer.checks.join_next().await {
        result.unwrap();
    }
}

impl Writer {
    fn admin_at(&self, node: usize) -> Admin<'_> {
        Admin { http: &self.http, url: self.run.cluster.url(node), token: self.run.cluster.admin_token() }
    }

    /// Creates a grant. Returns whether that succeeded.
    async fn prepare(&mut self) -> bool {
        self.turn += 1;
        let revocation = Revocation::for_turn(self.turn);
        let created =
            self.admin_at(self.home).create_grant(Some(revocation), &format!("n{}t{}", self.home, self.turn)).await;
        let grant = match created {
            Ok(grant) => Arc::new(grant),
            Err(failure) => {
                self.record_failure(revocation, failure);
                return false;
            }
        };
        self.run.watch_list.watch(&grant);
        self.grants.push_back(grant);
        true
    }

    async fn revoke_one(&mut self) {
        let cached = self.grants.iter().position(|grant| grant.is_cached_everywhere());
        let Some(grant) = self.grants.remove(cached.unwrap_or(0)) else { return };
        timeout(CACHE_WAIT_TIMEOUT, grant.wait_until_cached()).await.ok();
        let (was_cached, during_fault) = (grant.is_cached_everywhere(), self.run.report.is_fault_active());
        let Some(revocation) = grant.revocation else { return };
        // Starts checks before the revocation, and again after it took effect.
        let start = Instant::now();
        check_everywhere(&self.run, &grant, start, &mut self.checks);
        let attempts = grant.begin_attempt();
        match self.admin_at((self.home + attempts) % NODES).revoke(revocation, &grant).await {
            RevocationOutcome::Succeeded => {
                let elapsed = start.elapsed();
                let end = grant.confirm();
                check_everywhere(&self.run, &grant, end, &mut self.checks);
                let is_timed = during_fault && revocation == Revocation::DeleteToken;
                self.run.report.record_revocation(revocation, was_cached, is_timed.then_some(elapsed));
            }
            RevocationOutcome::NotFound => {
                assert!(attempts > 0, "{revocation:?} found nothing at {}", grant.path);
                grant.mark_missing();
                self.run.report.update(|tally| tally.not_found += 1);
            }
            failure => {
                self.record_failure(revocation, failure);
                self.grants.push_back(grant);
            }
        }
        while self.checks.try_join_next().is_some() {}
    }

    fn record_failure(&self, revocation: Revocation, outcome: RevocationOutcome) {
        self.run.report.update(|tally| {
            tally.failed += 1;
            if outcome == RevocationOutcome::WrongCredential {
                tally.false_rejections += 1;
                tally.add_violation(format!("{revocation:?}: the credential of the administrator was rejected"));
            }
        });
    }
}
