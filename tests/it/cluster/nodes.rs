//! A cluster of three nodes on one PostgreSQL, each connected through its own proxy.

use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::task::spawn_blocking;

use super::proxy::{Mode, Proxy};
use crate::support::{
    binary::{ServerProcess, tokenward_command},
    http_client,
    postgres::{PostgresServer, ShutdownMode},
};

pub const NODES: usize = 3;
const DATABASE: &str = "tokenward";

/// Three nodes, their database server, and an administrator token.
pub struct Cluster {
    nodes: Vec<Node>,
    postgres: tokio::sync::Mutex<PostgresServer>,
    postgres_port: u16,
    admin_token: String,
}

struct Node {
    proxy: Proxy,
    running: Mutex<ServerProcess>,
    http: reqwest::Client,
}

/// Returns a client that keeps its connections and has a timeout of ten seconds.
pub fn client() -> reqwest::Client {
    // The first call installs the cryptography provider.
    drop(http_client());
    reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap()
}

/// Starts a node that connects to the database through this port.
async fn start_node(port: u16) -> ServerProcess {
    let mut serve = tokenward_command(&PostgresServer::url_via_port(port, DATABASE));
    serve.env("RUST_LOG", "warn,tokenward::cli=info");
    spawn_blocking(|| ServerProcess::start_with(serve)).await.unwrap()
}

impl Cluster {
    pub async fn start() -> Self {
        let postgres = spawn_blocking(PostgresServer::durable).await.unwrap();
        let postgres_port = postgres.port;
        execute_sql(postgres_port, "postgres", &format!("create database {DATABASE}")).await;
        let mut nodes = Vec::new();
        let mut admin_token = String::new();
        for _ in 0..NODES {
            let proxy = Proxy::start(postgres_port).await;
            let (running, http) = (start_node(proxy.port).await, client());
            let created = running.create_token(&http).await.expect("an administrator token");
            created["tokenValue"].as_str().unwrap().clone_into(&mut admin_token);
            nodes.push(Node { proxy, running: Mutex::new(running), http });
        }
        Self { nodes, postgres: tokio::sync::Mutex::new(postgres), postgres_port, admin_token }
    }

    /// Returns an administrator token that no test revokes.
    pub fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// Returns the URL of a node.
    pub fn url(&self, node: usize) -> String {
        self.nodes[node].running().url.clone()
    }

    pub fn postgres_port(&self) -> u16 {
        self.postgres_port
    }

    /// Returns the database URL for another role.
    pub fn url_for_role(&self, role: &str) -> String {
        PostgresServer::url_via_port(self.postgres_port, DATABASE).replace("postgres@", &format!("{role}@"))
    }

    /// Returns the shared client for one node.
    pub fn client(&self, node: usize) -> &reqwest::Client {
        &self.nodes[node].http
    }

    /// Sets the mode of the proxy between a node and the database.
    pub fn set_proxy_mode(&self, node: usize, mode: Mode) {
        self.nodes[node].proxy.set_mode(mode);
    }

    pub fn signal(&self, node: usize, signal: &str) {
        self.nodes[node].running().send_signal(signal);
    }

    /// Starts a new node in place of another, and returns the old one.
    pub async fn replace_node(&self, node: usize) -> ServerProcess {
        let new = start_node(self.nodes[node].proxy.port).await;
        std::mem::replace(&mut *self.nodes[node].running(), new)
    }

    /// Stops PostgreSQL and starts it again.
    pub async fn restart_postgres(&self, shutdown: ShutdownMode) {
        let mut server = self.postgres.lock().await;
        tokio::task::block_in_place(|| {
            server.stop(shutdown);
            server.start_again();
        });
    }

    /// Runs a query for one integer on a direct connection.
    pub async fn query_integer(&self, query: &'static str) -> i64 {
        let mut connection =
            PgConnection::connect(&PostgresServer::url_via_port(self.postgres_port, DATABASE)).await.unwrap();
        let result = sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        result
    }
}

impl Node {
    fn running(&self) -> MutexGuard<'_, ServerProcess> {
        self.running.lock().unwrap()
    }
}

/// Runs a statement on the server at this port.
pub async fn execute_sql(port: u16, database: &str, statement: &str) {
    let mut connection = PgConnection::connect(&PostgresServer::url_via_port(port, database)).await.unwrap();
    connection.execute(AssertSqlSafe(statement)).await.unwrap();
    connection.close().await.unwrap();
}
