//! The faults that the linearizability test injects, one or two at a time.

use std::time::Duration;

use tokio::{task::spawn_blocking, time::sleep};

use super::{
    linearizability::TestRun,
    nodes::{Cluster, NODES},
    proxy::Mode,
};
use crate::support::postgres::ShutdownMode;

/// The time for which a node is paused.
const PAUSE_DURATION: Duration = Duration::from_secs(5);
/// The time for which the network between a node and the database is disturbed.
const NETWORK_FAULT_DURATION: Duration = Duration::from_secs(3);

/// A fault, with the node that it affects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// The process is paused with SIGSTOP and resumed.
    Pause(usize),
    /// The proxy between a node and the database stalls, resets or refuses connections.
    Network(usize, Mode),
    /// The database server is stopped and started again.
    RestartDatabase(ShutdownMode),
    /// The database terminates the LISTEN sessions of all nodes.
    EndSubscriptions,
    /// A node is killed, and a new one is started.
    KillAndReplace(usize),
    /// A new node is started, and then the old one is stopped.
    RollingReplace(usize),
}

impl Fault {
    /// Each kind of fault once.
    pub const ALL: [Self; 11] = [
        Self::None,
        Self::Pause(0),
        Self::Network(1, Mode::Stall),
        Self::Network(2, Mode::Reset),
        Self::Network(0, Mode::Refuse),
        Self::RestartDatabase(ShutdownMode::Fast),
        Self::RestartDatabase(ShutdownMode::Immediate),
        Self::RestartDatabase(ShutdownMode::Killed),
        Self::EndSubscriptions,
        Self::KillAndReplace(1),
        Self::RollingReplace(2),
    ];

    /// Returns the same fault for another node.
    pub fn on_node(self, node: usize) -> Self {
        match self {
            Self::Pause(_) => Self::Pause(node),
            Self::Network(_, mode) => Self::Network(node, mode),
            Self::KillAndReplace(_) => Self::KillAndReplace(node),
            Self::RollingReplace(_) => Self::RollingReplace(node),
            Self::None | Self::RestartDatabase(_) | Self::EndSubscriptions => self,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::None => "no fault",
            Self::Pause(_) => "node paused",
            Self::Network(_, Mode::Stall) => "database of a node stalls",
            Self::Network(_, Mode::Reset) => "database of a node resets",
            Self::Network(..) => "database of a node refuses",
            Self::RestartDatabase(ShutdownMode::Fast) => "database restarted, fast",
            Self::RestartDatabase(ShutdownMode::Immediate) => "database restarted, immediate",
            Self::RestartDatabase(ShutdownMode::Killed) => "database killed",
            Self::EndSubscriptions => "LISTEN sessions terminated",
            Self::KillAndReplace(_) => "node killed and replaced",
            Self::RollingReplace(_) => "rolling replacement of a node",
        }
    }

    /// Returns whether both faults may be active at once. A node cannot start without its database,
    /// and a node has at most one fault.
    pub fn is_compatible_with(self, other: Self) -> bool {
        let starts = |fault| matches!(fault, Self::KillAndReplace(_) | Self::RollingReplace(_));
        let stops = |fault| matches!(fault, Self::RestartDatabase(_));
        let nodes_differ = match (self.node(), other.node()) {
            (Some(one), Some(two)) => one != two,
            (None, None) => !(stops(self) || stops(other)),
            _ => true,
        };
        nodes_differ && !(starts(self) && stops(other) || stops(self) && starts(other))
    }

    fn node(self) -> Option<usize> {
        match self {
            Self::Pause(node) | Self::Network(node, _) | Self::KillAndReplace(node) | Self::RollingReplace(node) => {
                Some(node)
            }
            Self::None | Self::RestartDatabase(_) | Self::EndSubscriptions => None,
        }
    }

    /// Injects the fault and removes it. Recovery may take longer.
    pub async fn inject(self, run: &TestRun) {
        let cluster = &run.cluster;
        match self {
            Self::None => run.report.wait_for_revocations(60).await,
            Self::Pause(node) => {
                cluster.signal(node, "STOP");
                sleep(PAUSE_DURATION).await;
                cluster.signal(node, "CONT");
            }
            Self::Network(node, mode) => {
                cluster.set_proxy_mode(node, mode);
                sleep(NETWORK_FAULT_DURATION).await;
                cluster.set_proxy_mode(node, Mode::Pass);
            }
            Self::RestartDatabase(how) => cluster.restart_postgres(how).await,
            Self::EndSubscriptions => end_subscriptions(cluster).await,
            Self::KillAndReplace(node) => {
                cluster.signal(node, "KILL");
                cluster.replace_node(node).await;
            }
            Self::RollingReplace(node) => replace_gracefully(cluster, node).await,
        }
    }
}

async fn replace_gracefully(cluster: &Cluster, node: usize) {
    let old = cluster.replace_node(node).await;
    old.send_signal("TERM");
    let (code, log) = spawn_blocking(|| old.wait_for_exit()).await.unwrap();
    assert_eq!(code, Some(0), "{log}");
}

/// Waits until every node listens, and terminates all LISTEN sessions at once.
async fn end_subscriptions(cluster: &Cluster) {
    let listening = "select count(*) from pg_stat_activity where application_name = 'tokenward-listen'";
    while cluster.query_integer(listening).await < NODES as i64 {
        sleep(Duration::from_millis(20)).await;
    }
    let end =
        "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'tokenward-listen'";
    let ended = cluster.query_integer(end).await;
    assert!(ended >= NODES as i64, "only {ended} nodes listened");
}
