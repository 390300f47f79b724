//! PgBouncer between a node and its database: in transaction mode nobody can listen through it. The node finds that out, says
//! so, and reads the database for each check.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::support::{
    PASSWORD,
    binary::{Running, command},
    http_client,
    postgres::{Server, free_port, unprivileged},
};

const DATABASE: &str = "tokenward";

/// A PgBouncer before a server of the test's own. It ends when this is dropped.
struct Pooler {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Pooler {
    fn before(server: u16) -> Self {
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
        if let Some((uid, gid)) = unprivileged(folder.path()) {
            chown(folder.path(), Some(uid), Some(gid)).unwrap();
            pgbouncer.uid(uid).gid(gid).current_dir("/");
        }
        let process = pgbouncer.spawn().unwrap();
        let begun = std::time::Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "PgBouncer listens");
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

/// A node whose lease is short: whoever cannot hear the others waits one for each act.
fn node(url: &str) -> Running {
    let mut serve = command(url);
    serve.env("TOKENWARD_CACHE__LEASE_MS", "500").env("TOKENWARD_DATABASE__MAX_CONNECTIONS", "1");
    Running::start_with(serve)
}

async fn status(node: &Running, token: &Value) -> u16 {
    let check = http_client().get(format!("{}/v4/auth", node.url)).bearer_auth(token["tokenValue"].as_str().unwrap());
    check.send().await.unwrap().status().as_u16()
}

async fn delete(node: &Running, token: &Value) {
    let path = format!("{}/v4/apiAccessTokens/{}", node.url, token["tokenInfo"]["tokenId"].as_str().unwrap());
    let gone = http_client().delete(path).basic_auth("admin@example.com", Some(PASSWORD)).send().await.unwrap();
    assert_eq!(gone.status(), 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_pooler_that_breaks_listen_a_node_reads_and_says_so() {
    let (server, pooler) = tokio::task::block_in_place(|| {
        let server = Server::durable();
        let pooler = Pooler::before(server.port);
        (server, pooler)
    });
    super::cluster::administer(server.port, "postgres", &format!("create database {DATABASE}")).await;
    let direct = node(&Server::url_by(server.port, DATABASE));
    // Statements that are prepared would be looked for on another connection.
    let pooled = node(&format!("{}?statement-cache-capacity=0", Server::url_by(pooler.port, DATABASE)));
    let says_so = async {
        while !pooled.log().lines().any(|line| {
            line.contains("WARN") && line.contains("LISTEN does not work") && line.contains("checks read the database")
        }) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), says_so)
        .await
        .unwrap_or_else(|_| panic!("the node says that it reads: {}", pooled.log()));
    for round in 0..40 {
        let token = direct.make_token(&http_client()).await.expect("a token");
        for node in [&direct, &pooled, &direct, &pooled] {
            assert_eq!(status(node, &token).await, 200);
        }
        delete(if round % 5 == 0 { &pooled } else { &direct }, &token).await;
        for node in [&direct, &pooled] {
            assert_eq!(status(node, &token).await, 401, "round {round}");
        }
    }
}
