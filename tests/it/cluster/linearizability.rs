//! Revocation is linearizable: after a node has confirmed a revocation, no check that starts later
//! accepts the token, on any node and under any fault. The same applies to a replaced token from the end
//! of its grace period, and no check rejects it before. An outage is never reported as an invalid token.
//!
//! With `RESILIENCE_MINUTES`, the test continues with random faults. `RESILIENCE_SEED` reproduces
//! those of an earlier run.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    faults::Fault,
    load::run_writer,
    nodes::{Cluster, NODES},
    probes::{Endpoint, WatchList, check, sweep},
    random_faults::{FaultPlan, RandomFaults},
    report::Report,
    revocations::Admin,
    tracked_grant::{CheckResult, TrackedGrant},
};

/// The limit for each step, including the recovery from a fault.
const STEP_TIMEOUT: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_confirmed_revocation_holds_on_every_node() {
    let run = Arc::new(TestRun::start().await);
    let mut tasks = run.spawn_load();
    for fault in Fault::ALL {
        run.inject_faults(&[(Duration::ZERO, fault)]).await;
    }
    for FaultPlan { pause, faults } in RandomFaults::from_environment() {
        sleep(pause).await;
        run.inject_faults(&faults).await;
    }
    timeout(5 * STEP_TIMEOUT, run.run_until_enough_data()).await.expect("revocations and checks continue");
    run.stop(&mut tasks).await;
    run.report.to_string().lines().for_each(|line| println!("[measured] linearizability: {line}"));
    run.report.verify();
}

/// A cluster under load, the grants that are checked on it, and the results.
pub struct TestRun {
    pub cluster: Cluster,
    pub watch_list: WatchList,
    pub report: Report,
    /// A grant that is never revoked.
    control: Arc<TrackedGrant>,
    stopped: AtomicBool,
}

impl TestRun {
    async fn start() -> Self {
        let cluster = Cluster::start().await;
        let admin = Admin { http: cluster.client(0), url: cluster.url(0), token: cluster.admin_token() };
        admin.allow_users().await;
        let watch_list = WatchList::new();
        let control = Arc::new(admin.create_grant(None, "control").await.unwrap());
        watch_list.watch(&control);
        Self { cluster, watch_list, report: Report::new(), control, stopped: AtomicBool::new(false) }
    }

    /// Starts one checker and one writer for each node.
    fn spawn_load(self: &Arc<Self>) -> JoinSet<()> {
        self.report.begin_fault(Fault::None.name());
        let mut tasks = JoinSet::new();
        for node in 0..NODES {
            tasks.spawn(sweep(Arc::clone(self), node));
            tasks.spawn(run_writer(Arc::clone(self), node));
        }
        tasks
    }

    /// Injects faults and waits for recovery. Then waits until every grant was checked on every
    /// node, and verifies the results.
    async fn inject_faults(&self, faults: &[(Duration, Fault)]) {
        match faults {
            [(_, fault)] => self.report.begin_fault(fault.name()),
            _ => self.report.begin_fault("two faults at once"),
        }
        let all = join_all(faults.iter().map(async |(after, fault)| {
            sleep(*after).await;
            fault.inject(self).await;
        }));
        timeout(STEP_TIMEOUT, all).await.expect("the faults end");
        timeout(STEP_TIMEOUT, self.wait_until_accepted_everywhere()).await.expect("the nodes recover");
        timeout(STEP_TIMEOUT, self.report.wait_for_revocations(10)).await.expect("revocations continue");
        self.report.end_fault();
        timeout(STEP_TIMEOUT, self.watch_list.wait_for_full_sweep()).await.expect("checks continue");
        self.watch_list.verify(self);
    }

    /// Continues without faults until the report has enough data.
    async fn run_until_enough_data(&self) {
        self.report.begin_fault(Fault::None.name());
        self.report.end_fault();
        while !self.report.has_enough_data() {
            self.report.wait_for_revocations(10).await;
            self.watch_list.wait_for_full_sweep().await;
            self.watch_list.verify(self);
        }
    }

    /// Waits until every node accepts the control grant.
    async fn wait_until_accepted_everywhere(&self) {
        for node in 0..NODES {
            let http = self.cluster.client(node);
            while check(&self.cluster, http, node, &self.control, Endpoint::Auth).await != CheckResult::Accepted {
                sleep(Duration::from_millis(20)).await;
            }
        }
    }

    async fn stop(&self, tasks: &mut JoinSet<()>) {
        self.stopped.store(true, Ordering::SeqCst);
        while let Some(result) = tasks.join_next().await {
            result.unwrap();
        }
        self.watch_list.verify(self);
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}
