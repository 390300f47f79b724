//! Three nodes on one PostgreSQL, each behind a proxy of its own.

use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::task::spawn_blocking;

use super::proxy::{Mode, Proxy};
use crate::support::{
    binary::{Running, command},
    http_client,
    postgres::{End, Server},
};

pub const NODES: usize = 3;
const DATABASE: &str = "tokenward";

/// The nodes, and whoever administers them.
pub struct Cluster {
    nodes: Vec<Node>,
    postgres: tokio::sync::Mutex<Server>,
    postgres_port: u16,
    admin: String,
}

struct Node {
    proxy: Proxy,
    running: Mutex<Running>,
    http: reqwest::Client,
}

/// A client that keeps its connections, and waits as long as a patient caller would.
pub fn client() -> reqwest::Client {
    // The first call chooses the provider of cryptography.
    drop(http_client());
    reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap()
}

/// Starts a node whose database is behind this port.
async fn join(port: u16) -> Running {
    let mut serve = command(&Server::url_by(port, DATABASE));
    serve.env("RUST_LOG", "warn");
    spawn_blocking(|| Running::start_with(serve)).await.unwrap()
}

impl Cluster {
    pub async fn start() -> Self {
        let postgres = spawn_blocking(Server::durable).await.unwrap();
        let postgres_port = postgres.port;
        administer(postgres_port, "postgres", &format!("create database {DATABASE}")).await;
        let (mut nodes, mut admin) = (Vec::new(), String::new());
        for _ in 0..NODES {
            let proxy = Proxy::before(postgres_port).await;
            let (running, http) = (join(proxy.port).await, client());
            let made = running.make_token(&http).await.expect("the administrator's token");
            made["tokenValue"].as_str().unwrap().clone_into(&mut admin);
            nodes.push(Node { proxy, running: Mutex::new(running), http });
        }
        Self { nodes, postgres: tokio::sync::Mutex::new(postgres), postgres_port, admin }
    }

    /// A token of the administrator that is never taken away.
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// Where a node answers.
    pub fn url(&self, node: usize) -> String {
        self.nodes[node].running().url.clone()
    }

    pub fn postgres_port(&self) -> u16 {
        self.postgres_port
    }

    /// Where a role that may log in finds the database.
    pub fn url_of(&self, role: &str) -> String {
        Server::url_by(self.postgres_port, DATABASE).replace("postgres@", &format!("{role}@"))
    }

    /// A client for one node that any number of callers share.
    pub fn client(&self, node: usize) -> &reqwest::Client {
        &self.nodes[node].http
    }

    /// Tells the proxy between a node and the database what to do.
    pub fn switch(&self, node: usize, mode: Mode) {
        self.nodes[node].proxy.switch(mode);
    }

    pub fn signal(&self, node: usize, signal: &str) {
        self.nodes[node].running().signal(signal);
    }

    /// Starts a new node in the place of one, and gives the old one back.
    pub async fn replace(&self, node: usize) -> Running {
        let new = join(self.nodes[node].proxy.port).await;
        std::mem::replace(&mut *self.nodes[node].running(), new)
    }

    /// Ends PostgreSQL and starts it again.
    pub async fn restart_postgres(&self, how: End) {
        let mut server = self.postgres.lock().await;
        tokio::task::block_in_place(|| {
            server.end(how);
            server.start_again();
        });
    }

    /// Asks the database for a number, not by way of a proxy.
    pub async fn ask(&self, question: &'static str) -> i64 {
        let mut connection = PgConnection::connect(&Server::url_by(self.postgres_port, DATABASE)).await.unwrap();
        let answer = sqlx::query_scalar(question).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        answer
    }
}

impl Node {
    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap()
    }
}

/// Runs a statement, on the server that is behind this port.
pub async fn administer(port: u16, database: &str, statement: &str) {
    let mut connection = PgConnection::connect(&Server::url_by(port, database)).await.unwrap();
    connection.execute(AssertSqlSafe(statement)).await.unwrap();
    connection.close().await.unwrap();
}
