//! What goes wrong, one thing at a time or two.

use std::time::Duration;

use tokio::{task::spawn_blocking, time::sleep};

use super::{
    cluster::{Cluster, NODES},
    linearizability::Scene,
    proxy::Mode,
};
use crate::support::postgres::End;

/// How long a node stands still.
const FREEZE: Duration = Duration::from_secs(5);
/// How long a node's way to the database is cut.
const CUT: Duration = Duration::from_secs(3);

/// A fault, and of which node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Nothing,
    /// The process stands still and goes on, and does not know that it stood still.
    Freeze(usize),
    /// What lies between a node and the database holds, resets or refuses connections.
    Cut(usize, Mode),
    /// The database is ended and started again.
    Restart(End),
    /// Connections on which nodes listen to each other are ended by the database.
    EndEars,
    /// A node is killed, and then a new one comes.
    Kill(usize),
    /// A new node comes, and the old one is stopped.
    Relieve(usize),
}

impl Fault {
    /// Each kind once.
    pub const EACH: [Self; 11] = [
        Self::Nothing,
        Self::Freeze(0),
        Self::Cut(1, Mode::Stall),
        Self::Cut(2, Mode::Reset),
        Self::Cut(0, Mode::Refuse),
        Self::Restart(End::Fast),
        Self::Restart(End::Immediate),
        Self::Restart(End::Killed),
        Self::EndEars,
        Self::Kill(1),
        Self::Relieve(2),
    ];

    /// The same fault of another node.
    pub fn at(self, node: usize) -> Self {
        match self {
            Self::Freeze(_) => Self::Freeze(node),
            Self::Cut(_, mode) => Self::Cut(node, mode),
            Self::Kill(_) => Self::Kill(node),
            Self::Relieve(_) => Self::Relieve(node),
            Self::Nothing | Self::Restart(_) | Self::EndEars => self,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "no fault",
            Self::Freeze(_) => "a node stands still",
            Self::Cut(_, Mode::Stall) => "a node's database stalls",
            Self::Cut(_, Mode::Reset) => "a node's database resets",
            Self::Cut(..) => "a node's database refuses",
            Self::Restart(End::Fast) => "the database restarts",
            Self::Restart(End::Immediate) => "the database breaks off",
            Self::Restart(End::Killed) => "the database is killed",
            Self::EndEars => "listening connections end",
            Self::Kill(_) => "a node is killed, one comes",
            Self::Relieve(_) => "a node comes, one is stopped",
        }
    }

    /// Whether both may be under way at once: a node that starts needs its database, and one node has one fault.
    pub fn goes_with(self, other: Self) -> bool {
        let starts = |fault| matches!(fault, Self::Kill(_) | Self::Relieve(_));
        let stops = |fault| matches!(fault, Self::Restart(_));
        let apart = match (self.node(), other.node()) {
            (Some(one), Some(two)) => one != two,
            (None, None) => !(stops(self) || stops(other)),
            _ => true,
        };
        apart && !(starts(self) && stops(other) || stops(self) && starts(other))
    }

    fn node(self) -> Option<usize> {
        match self {
            Self::Freeze(node) | Self::Cut(node, _) | Self::Kill(node) | Self::Relieve(node) => Some(node),
            Self::Nothing | Self::Restart(_) | Self::EndEars => None,
        }
    }

    /// Happens, and is over when this completes; what it did may need longer to be mended.
    pub async fn happen(self, scene: &Scene) {
        let cluster = &scene.cluster;
        match self {
            Self::Nothing => scene.record.acts_go_on(60).await,
            Self::Freeze(node) => {
                cluster.signal(node, "STOP");
                sleep(FREEZE).await;
                cluster.signal(node, "CONT");
            }
            Self::Cut(node, mode) => {
                cluster.switch(node, mode);
                sleep(CUT).await;
                cluster.switch(node, Mode::Pass);
            }
            Self::Restart(how) => cluster.restart_postgres(how).await,
            Self::EndEars => end_ears(cluster).await,
            Self::Kill(node) => {
                cluster.signal(node, "KILL");
                cluster.replace(node).await;
            }
            Self::Relieve(node) => relieve(cluster, node).await,
        }
    }
}

async fn relieve(cluster: &Cluster, node: usize) {
    let old = cluster.replace(node).await;
    old.signal("TERM");
    let (code, log) = spawn_blocking(|| old.wait()).await.unwrap();
    assert_eq!(code, Some(0), "{log}");
}

/// Waits until every node listens, and ends all of that at once.
async fn end_ears(cluster: &Cluster) {
    let listening = "select count(*) from pg_stat_activity where application_name = 'tokenward-ear'";
    while cluster.ask(listening).await < NODES as i64 {
        sleep(Duration::from_millis(20)).await;
    }
    let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'tokenward-ear'";
    let ended = cluster.ask(end).await;
    assert!(ended >= NODES as i64, "{ended} of the nodes listened");
}
