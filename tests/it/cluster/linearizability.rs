//! Revocation is linearizable: once an act that takes a right away has been answered with success on one node, no check
//! that begins later accepts it, on whatever node and whatever goes wrong. And an outage never reads as a bad token.
//!
//! `TOKENWARD_LIVE_MINUTES` makes the test go on with faults by chance, `TOKENWARD_LIVE_SEED` makes them those of a run
//! before.

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
    cluster::{Cluster, NODES},
    faults::Fault,
    load::write,
    probes::{Board, Door, check, sweep},
    random_faults::{Chance, Plan},
    report::Record,
    revocations::Admin,
    tracked_grant::{Answer, Right},
};

/// How long anything may take until it works again after a fault.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_away_stays_taken_away_on_every_node() {
    let scene = Arc::new(Scene::set().await);
    let mut actors = scene.raise();
    for fault in Fault::EACH {
        scene.play(&[(Duration::ZERO, fault)]).await;
    }
    for Plan { pause, faults } in Chance::from_environment() {
        sleep(pause).await;
        scene.play(&faults).await;
    }
    timeout(5 * PATIENCE, scene.do_enough()).await.expect("acts and checks go on");
    scene.end(&mut actors).await;
    scene.record.to_string().lines().for_each(|line| println!("P5, P6: {line}"));
    scene.record.verify();
}

/// The nodes, what is being checked on them, and what was seen.
pub struct Scene {
    pub cluster: Cluster,
    pub board: Board,
    pub record: Record,
    /// A right that nobody takes away.
    live: Arc<Right>,
    is_over: AtomicBool,
}

impl Scene {
    async fn set() -> Self {
        let cluster = Cluster::start().await;
        let admin = Admin { http: cluster.client(0), url: cluster.url(0), token: cluster.admin() };
        admin.allow_users().await;
        let board = Board::new();
        let live = Arc::new(admin.prepare(None, "live").await.unwrap());
        board.watch(&live);
        Self { cluster, board, record: Record::new(), live, is_over: AtomicBool::new(false) }
    }

    /// Somebody checks on every node, and somebody acts on every node.
    fn raise(self: &Arc<Self>) -> JoinSet<()> {
        self.record.begin(Fault::Nothing.name());
        let mut actors = JoinSet::new();
        for node in 0..NODES {
            actors.spawn(sweep(Arc::clone(self), node));
            actors.spawn(write(Arc::clone(self), node));
        }
        actors
    }

    /// Something goes wrong, and is mended. Then every right is checked once more on every node, before the verdict.
    async fn play(&self, faults: &[(Duration, Fault)]) {
        match faults {
            [(_, one)] => self.record.begin(one.name()),
            _ => self.record.begin("two of them at once"),
        }
        let all = join_all(faults.iter().map(async |(after, fault)| {
            sleep(*after).await;
            fault.happen(self).await;
        }));
        timeout(PATIENCE, all).await.expect("faults end");
        timeout(PATIENCE, self.works_everywhere()).await.expect("nodes recover");
        timeout(PATIENCE, self.record.acts_go_on(10)).await.expect("acts go on");
        self.record.recovered();
        timeout(PATIENCE, self.board.all_checked()).await.expect("checks go on");
        self.board.judge(self);
    }

    /// Goes on without faults until enough was done.
    async fn do_enough(&self) {
        self.record.begin(Fault::Nothing.name());
        self.record.recovered();
        while !self.record.is_enough() {
            self.record.acts_go_on(10).await;
            self.board.all_checked().await;
            self.board.judge(self);
        }
    }

    /// Completes when every node accepts a live token.
    async fn works_everywhere(&self) {
        for node in 0..NODES {
            let http = self.cluster.client(node);
            while check(&self.cluster, http, node, &self.live, Door::Auth).await != Answer::Accepted {
                sleep(Duration::from_millis(20)).await;
            }
        }
    }

    async fn end(&self, actors: &mut JoinSet<()>) {
        self.is_over.store(true, Ordering::SeqCst);
        while let Some(ended) = actors.join_next().await {
            ended.unwrap();
        }
        self.board.judge(self);
    }

    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }
}
