//! Continuous checks of all grants on every node.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use reqwest::Client;
use serde_json::Value;
use tokio::{sync::watch, task::JoinSet};

use super::{
    linearizability::TestRun,
    nodes::{Cluster, NODES},
    tracked_grant::{CheckRecord, CheckResult, TrackedGrant},
};

/// The pause of a checker after a failed check.
const RETRY_DELAY: Duration = Duration::from_millis(10);

/// An endpoint that checks a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `GET /v4/auth`
    Auth,
    /// `GET /v4/auth/admin`
    Admin,
    /// `POST /oauth2/introspect`
    Introspect,
    /// `GET /v4/people/current`
    Current,
}

impl Endpoint {
    /// Returns the endpoints that a grant gives access to. A demotion affects other endpoints than
    /// a revocation.
    pub fn for_grant(grant: &TrackedGrant) -> &'static [Self] {
        if grant.is_demotion() {
            &[Self::Admin, Self::Introspect]
        } else {
            &[Self::Auth, Self::Introspect, Self::Current]
        }
    }

    async fn send(
        self,
        http: &Client,
        url: &str,
        grant: &TrackedGrant,
        caller_token: &str,
    ) -> reqwest::Result<(u16, Value)> {
        let get = |path| http.get(format!("{url}{path}")).bearer_auth(&grant.token);
        let request = match self {
            Self::Auth => get("/v4/auth"),
            Self::Admin => get("/v4/auth/admin"),
            Self::Current => get("/v4/people/current"),
            Self::Introspect => {
                let form = http.post(format!("{url}/oauth2/introspect")).bearer_auth(caller_token);
                let form = form.header("content-type", "application/x-www-form-urlencoded");
                form.body(format!("token={}", grant.token))
            }
        };
        let reply = request.send().await?;
        let status = reply.status().as_u16();
        let body = reply.bytes().await?;
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }

    fn classify(self, grant: &TrackedGrant, status: u16, body: &Value) -> CheckResult {
        let accepted_if = |yes| if yes { CheckResult::Accepted } else { CheckResult::Rejected };
        match (status, self) {
            (503, _) => CheckResult::Unavailable,
            (200, Self::Introspect) if !grant.is_demotion() => accepted_if(body["active"] == true),
            (200, Self::Introspect) if body["active"] == true => accepted_if(body["tokenward_is_admin"] == true),
            (200, Self::Introspect) | (401, Self::Introspect | Self::Admin) => CheckResult::WrongCredential,
            (200, _) => CheckResult::Accepted,
            (401, _) | (403, Self::Admin) => CheckResult::Rejected,
            (404, Self::Current) => CheckResult::OwnerMissing,
            (status, _) => CheckResult::Unexpected(status),
        }
    }
}

/// Checks a grant with one endpoint of one node, and records the result.
pub async fn check(
    cluster: &Cluster,
    http: &Client,
    node: usize,
    grant: &TrackedGrant,
    endpoint: Endpoint,
) -> CheckResult {
    let url = cluster.url(node);
    let start = Instant::now();
    let response = endpoint.send(http, &url, grant, cluster.admin_token()).await;
    let end = Instant::now();
    let result = response.map_or(CheckResult::NoResponse, |(status, body)| endpoint.classify(grant, status, &body));
    grant.record_check(CheckRecord { node, endpoint, start, end, result });
    result
}

/// Starts a check of a grant on every node at this time, with each of its endpoints.
pub fn check_everywhere(run: &Arc<TestRun>, grant: &Arc<TrackedGrant>, at: Instant, checks: &mut JoinSet<()>) {
    for node in 0..NODES {
        let (run, grant) = (Arc::clone(run), Arc::clone(grant));
        checks.spawn(async move {
            tokio::time::sleep_until(at.into()).await;
            for endpoint in Endpoint::for_grant(&grant) {
                check(&run.cluster, run.cluster.client(node), node, &grant, *endpoint).await;
            }
        });
    }
}

/// The grants that are checked continuously.
#[derive(Debug)]
pub struct WatchList {
    watched: Mutex<Vec<Arc<TrackedGrant>>>,
    /// Grants that were removed at the last verification. One check of each may still have been
    /// running then.
    retiring: Mutex<Vec<Arc<TrackedGrant>>>,
    /// The number of completed sweeps per node.
    sweeps: [watch::Sender<u64>; NODES],
}

impl WatchList {
    pub fn new() -> Self {
        Self {
            watched: Mutex::default(),
            retiring: Mutex::default(),
            sweeps: std::array::from_fn(|_| watch::Sender::new(0)),
        }
    }

    pub fn watch(&self, grant: &Arc<TrackedGrant>) {
        self.watched().push(Arc::clone(grant));
    }

    /// Waits until every grant was checked on every node.
    pub async fn wait_for_full_sweep(&self) {
        join_all(self.sweeps.iter().map(async |sweeps| {
            let mut sweeps = sweeps.subscribe();
            // The current sweep started earlier, so only the next one is complete.
            let enough = *sweeps.borrow() + 2;
            sweeps.wait_for(|sweeps| *sweeps >= enough).await.unwrap();
        }))
        .await;
    }

    /// Verifies the checks since the last call, and removes revoked grants from the list.
    pub fn verify(&self, run: &TestRun) {
        let mut watched = self.watched();
        let mut retiring = self.retiring.lock().unwrap();
        run.report.update(|tally| watched.iter().chain(retiring.iter()).for_each(|grant| grant.verify_checks(tally)));
        *retiring = watched.extract_if(.., |grant| grant.is_finished()).collect();
    }

    fn watched(&self) -> MutexGuard<'_, Vec<Arc<TrackedGrant>>> {
        self.watched.lock().unwrap()
    }
}

/// Checks all watched grants on one node in turn, alternating the endpoints.
pub async fn sweep(run: Arc<TestRun>, node: usize) {
    let http = super::nodes::client();
    for turn in 0.. {
        let watched = run.watch_list.watched().clone();
        for (n, grant) in watched.iter().enumerate() {
            if run.is_stopped() {
                return;
            }
            let endpoints = Endpoint::for_grant(grant);
            let result = check(&run.cluster, &http, node, grant, endpoints[(turn + n) % endpoints.len()]).await;
            if matches!(result, CheckResult::Unavailable | CheckResult::NoResponse) {
                tokio::time::sleep(RETRY_DELAY).await;
            }
        }
        run.watch_list.sweeps[node].send_modify(|sweeps| *sweeps += 1);
        tokio::task::yield_now().await;
    }
}
