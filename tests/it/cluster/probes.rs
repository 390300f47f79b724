//! Checks of rights, on every node and without pause.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use reqwest::Client;
use serde_json::Value;
use tokio::{sync::watch, task::JoinSet};

use super::{
    cluster::{Cluster, NODES},
    linearizability::Scene,
    tracked_grant::{Answer, Check, Right},
};

/// How long a client waits after it got no answer, so as not to keep the machine busy with nothing.
const BREATH: Duration = Duration::from_millis(10);

/// Where a token may be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// `GET /v4/auth`
    Auth,
    /// `GET /v4/auth/admin`
    Admin,
    /// `POST /oauth2/introspect`
    Introspect,
    /// `GET /v4/people/current`
    Current,
}

impl Door {
    /// The doors that a right opens: to be an administrator opens others than to be there at all.
    pub fn of(right: &Right) -> &'static [Self] {
        if right.is_demotion() {
            &[Self::Admin, Self::Introspect]
        } else {
            &[Self::Auth, Self::Introspect, Self::Current]
        }
    }

    async fn ask(self, http: &Client, url: &str, right: &Right, asker: &str) -> reqwest::Result<(u16, Value)> {
        let get = |path| http.get(format!("{url}{path}")).bearer_auth(&right.token);
        let request = match self {
            Self::Auth => get("/v4/auth"),
            Self::Admin => get("/v4/auth/admin"),
            Self::Current => get("/v4/people/current"),
            Self::Introspect => {
                let form = http.post(format!("{url}/oauth2/introspect")).bearer_auth(asker);
                let form = form.header("content-type", "application/x-www-form-urlencoded");
                form.body(format!("token={}", right.token))
            }
        };
        let reply = request.send().await?;
        let status = reply.status().as_u16();
        let body = reply.bytes().await?;
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }

    fn read(self, right: &Right, status: u16, body: &Value) -> Answer {
        let accepted_if = |yes| if yes { Answer::Accepted } else { Answer::Refused };
        match (status, self) {
            (503, _) => Answer::Unavailable,
            (200, Self::Introspect) if !right.is_demotion() => accepted_if(body["active"] == true),
            (200, Self::Introspect) if body["active"] == true => accepted_if(body["tokenward_is_admin"] == true),
            (200, Self::Introspect) | (401, Self::Introspect | Self::Admin) => Answer::Disowned,
            (200, _) => Answer::Accepted,
            (401, _) | (403, Self::Admin) => Answer::Refused,
            (404, Self::Current) => Answer::Orphaned,
            (status, _) => Answer::Odd(status),
        }
    }
}

/// Asks one node about a right, by one door, and notes what it said.
pub async fn check(cluster: &Cluster, http: &Client, node: usize, right: &Right, door: Door) -> Answer {
    let url = cluster.url(node);
    let start = Instant::now();
    let said = door.ask(http, &url, right, cluster.admin()).await;
    let end = Instant::now();
    let answer = said.map_or(Answer::Broken, |(status, body)| door.read(right, status, &body));
    right.note(Check { node, door, start, end, answer });
    answer
}

/// Asks every node about a right at the same time, and each by every door.
pub fn volley(scene: &Arc<Scene>, right: &Arc<Right>, volleys: &mut JoinSet<()>) {
    for node in 0..NODES {
        let (scene, right) = (Arc::clone(scene), Arc::clone(right));
        volleys.spawn(async move {
            for door in Door::of(&right) {
                check(&scene.cluster, scene.cluster.client(node), node, &right, *door).await;
            }
        });
    }
}

/// The rights that are checked all the time.
#[derive(Debug)]
pub struct Board {
    watched: Mutex<Vec<Arc<Right>>>,
    /// Were watched until the last verdict; a check may have been under way then.
    leaving: Mutex<Vec<Arc<Right>>>,
    /// How often each node has been asked about all of them.
    sweeps: [watch::Sender<u64>; NODES],
}

impl Board {
    pub fn new() -> Self {
        Self {
            watched: Mutex::default(),
            leaving: Mutex::default(),
            sweeps: std::array::from_fn(|_| watch::Sender::new(0)),
        }
    }

    pub fn watch(&self, right: &Arc<Right>) {
        self.watched().push(Arc::clone(right));
    }

    /// Completes when every node has been asked about everything once more.
    pub async fn all_checked(&self) {
        join_all(self.sweeps.iter().map(async |sweeps| {
            let mut sweeps = sweeps.subscribe();
            // The sweep under way began before; only the one after it is whole.
            let enough = *sweeps.borrow() + 2;
            sweeps.wait_for(|sweeps| *sweeps >= enough).await.unwrap();
        }))
        .await;
    }

    /// The verdict on what was seen since the last one. Rights that are past are watched no more.
    pub fn judge(&self, scene: &Scene) {
        let mut watched = self.watched();
        let mut leaving = self.leaving.lock().unwrap();
        scene.record.count(|tally| watched.iter().chain(leaving.iter()).for_each(|right| right.judge(tally)));
        *leaving = watched.extract_if(.., |right| right.is_past()).collect();
    }

    fn watched(&self) -> MutexGuard<'_, Vec<Arc<Right>>> {
        self.watched.lock().unwrap()
    }
}

/// Asks one node about all that is watched, over and over, by one door after the other.
pub async fn sweep(scene: Arc<Scene>, node: usize) {
    let http = super::cluster::client();
    for turn in 0.. {
        let watched = scene.board.watched().clone();
        for (n, right) in watched.iter().enumerate() {
            if scene.is_over() {
                return;
            }
            let doors = Door::of(right);
            let answer = check(&scene.cluster, &http, node, right, doors[(turn + n) % doors.len()]).await;
            if matches!(answer, Answer::Unavailable | Answer::Broken) {
                tokio::time::sleep(BREATH).await;
            }
        }
        scene.board.sweeps[node].send_modify(|sweeps| *sweeps += 1);
        tokio::task::yield_now().await;
    }
}
