//! PgBouncer in transaction mode between a node and its database. LISTEN does not work through it;
//! the node detects that, logs a warning, and reads the database for each check.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::support::{
    PASSWORD,
    binary::{ServerProcess, tokenward_command},
    http_client,
    postgres::{PostgresServer, free_port, unprivileged_user},
};

const DATABASE: &str = "tokenward";

/// A PgBouncer in front of a database server. It is stopped when dropped.
struct Pooler {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Pooler {
    fn start(server: u16) -> Self {
        use std::os::unix::{fs::chown, process::CommandExt as _};
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].into_iter().find(|path| Path::new(path).exists());
        let program = program.expect("this test needs PgBouncer: scripts/test installs it");
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={server} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 1\n\
             ignore_startup_parameters = options, extra_float_digits\n"
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).unwrap();
        let mut pgbouncer = Command::new(program);
        pgbouncer.arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((uid, gid)) = unprivileged_user(folder.path()) {
            chown(folder.path(), Some(uid), Some(gid)).unwrap();
            pgbouncer.uid(uid).gid(gid).current_dir("/");
        }
        let process = pgbouncer.spawn().unwrap();
        let start = std::time::Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(30), "PgBouncer did not start");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { process, port, _folder: folder }
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Starts a node with a short lease. A node that receives no messages waits one lease for each
/// revocation.
fn start_node(url: &str) -> ServerProcess {
    let mut serve = tokenward_command(url);
    serve.env("TOKENWARD_CACHE__LEASE_DURATION", "500ms").env("TOKENWARD_DATABASE__MAX_CONNECTIONS", "1");
    ServerProcess::start_with(serve)
}

async fn check_status(node: &ServerProcess, token: &Value) -> u16 {
    let check = http_client().get(format!("{}/v4/auth", node.url)).bearer_auth(token["tokenValue"].as_str().unwrap());
    check.send().await.unwrap().status().as_u16()
}

async fn delete_token(node: &ServerProcess, token: &Value) {
    let path = format!("{}/v4/apiAccessTokens/{}", node.url, token["tokenInfo"]["tokenId"].as_str().unwrap());
    let response = http_client().delete(path).basic_auth("admin@example.com", Some(PASSWORD)).send().await.unwrap();
    assert_eq!(response.status(), 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_behind_a_transaction_pooler_reads_the_database_and_warns() {
    let (server, pooler) = tokio::task::block_in_place(|| {
        let server = PostgresServer::durable();
        let pooler = Pooler::start(server.port);
        (server, pooler)
    });
    super::nodes::execute_sql(server.port, "postgres", &format!("create database {DATABASE}")).await;
    let direct = start_node(&PostgresServer::url_via_port(server.port, DATABASE));
    // Prepared statements do not exist on the other connections of the pool.
    let pooled =
        start_node(&format!("{}?statement-cache-capacity=0", PostgresServer::url_via_port(pooler.port, DATABASE)));
    let warning = async {
        while !pooled.log().lines().any(|line| {
            line.contains("WARN") && line.contains("LISTEN does not work") && line.contains("checks read the database")
        }) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), warning)
        .await
        .unwrap_or_else(|_| panic!("the node logged no warning: {}", pooled.log()));
    for round in 0..40 {
        let token = direct.create_token(&http_client()).await.expect("a token");
        for node in [&direct, &pooled, &direct, &pooled] {
            assert_eq!(check_status(node, &token).await, 200);
        }
        delete_token(if round % 5 == 0 { &pooled } else { &direct }, &token).await;
        for node in [&direct, &pooled] {
            assert_eq!(check_status(node, &token).await, 401, "round {round}");
        }
    }
}
