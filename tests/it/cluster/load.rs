//! Whoever takes rights away, one after another: always has some in stock that every node knows by heart.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time::timeout};

use super::{
    cluster::{NODES, client},
    linearizability::Scene,
    probes::volley,
    revocations::{Act, Admin, Outcome},
    tracked_grant::Right,
};

/// Rights that wait to be taken away, so that there are some from before a fault while it lasts.
const STOCK: usize = 30;
/// Between two acts, in which the machine belongs to the checks.
const BREATH: Duration = Duration::from_millis(80);
/// How long an act waits for its token to be known everywhere. Where a node is away it never will be.
const PATIENCE: Duration = Duration::from_millis(500);

struct Writer {
    scene: Arc<Scene>,
    http: reqwest::Client,
    home: usize,
    turn: usize,
    stock: VecDeque<Arc<Right>>,
    volleys: JoinSet<()>,
}

/// Prepares and acts until the scene is over, at one node, or at the next where an act failed.
pub async fn write(scene: Arc<Scene>, home: usize) {
    let mut writer = Writer { scene, http: client(), home, turn: 0, stock: VecDeque::new(), volleys: JoinSet::new() };
    while !writer.scene.is_over() {
        let grew = writer.stock.len() < STOCK && writer.prepare().await;
        if writer.stock.len() >= STOCK || !grew {
            writer.take_one_away().await;
            tokio::time::sleep(BREATH).await;
        }
    }
    while let Some(ended) = writer.volleys.join_next().await {
        ended.unwrap();
    }
}

impl Writer {
    fn admin_at(&self, node: usize) -> Admin<'_> {
        Admin { http: &self.http, url: self.scene.cluster.url(node), token: self.scene.cluster.admin() }
    }

    /// Makes one more right; tells whether that worked.
    async fn prepare(&mut self) -> bool {
        self.turn += 1;
        let act = Act::of_turn(self.turn);
        let made = self.admin_at(self.home).prepare(Some(act), &format!("n{}t{}", self.home, self.turn)).await;
        let right = match made {
            Ok(right) => Arc::new(right),
            Err(why) => {
                self.count_failed(act, why);
                return false;
            }
        };
        self.scene.board.watch(&right);
        self.stock.push_back(right);
        true
    }

    async fn take_one_away(&mut self) {
        let ripe = self.stock.iter().position(|right| right.is_ripe());
        let Some(right) = self.stock.remove(ripe.unwrap_or(0)) else { return };
        timeout(PATIENCE, right.ripens()).await.ok();
        let (was_ripe, during) = (right.is_ripe(), self.scene.record.is_faulty());
        let Some(act) = right.act else { return };
        // Checks that are under way while the act is, and then ones that begin after it.
        volley(&self.scene, &right, &mut self.volleys);
        let attempts = right.ask();
        let start = Instant::now();
        match self.admin_at((self.home + attempts) % NODES).act(act, &right).await {
            Outcome::Done => {
                right.take();
                let took = start.elapsed();
                volley(&self.scene, &right, &mut self.volleys);
                let timed = during && act == Act::DeleteToken;
                self.scene.record.count_act(act, was_ripe, timed.then_some(took));
            }
            Outcome::Gone => {
                assert!(attempts > 0, "{act:?} found nothing at {}", right.path);
                right.lose();
                self.scene.record.count(|tally| tally.gone += 1);
            }
            failed => {
                self.count_failed(act, failed);
                self.stock.push_back(right);
            }
        }
        while self.volleys.try_join_next().is_some() {}
    }

    fn count_failed(&self, act: Act, why: Outcome) {
        self.scene.record.count(|tally| {
            tally.failed += 1;
            if why == Outcome::Disowned {
                tally.false_refusals += 1;
                tally.tell(format!("{act:?}: whoever asked for it was refused"));
            }
        });
    }
}
