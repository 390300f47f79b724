//! NOTIFY requires no privilege, so every role of the server can send messages to the nodes and
//! receive theirs. A hostile role cannot cause a stale accept, block a revocation, or empty the
//! cache, and learns nothing about tokens.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};
use sqlx::{Connection as _, PgConnection};
use tokio::{task::spawn_blocking, time::sleep};
use uuid::Uuid;

use super::{
    nodes::{Cluster, NODES, execute_sql},
    probes::{Endpoint, check},
    proxy::Mode,
    revocations::{Admin, Revocation, RevocationOutcome},
    tracked_grant::{CheckResult, TrackedGrant},
    unprivileged_role::{CHANNEL, UnprivilegedRole, forged_messages, notify},
};
use crate::support::{
    Database, Engine, TestApp,
    binary::{ServerProcess, run_with_stdin, tokenward_command},
    http_client,
};

/// The default lease duration.
const DEFAULT_LEASE: Duration = Duration::from_secs(2);

async fn wait_until_accepted(cluster: &Cluster, node: usize, grant: &TrackedGrant) {
    while check(cluster, cluster.client(node), node, grant, Endpoint::Auth).await != CheckResult::Accepted {
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unprivileged_role_cannot_acknowledge_for_a_node() {
    let cluster = Cluster::start().await;
    execute_sql(cluster.postgres_port(), "postgres", "create role attacker login").await;
    let attacker = UnprivilegedRole::connect(&cluster.url_for_role("attacker"), true).await;
    let admin = Admin { http: cluster.client(0), url: cluster.url(0), token: cluster.admin_token() };
    admin.allow_users().await;
    let control = admin.create_grant(None, "control").await.unwrap();
    let rounds = crate::resilience::iterations(3, 20);
    for round in 0..rounds {
        let grant = admin.create_grant(Some(Revocation::DeleteToken), &format!("r{round}")).await.unwrap();
        for node in (0..NODES).chain(0..NODES) {
            wait_until_accepted(&cluster, node, &grant).await;
        }
        // The barrier does not wait for a node that has not joined again after the last round.
        while cluster.query_integer("select count(*) from node").await != NODES as i64 {
            sleep(Duration::from_millis(20)).await;
        }
        let forged_before = attacker.forged_acks();
        cluster.set_proxy_mode(2, Mode::Stall);
        let start = Instant::now();
        assert_eq!(admin.revoke(Revocation::DeleteToken, &grant).await, RevocationOutcome::Succeeded);
        let elapsed = start.elapsed();
        let result = check(&cluster, cluster.client(2), 2, &grant, Endpoint::Auth).await;
        assert_ne!(
            result,
            CheckResult::Accepted,
            "round {round}: accepted after the revocation, which took {elapsed:?}"
        );
        assert!(
            elapsed >= DEFAULT_LEASE,
            "round {round}: revoked after {elapsed:?} without the acknowledgement of a node"
        );
        assert!(attacker.forged_acks() > forged_before, "no acknowledgement was forged");
        cluster.set_proxy_mode(2, Mode::Pass);
        for node in 0..NODES {
            wait_until_accepted(&cluster, node, &control).await;
        }
    }
    println!(
        "[measured] forged acknowledgements: {} pings acknowledged, {rounds} deletions with a node cut off, 0 stale accepts",
        attacker.forged_acks()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocations_hold_while_an_unprivileged_role_floods_the_channel() {
    let cluster = Cluster::start().await;
    execute_sql(cluster.postgres_port(), "postgres", "create role attacker login").await;
    let url = cluster.url_for_role("attacker");
    let (attacker, stopped) = (UnprivilegedRole::connect(&url, true).await, Arc::new(AtomicBool::new(false)));
    let rounds = Arc::new(AtomicUsize::new(0));
    let (mut connection, flood_stopped, flood_rounds, received) = (
        PgConnection::connect(&url).await.unwrap(),
        Arc::clone(&stopped),
        Arc::clone(&rounds),
        Arc::clone(&attacker.received),
    );
    let flood = tokio::spawn(async move {
        for round in 0.. {
            for line in forged_messages() {
                notify(&mut connection, CHANNEL, &line).await;
            }
            // A replayed ping, so that nodes acknowledge it again.
            let ping = received.lock().unwrap().messages.iter().rev().find(|line| line.starts_with("ping ")).cloned();
            for line in std::iter::repeat_n(ping, 20).flatten() {
                // PostgreSQL sends equal notifications of one transaction once, so each has a
                // transaction of its own.
                notify(&mut connection, CHANNEL, &line).await;
            }
            flood_rounds.store(round, Ordering::SeqCst);
            if flood_stopped.load(Ordering::SeqCst) {
                return;
            }
        }
    });
    let admin = Admin { http: cluster.client(0), url: cluster.url(0), token: cluster.admin_token() };
    let (mut revoked, mut attempts) = (0, 0);
    while revoked < crate::resilience::iterations(15, 200) {
        attempts += 1;
        let Ok(grant) = admin.create_grant(Some(Revocation::DeleteToken), "x").await else { continue };
        for node in 0..NODES {
            wait_until_accepted(&cluster, node, &grant).await;
        }
        if admin.revoke(Revocation::DeleteToken, &grant).await != RevocationOutcome::Succeeded {
            continue;
        }
        revoked += 1;
        for node in 0..NODES {
            let result = check(&cluster, cluster.client(node), node, &grant, Endpoint::Auth).await;
            assert!(matches!(result, CheckResult::Rejected | CheckResult::Unavailable), "node {node}: {result:?}");
        }
    }
    stopped.store(true, Ordering::SeqCst);
    flood.await.unwrap();
    println!(
        "[measured] message flood: {} rounds of forged messages, {revoked} of {attempts} deletions succeeded, 0 stale accepts",
        rounds.load(Ordering::SeqCst)
    );
    assert!(rounds.load(Ordering::SeqCst) > 0);
}

/// Creates a role without privileges. Returns the database URL for it.
async fn create_unprivileged_role(database: &Database) -> String {
    let name = format!("attacker_{}", Uuid::from_u128(rand::random()).simple());
    database.execute_sql(&format!("create role {name} login")).await;
    database.url.replace("postgres@", &format!("{name}@"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_and_replayed_messages_are_dropped_and_the_cache_is_kept() {
    let app = TestApp::start(Engine::Postgres).await;
    let url = create_unprivileged_role(&app.database).await;
    let (attacker, mut connection) =
        (UnprivilegedRole::connect(&url, false).await, PgConnection::connect(&url).await.unwrap());
    let (bearer, deleted, last) =
        (app.admin().create_token().await, app.admin().create_token().await, app.admin().create_token().await);
    // Causes every kind of invalidation once: a setting, a person, a token, everything.
    app.set_setting("maxLifetimeDays", 7).await;
    let ada = app.add_person("ada").await;
    app.admin().update_person(ada.id, serde_json::json!({"name": "Countess"})).await.expect(200);
    deleted.delete(&deleted.token_path()).await.expect(204);
    app.database.execute_sql("truncate consumed_form; create table x (id int); drop table x").await;
    bearer.get("/v4/auth").await.expect(200);
    while !attacker.messages().iter().any(|line| line.starts_with("token ")) {
        sleep(Duration::from_millis(5)).await;
    }
    let before = app.state.node().stats();
    assert_eq!((before.tokens, before.dropped_messages, before.holds_lease), (1, 0, true));
    // Replayed leases and acknowledgements are valid but outdated, and are not counted.
    let is_counted = |line: &String| !line.starts_with("lease ") && !line.starts_with("ack ");
    let replayed: Vec<String> = attacker.messages().into_iter().filter(is_counted).collect();
    assert!(
        ["token ", "person ", "workspace ", "ping "]
            .iter()
            .all(|kind| replayed.iter().any(|line| line.starts_with(kind)))
    );
    let sent: Vec<String> =
        forged_messages().into_iter().chain([&replayed, &replayed].into_iter().flatten().cloned()).collect();
    for line in &sent {
        notify(&mut connection, CHANNEL, line).await;
    }
    // The message of this operation follows in the same queue.
    last.delete(&last.token_path()).await.expect(204);
    let after = app.state.node().stats();
    assert_eq!((after.dropped_messages, after.tokens), (sent.len() as u64, 1));
    bearer.get("/v4/auth").await.expect(200);
    assert_eq!(app.state.node().stats().lookup_queries, after.lookup_queries, "not served from the cache");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cluster_messages_reveal_no_token_digest() {
    let app = TestApp::start(Engine::Postgres).await;
    let attacker = UnprivilegedRole::connect(&create_unprivileged_role(&app.database).await, false).await;
    let tokens = [app.admin().create_token().await, app.admin().create_token().await];
    for token in &tokens {
        token.get("/v4/auth").await.expect(200);
    }
    app.database.execute_sql("update token set expires_at = null, created_at = created_at - interval '1 second'").await;
    for token in &tokens {
        app.admin().delete(&token.token_path()).await.expect(204);
    }
    let token_messages =
        || attacker.messages().into_iter().filter(|line| line.starts_with("token ")).collect::<Vec<_>>();
    while token_messages().len() < 4 {
        sleep(Duration::from_millis(5)).await;
    }
    for token in &tokens {
        let digest = hex::encode(Sha256::digest(&token.value));
        for line in attacker.messages() {
            // No eight consecutive digits of the digest.
            let is_revealed = (0..=56).any(|at| line.contains(&digest[at..at + 8]));
            assert!(!is_revealed && !line.contains(&token.value), "{line}");
        }
    }
}

/// Returns the number of dropped messages from the metrics of a node.
async fn dropped_messages(metrics: &str) -> u64 {
    let text = http_client().get(metrics).send().await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("tokenward_cluster_messages_dropped_total "));
    line.unwrap_or_else(|| panic!("{text}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotating_the_cluster_secret_loses_no_message() {
    let database = Database::empty(Engine::Postgres).await;
    let node = |url: &str| {
        let mut serve = tokenward_command(url);
        serve.env("TOKENWARD_CACHE__LEASE_DURATION", "500ms").env("TOKENWARD_LISTEN__METRICS", "127.0.0.1:0");
        ServerProcess::start_with(serve)
    };
    let nodes = [node(&database.url), node(&database.url)];
    let secret = "select encode(signing, 'hex') || coalesce(encode(accepted, 'hex'), '') from cluster_secret";
    let before = database.query_text(secret).await.unwrap();
    let url = database.url.clone();
    let rotation = spawn_blocking(move || {
        let mut rotate = tokenward_command(&url);
        rotate.env("TOKENWARD_CACHE__LEASE_DURATION", "500ms").args(["cluster", "rotate-secret"]);
        run_with_stdin(rotate, "")
    });
    let http = crate::resilience::client();
    let mut rounds = 0;
    while !rotation.is_finished() {
        let token = crate::resilience::Token::create(&nodes[rounds % 2]).await;
        for node in &nodes {
            assert_eq!(crate::resilience::check_token(&http, &node.url, &token.value).await, Some(200));
        }
        assert_eq!(crate::resilience::delete_token(&http, &nodes[rounds % 2].url, &token).await, Some(204));
        for node in &nodes {
            assert_eq!(
                crate::resilience::check_token(&http, &node.url, &token.value).await,
                Some(401),
                "round {rounds}"
            );
        }
        rounds += 1;
    }
    let output = rotation.await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let after = database.query_text(secret).await.unwrap();
    assert!(before.len() == 64 && after.len() == 64 && before != after, "the secret was not replaced");
    for node in &nodes {
        let log = node.log();
        assert_eq!(dropped_messages(&format!("http://{}/metrics", node.metrics_address())).await, 0);
        assert!(!log.contains(&before) && !log.contains(&after));
    }
    println!("[measured] secret rotation: {rounds} rounds during a rotation, 0 messages dropped");
}

#[tokio::test]
async fn sqlite_has_no_cluster_secret_to_rotate() {
    let database = Database::empty(Engine::Sqlite).await;
    drop(ServerProcess::start(&database.url));
    let mut rotate = tokenward_command(&database.url);
    rotate.args(["cluster", "rotate-secret"]);
    let output = run_with_stdin(rotate, "");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && stderr.contains("nothing to rotate"), "{stderr}");
}

/// The warning is logged once and names the remedy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_open_to_every_role_logs_a_warning() {
    let database = Database::empty(Engine::Postgres).await;
    let count_warnings = |running: &ServerProcess| running.log().matches("revoke connect on database").count();
    let running = ServerProcess::start(&database.url);
    while count_warnings(&running) == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    running.send_signal("TERM");
    running.wait_for_exit();
    let name = database.query_text("select current_database()::text").await.unwrap();
    database.execute_sql(&format!("revoke connect on database {name} from public")).await;
    let running = ServerProcess::start(&database.url);
    crate::resilience::Token::create(&running).await;
    running.send_signal("TERM");
    assert!(!running.wait_for_exit().1.contains("revoke connect"));
}
