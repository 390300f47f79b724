//! What a node keeps in memory, seen from outside: how often it reads, what it never keeps, and what makes it forget.

use std::time::Duration;

use futures_util::StreamExt as _;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokenward::{config::CacheMode, domain::random::Random};
use tokenward_guard::token_format::TokenFormat;

use crate::support::{Bearer, Database, Engine, TestApp};

on_both!(
    a_token_is_read_once_and_then_known,
    many_who_miss_one_token_at_once_read_it_once,
    many_who_miss_many_tokens_at_once_read_them_together,
    tokens_that_do_not_exist_are_not_kept,
);

/// A service whose lease outlasts any pause of a busy machine.
async fn steady(engine: Engine) -> TestApp {
    TestApp::with(Database::migrated(engine).await, |config| config.cache.lease_ms = 10_000).await
}

async fn a_token_is_read_once_and_then_known(app: TestApp) {
    let app = steady(app.database.engine).await;
    let bearer = app.admin().bearer().await;
    let before = app.app.live().tally();
    for _ in 0..10 {
        bearer.get("/v4/auth").await.expect(200);
    }
    let after = app.app.live().tally();
    assert!(after.has_lease);
    assert_eq!((after.asked - before.asked, after.hits - before.hits, after.tokens - before.tokens), (1, 9, 1));
}

async fn many_who_miss_one_token_at_once_read_it_once(app: TestApp) {
    let app = steady(app.database.engine).await;
    let bearer = app.admin().bearer().await;
    let before = app.app.live().tally();
    let checks: Vec<_> = (0..100)
        .map(|_| {
            let bearer = bearer.clone();
            tokio::spawn(async move { bearer.get("/v4/auth").await.status })
        })
        .collect();
    for check in checks {
        assert_eq!(check.await.unwrap(), 200);
    }
    assert_eq!(app.app.live().tally().asked - before.asked, 1);
}

async fn many_who_miss_many_tokens_at_once_read_them_together(app: TestApp) {
    let app = steady(app.database.engine).await;
    let mut bearers = Vec::new();
    for _ in 0..60 {
        bearers.push(app.admin().bearer().await);
    }
    let before = app.app.live().tally();
    let mut checks: Vec<_> = bearers.iter().map(|bearer| Box::pin(bearer.get("/v4/auth"))).collect();
    // Each asks before anybody reads: the readers are tasks of the same thread, which runs this one until it waits.
    for check in &mut checks {
        assert!(futures_util::poll!(check).is_pending());
    }
    for reply in futures_util::future::join_all(checks).await {
        reply.expect(200);
    }
    let after = app.app.live().tally();
    assert_eq!((after.asked - before.asked, after.statements - before.statements), (60, 1));
}

async fn tokens_that_do_not_exist_are_not_kept(app: TestApp) {
    const MOST: usize = 10_000;
    let before = app.app.live().tally();
    let checks = (0..MOST + 50).map(|_| {
        let unknown = TokenFormat::default().generate(|bytes| Random::system().fill(bytes));
        let client = app.presenting(&[&format!("Bearer {}", unknown.expose())]);
        async move { client.get("/v4/auth").await.expect(401) }
    });
    // Not all at once: a check waits two seconds for its answer, and no longer.
    let answered = futures_util::stream::iter(checks).buffer_unordered(100).count().await;
    assert_eq!(answered, MOST + 50);
    let after = app.app.live().tally();
    assert_eq!((after.tokens, after.bytes), (before.tokens, before.bytes));
    // Until it is found out whether they were tokens once, a bounded number of their hashes is kept: a second in the service, which
    // nobody waits for here.
    assert_eq!(app.app.refusals().unknown(), MOST);
    app.app.refusals().flush(false).await.unwrap();
    assert_eq!(app.app.refusals().unknown(), 0);
}

/// Completes when a check answers this.
async fn until(bearer: &Bearer, path: &str, status: u16) {
    // What is answered from memory does not let others run.
    let changed = async {
        while bearer.get(path).await.status != status {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), changed).await.expect("the change is heard of");
}

/// Somebody who types SQL is answered by the database and not by us; but what was changed is heard of at once.
#[tokio::test]
async fn what_is_changed_by_hand_is_forgotten_too() {
    let app = TestApp::start(Engine::Postgres).await;
    app.set("allowUsers", true).await;
    let mut psql = PgConnection::connect(&app.database.url).await.unwrap();
    let ada = app.person("ada").await;
    let [first, second] = [ada.bearer().await, ada.bearer().await];
    for (statement, path, status) in [
        ("update person set is_admin = true where id = $1", "/v4/auth/admin", 200),
        ("update person set is_admin = false where id = $1", "/v4/auth/admin", 403),
        ("update person set is_disabled = true where id = $1", "/v4/auth", 401),
        ("update person set is_disabled = false where id = $1", "/v4/auth", 200),
        ("update person set token_access = 'disabled' where id = $1", "/v4/auth", 401),
        ("update person set token_access = 'default' where id = $1", "/v4/auth", 200),
        (
            "insert into setting (workspace_id, key, value, updated_at) \
             select workspace_id, 'feature.apiAccessTokens.enabled', 'false', now() from person where id = $1",
            "/v4/auth",
            401,
        ),
        ("update setting set value = 'true' where $1 > 0 and key like '%enabled'", "/v4/auth", 200),
        ("update setting set value = 'false' where $1 > 0 and key like '%enabled'", "/v4/auth", 401),
        ("delete from setting where $1 > 0", "/v4/auth", 200),
        ("update person set tokens_dead_until = now() + interval '1 day' where id = $1", "/v4/auth", 401),
        ("update person set tokens_dead_until = null where id = $1", "/v4/auth", 200),
        ("update token set expires_at = created_at + interval '1 ms' where person_id = $1", "/v4/auth", 401),
    ] {
        let changed = psql.execute(sqlx::query(statement).bind(ada.id)).await.unwrap().rows_affected();
        assert!(changed > 0, "{statement} changes nothing");
        app.advance_millis(1);
        until(&first, path, status).await;
    }
    psql.execute("update token set expires_at = null").await.unwrap();
    until(&second, "/v4/auth", 200).await;
    psql.execute("truncate token").await.unwrap();
    until(&second, "/v4/auth", 401).await;
}

#[tokio::test]
async fn what_is_not_to_be_kept_is_not() {
    for engine in [Engine::Postgres, Engine::Sqlite] {
        let database = Database::migrated(engine).await;
        let app = TestApp::with(database, |config| config.cache.mode = CacheMode::Off).await;
        let bearer = app.admin().bearer().await;
        for _ in 0..3 {
            bearer.get("/v4/auth").await.expect(200);
        }
        let tally = app.app.live().tally();
        assert_eq!((tally.tokens, tally.asked, tally.has_lease), (0, 3, false));
        bearer.delete(&bearer.path()).await.expect(204);
        bearer.get("/v4/auth").await.expect(401);
    }
}

/// The rows of nodes come and go with them, so that nobody waits for one that has stopped.
#[tokio::test]
async fn a_node_that_stops_takes_its_row_along() {
    let database = Database::migrated(Engine::Postgres).await;
    let running = crate::support::binary::Running::start(&database.url);
    let mut psql = PgConnection::connect(&database.url).await.unwrap();
    let joined = async { while rows(&mut psql).await != 1 {} };
    tokio::time::timeout(Duration::from_secs(20), joined).await.expect("the node joins");
    running.signal("TERM");
    assert_eq!(running.wait().0, Some(0));
    assert_eq!(rows(&mut psql).await, 0);
}

async fn rows(psql: &mut PgConnection) -> i64 {
    sqlx::query_scalar("select count(*) from node").fetch_one(psql).await.unwrap()
}

/// A node that does not answer costs an act one lease and no more, and its row is gone then.
#[tokio::test]
async fn a_node_that_died_is_waited_for_once() {
    let app = TestApp::with(Database::migrated(Engine::Postgres).await, |config| config.cache.lease_ms = 500).await;
    let nodes = app.store.nodes().unwrap();
    let dead = uuid::Uuid::from_u128(7);
    nodes.join(dead, Duration::from_millis(500), "of nobody").await.unwrap();
    let [first, second] = [app.admin().bearer().await, app.admin().bearer().await];
    for bearer in [&first, &second] {
        bearer.get("/v4/auth").await.expect(200);
        bearer.delete(&bearer.path()).await.expect(204);
        bearer.get("/v4/auth").await.expect(401);
        assert!(nodes.call("who is there").await.unwrap().iter().all(|node| node.id != dead));
    }
}
