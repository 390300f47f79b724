//! NOTIFY needs no privilege, so any role of the server may speak to the nodes and listen to them. It gets nobody accepted, keeps no
//! operation from ending and no memory empty, and learns nothing about tokens.

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
    cluster::{Cluster, NODES, administer},
    probes::{Door, check},
    proxy::Mode,
    revocations::{Act, Admin, Outcome},
    tracked_grant::{Answer, Right},
    unprivileged_role::{CHANNEL, Stranger, forgeries, notify},
};
use crate::support::{
    Database, Engine, TestApp,
    binary::{Running, command, run},
    http_client,
};

/// The lease that nodes have by default.
const LEASE: Duration = Duration::from_secs(2);

async fn until_accepted(cluster: &Cluster, node: usize, right: &Right) {
    while check(cluster, cluster.client(node), node, right, Door::Auth).await != Answer::Accepted {
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_without_grants_answers_for_no_node() {
    let cluster = Cluster::start().await;
    administer(cluster.postgres_port(), "postgres", "create role stranger login").await;
    let stranger = Stranger::at(&cluster.url_of("stranger"), true).await;
    let admin = Admin { http: cluster.client(0), url: cluster.url(0), token: cluster.admin() };
    admin.allow_users().await;
    let live = admin.prepare(None, "live").await.unwrap();
    let rounds = crate::resilience::times(3, 20);
    for round in 0..rounds {
        let right = admin.prepare(Some(Act::DeleteToken), &format!("r{round}")).await.unwrap();
        for node in (0..NODES).chain(0..NODES) {
            until_accepted(&cluster, node, &right).await;
        }
        // A node that is not there yet again after the last round is not waited for.
        while cluster.ask("select count(*) from node").await != NODES as i64 {
            sleep(Duration::from_millis(20)).await;
        }
        let answered = stranger.answered();
        cluster.switch(2, Mode::Stall);
        let begun = Instant::now();
        assert_eq!(admin.act(Act::DeleteToken, &right).await, Outcome::Done);
        let took = begun.elapsed();
        let after = check(&cluster, cluster.client(2), 2, &right, Door::Auth).await;
        assert_ne!(after, Answer::Accepted, "round {round}: accepted after the answer, which took {took:?}");
        assert!(took >= LEASE, "round {round}: answered after {took:?} although a node had said nothing");
        assert!(stranger.answered() > answered, "the stranger had its say");
        cluster.switch(2, Mode::Pass);
        for node in 0..NODES {
            until_accepted(&cluster, node, &live).await;
        }
    }
    println!(
        "forged answers to {} calls, {rounds} deletions with a node cut off: 0 stale accepts",
        stranger.answered()
    );
}

/// While strangers send what they can think of, as fast as they can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_strangers_flood_the_queue_operations_end_and_nobody_is_let_in() {
    let cluster = Cluster::start().await;
    administer(cluster.postgres_port(), "postgres", "create role stranger login").await;
    let url = cluster.url_of("stranger");
    let (listening, is_over) = (Stranger::at(&url, true).await, Arc::new(AtomicBool::new(false)));
    let sent = Arc::new(AtomicUsize::new(0));
    let (mut voice, over, count, heard) = (
        PgConnection::connect(&url).await.unwrap(),
        Arc::clone(&is_over),
        Arc::clone(&sent),
        Arc::clone(&listening.heard),
    );
    let flood = tokio::spawn(async move {
        for turn in 0.. {
            for line in forgeries() {
                notify(&mut voice, CHANNEL, &line).await;
            }
            // A call that was sent once, to be answered again and again.
            let call = heard.lock().unwrap().lines.iter().rev().find(|line| line.starts_with("call ")).cloned();
            for line in std::iter::repeat_n(call, 20).flatten() {
                // Within one transaction the same notification is sent once, so each has its own.
                notify(&mut voice, CHANNEL, &line).await;
            }
            count.store(turn, Ordering::SeqCst);
            if over.load(Ordering::SeqCst) {
                return;
            }
        }
    });
    let admin = Admin { http: cluster.client(0), url: cluster.url(0), token: cluster.admin() };
    let (mut done, mut tries) = (0, 0);
    while done < crate::resilience::times(15, 200) {
        tries += 1;
        let Ok(right) = admin.prepare(Some(Act::DeleteToken), "x").await else { continue };
        for node in 0..NODES {
            until_accepted(&cluster, node, &right).await;
        }
        if admin.act(Act::DeleteToken, &right).await != Outcome::Done {
            continue;
        }
        done += 1;
        for node in 0..NODES {
            let after = check(&cluster, cluster.client(node), node, &right, Door::Auth).await;
            assert!(matches!(after, Answer::Refused | Answer::Unavailable), "node {node}: {after:?}");
        }
    }
    is_over.store(true, Ordering::SeqCst);
    flood.await.unwrap();
    println!(
        "{} rounds of forgeries meanwhile, {done} of {tries} deletions done, 0 stale accepts",
        sent.load(Ordering::SeqCst)
    );
    assert!(sent.load(Ordering::SeqCst) > 0);
}

/// The URL of the same database for a role of its own.
async fn stranger_of(database: &Database) -> String {
    let name = format!("stranger_{}", Uuid::from_u128(rand::random()).simple());
    database.run(&format!("create role {name} login")).await;
    database.url.replace("postgres@", &format!("{name}@"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_strangers_send_or_repeat_is_dropped_and_memory_stays_full() {
    let app = TestApp::start(Engine::Postgres).await;
    let url = stranger_of(&app.database).await;
    let (listening, mut voice) = (Stranger::at(&url, false).await, PgConnection::connect(&url).await.unwrap());
    let (bearer, gone, mark) = (app.admin().bearer().await, app.admin().bearer().await, app.admin().bearer().await);
    // Every kind of announcement is heard once: a setting, a person, a token, everything.
    app.set("maxLifetimeDays", 7).await;
    let ada = app.person("ada").await;
    app.admin().change(ada.id, serde_json::json!({"name": "Countess"})).await.expect(200);
    gone.delete(&gone.path()).await.expect(204);
    app.database.run("truncate spent_form; create table x (id int); drop table x").await;
    bearer.get("/v4/auth").await.expect(200);
    while !listening.lines().iter().any(|line| line.starts_with("token ")) {
        sleep(Duration::from_millis(5)).await;
    }
    let before = app.app.live().tally();
    assert_eq!((before.tokens, before.dropped, before.has_lease), (1, 0, true));
    // Leases and answers that are repeated say what was so, and are not counted.
    let is_counted = |line: &String| !line.starts_with("lease ") && !line.starts_with("heard ");
    let repeated: Vec<String> = listening.lines().into_iter().filter(is_counted).collect();
    assert!(
        ["token ", "person ", "workspace ", "call "]
            .iter()
            .all(|kind| repeated.iter().any(|line| line.starts_with(kind)))
    );
    let sent: Vec<String> =
        forgeries().into_iter().chain([&repeated, &repeated].into_iter().flatten().cloned()).collect();
    for line in &sent {
        notify(&mut voice, CHANNEL, line).await;
    }
    // An operation of ours comes through the same queue behind it.
    mark.delete(&mark.path()).await.expect(204);
    let after = app.app.live().tally();
    assert_eq!((after.dropped, after.tokens), (sent.len() as u64, 1));
    bearer.get("/v4/auth").await.expect(200);
    assert_eq!(app.app.live().tally().statements, after.statements, "it was known by heart");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_hear_nothing_by_which_a_token_is_known() {
    let app = TestApp::start(Engine::Postgres).await;
    let listening = Stranger::at(&stranger_of(&app.database).await, false).await;
    let tokens = [app.admin().bearer().await, app.admin().bearer().await];
    for token in &tokens {
        token.get("/v4/auth").await.expect(200);
    }
    app.database.run("update token set expires_at = null, created_at = created_at - interval '1 second'").await;
    for token in &tokens {
        app.admin().delete(&token.path()).await.expect(204);
    }
    let told = || listening.lines().into_iter().filter(|line| line.starts_with("token ")).collect::<Vec<_>>();
    while told().len() < 4 {
        sleep(Duration::from_millis(5)).await;
    }
    for token in &tokens {
        let digest = Sha256::digest(&token.value);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        for line in listening.lines() {
            // Not even eight digits of it in a row.
            let is_there = (0..=56).any(|at| line.contains(&digest[at..at + 8]));
            assert!(!is_there && !line.contains(&token.value), "{line}");
        }
    }
}

/// The dropped messages of a node, as its metrics show them.
async fn dropped(metrics: &str) -> u64 {
    let text = http_client().get(metrics).send().await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("tokenward_cluster_messages_dropped_total "));
    line.unwrap_or_else(|| panic!("{text}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_rotated_while_nodes_run_and_no_message_is_lost() {
    let database = Database::empty(Engine::Postgres).await;
    let node = |url: &str| {
        let mut serve = command(url);
        serve.env("TOKENWARD_CACHE__LEASE_MS", "500").env("TOKENWARD_LISTEN__METRICS", "127.0.0.1:0");
        Running::start_with(serve)
    };
    let nodes = [node(&database.url), node(&database.url)];
    let secret = "select encode(signing, 'hex') || coalesce(encode(accepted, 'hex'), '') from cluster_secret";
    let before = database.ask(secret).await.unwrap();
    let url = database.url.clone();
    let rotation = spawn_blocking(move || {
        let mut rotate = command(&url);
        rotate.env("TOKENWARD_CACHE__LEASE_MS", "500").args(["cluster", "rotate-secret"]);
        run(rotate, "")
    });
    let http = crate::resilience::client();
    let mut rounds = 0;
    while !rotation.is_finished() {
        let token = crate::resilience::Token::made_by(&nodes[rounds % 2]).await;
        for node in &nodes {
            assert_eq!(crate::resilience::check(&http, &node.url, &token.value).await, Some(200));
        }
        assert_eq!(crate::resilience::delete(&http, &nodes[rounds % 2].url, &token).await, Some(204));
        for node in &nodes {
            assert_eq!(crate::resilience::check(&http, &node.url, &token.value).await, Some(401), "round {rounds}");
        }
        rounds += 1;
    }
    let output = rotation.await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let after = database.ask(secret).await.unwrap();
    assert!(before.len() == 64 && after.len() == 64 && before != after, "one secret before and another after");
    for node in &nodes {
        let log = node.log();
        let metrics = log.lines().find_map(|line| line.strip_prefix("telling figures on ")).unwrap();
        assert_eq!(dropped(metrics).await, 0);
        assert!(!log.contains(&before) && !log.contains(&after));
    }
    println!("{rounds} rounds while the secret was rotated, 0 messages dropped");
}

#[tokio::test]
async fn a_file_has_no_secret_to_rotate() {
    let database = Database::empty(Engine::Sqlite).await;
    drop(Running::start(&database.url));
    let mut rotate = command(&database.url);
    rotate.args(["cluster", "rotate-secret"]);
    let output = run(rotate, "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("nothing to rotate"), "{said}");
}

/// Whoever runs the service is told that strangers may come near, once and by what remedy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_open_to_every_role_is_warned_of() {
    let database = Database::empty(Engine::Postgres).await;
    let told = |running: &Running| running.log().matches("revoke connect on database").count();
    let running = Running::start(&database.url);
    while told(&running) == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    running.signal("TERM");
    running.wait();
    let name = database.ask("select current_database()::text").await.unwrap();
    database.run(&format!("revoke connect on database {name} from public")).await;
    let running = Running::start(&database.url);
    crate::resilience::Token::made_by(&running).await;
    running.signal("TERM");
    assert!(!running.wait().1.contains("revoke connect"));
}
