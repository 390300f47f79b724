//! A model of the protocol: random interleavings of nodes that pause, lose their connection and
//! replay messages, with clocks of different speed and delayed database statements.
//!
//! The notification queue, the node rows, the stored token and the time are simulated. The cache
//! with its lease, [`NodeState`](super::node_state::NodeState) and the messages are the production
//! code.

mod node;
mod world;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use proptest::{prelude::*, strategy::ValueTree as _};

use super::message_keys::{MessageKeys, test_keys};
use node::ModelNode;
use world::World;

const NODES: usize = 3;
const LEASE_MILLIS: u64 = 2_000;
const LEASE: Duration = Duration::from_millis(LEASE_MILLIS);
const PERSON: i64 = 7;

/// A step of an interleaving. The number is that of a node, unless stated otherwise.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Advances the time by this number of milliseconds.
    AdvanceTime(u16),
    /// Sends a lease request, which a later step executes, if any.
    RequestLease(usize),
    /// Executes the lease request in the database.
    ExecuteRequest(usize),
    /// Receives the next notification.
    Receive(usize),
    /// Breaks the connection. The node does not notice yet.
    BreakConnection(usize),
    /// Notices that the connection is broken, and opens a new one.
    Reconnect(usize),
    /// Pauses or resumes a node.
    TogglePause(usize),
    /// Begins or ends a database read.
    ReadDatabase(usize),
    /// Begins a check, tests its lease, or reads the cache for it.
    Check(usize),
    /// Disables the person, or enables them again, and pings the nodes.
    StartOperation,
    /// Returns from the operation, if its barrier allows that.
    FinishOperation,
    /// Replays the notification with this number.
    Replay(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let node = || 0..NODES;
    prop_oneof![
        4 => (0..400u16).prop_map(Step::AdvanceTime),
        6 => node().prop_map(Step::RequestLease),
        6 => node().prop_map(Step::ExecuteRequest),
        16 => node().prop_map(Step::Receive),
        1 => node().prop_map(Step::BreakConnection),
        3 => node().prop_map(Step::Reconnect),
        2 => node().prop_map(Step::TogglePause),
        10 => node().prop_map(Step::ReadDatabase),
        16 => node().prop_map(Step::Check),
        2 => Just(Step::StartOperation),
        4 => Just(Step::FinishOperation),
        4 => any::<usize>().prop_map(Step::Replay),
    ]
}

struct Model {
    world: World,
    /// The true time, from which the clocks of the nodes derive theirs.
    time: Arc<AtomicU64>,
    nodes: Vec<ModelNode>,
    /// Operations wait for the barrier. Without that, the model must find stale accepts.
    waits: bool,
    /// Checks that were accepted.
    accepted: usize,
    /// Checks that were accepted although they began after the revocation had returned.
    stale: usize,
}

impl Model {
    fn new(waits: bool) -> Self {
        let time = Arc::new(AtomicU64::new(1_000));
        let nodes = (0..NODES).map(|n| ModelNode::new(n, &time)).collect();
        Self { world: World::at(1_000), time, nodes, waits, accepted: 0, stale: 0 }
    }

    fn run(steps: &[Step], waits: bool) -> Self {
        let mut model = Self::new(waits);
        steps.iter().for_each(|step| model.execute(*step));
        model
    }

    fn execute(&mut self, step: Step) {
        let world = &mut self.world;
        match step {
            Step::AdvanceTime(millis) => {
                world.now += u64::from(millis);
                self.time.store(world.now, Ordering::SeqCst);
            }
            Step::TogglePause(n) => self.nodes[n].is_paused = !self.nodes[n].is_paused,
            Step::BreakConnection(n) => self.nodes[n].is_disconnected = true,
            Step::ExecuteRequest(n) => self.nodes[n].execute_request(world),
            Step::StartOperation => world.start_operation(),
            Step::FinishOperation => world.finish_operation(self.waits),
            Step::Replay(n) => world.replay(n),
            Step::RequestLease(n) | Step::Receive(n) | Step::Reconnect(n) | Step::ReadDatabase(n) | Step::Check(n) => {
                if !self.nodes[n].is_paused {
                    self.execute_on_node(n, step);
                }
            }
        }
    }

    fn execute_on_node(&mut self, n: usize, step: Step) {
        let world = &mut self.world;
        let node = &mut self.nodes[n];
        match step {
            Step::RequestLease(_) => node.request_lease(world),
            Step::Receive(_) => node.receive(world),
            Step::Reconnect(_) => node.reconnect(world),
            Step::ReadDatabase(_) => node.read_database(world),
            _ => {
                if let Some(started_at) = node.check(world) {
                    self.accepted += 1;
                    self.stale += usize::from(world.revoked_at.is_some_and(|revoked_at| started_at > revoked_at));
                }
            }
        }
    }
}

fn keys() -> MessageKeys {
    test_keys(1, None)
}

/// Returns the number of interleavings to test, which `TOKENWARD_MODEL_CASES` sets.
fn cases() -> u32 {
    std::env::var("TOKENWARD_MODEL_CASES").map_or(150, |text| text.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_revoked_right_is_accepted(steps in prop::collection::vec(step(), 1_000)) {
        prop_assert_eq!(Model::run(&steps, true).stale, 0);
    }
}

/// Shows that the model can fail, and that it accepts checks at all.
#[test]
fn without_the_barrier_a_revoked_right_is_accepted() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut accepted = 0;
    let mut stale = 0;
    for _ in 0..200 {
        let steps = prop::collection::vec(step(), 1_000).new_tree(&mut runner).unwrap().current();
        accepted += Model::run(&steps, true).accepted;
        stale += Model::run(&steps, false).stale;
    }
    assert!(accepted > 500, "{accepted} checks were accepted");
    assert!(stale > 10, "{stale} stale accepts were found");
}
