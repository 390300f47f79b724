//! The token cache, observed from outside: how often it reads the database, what it does not store,
//! and what invalidates it.

use rstest::rstest;
use rstest_reuse::apply;
use std::time::Duration;

use futures_util::StreamExt as _;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokenward::{config::CacheMode, domain::random::Random};
use tokenward_guard::token_format::TokenFormat;

use crate::support::{Database, Engine, TestApp, TokenClient, both_databases};

/// Starts a service whose lease outlasts any pause of a busy machine.
async fn start_with_long_lease(engine: Engine) -> TestApp {
    TestApp::start_with(Database::migrated(engine).await, |config| {
        config.cache.lease_duration = tokenward::config::ConfigDuration::from_millis(10_000);
    })
    .await
}

#[apply(both_databases)]
async fn a_token_is_read_once_and_then_cached(engine: Engine) {
    let app = TestApp::start(engine).await;
    let app = start_with_long_lease(app.database.engine).await;
    let bearer = app.admin().create_token().await;
    let before = app.state.node().stats();
    for _ in 0..10 {
        bearer.get("/v4/auth").await.expect(200);
    }
    let after = app.state.node().stats();
    assert!(after.holds_lease);
    assert_eq!(
        (after.lookup_tokens - before.lookup_tokens, after.hits - before.hits, after.tokens - before.tokens),
        (1, 9, 1)
    );
}

#[apply(both_databases)]
async fn concurrent_misses_of_one_token_read_it_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    let app = start_with_long_lease(app.database.engine).await;
    let bearer = app.admin().create_token().await;
    let before = app.state.node().stats();
    let checks: Vec<_> = (0..100)
        .map(|_| {
            let bearer = bearer.clone();
            tokio::spawn(async move { bearer.get("/v4/auth").await.status })
        })
        .collect();
    for check in checks {
        assert_eq!(check.await.unwrap(), 200);
    }
    assert_eq!(app.state.node().stats().lookup_tokens - before.lookup_tokens, 1);
}

#[apply(both_databases)]
async fn concurrent_misses_of_many_tokens_are_batched(engine: Engine) {
    let app = TestApp::start(engine).await;
    let app = start_with_long_lease(app.database.engine).await;
    let mut bearers = Vec::new();
    for _ in 0..60 {
        bearers.push(app.admin().create_token().await);
    }
    let before = app.state.node().stats();
    let mut checks: Vec<_> = bearers.iter().map(|bearer| Box::pin(bearer.get("/v4/auth"))).collect();
    // All requests miss the cache before the first batch is read: the loader tasks run on this
    // thread, which does not yield until here.
    for check in &mut checks {
        assert!(futures_util::poll!(check).is_pending());
    }
    for response in futures_util::future::join_all(checks).await {
        response.expect(200);
    }
    let after = app.state.node().stats();
    assert_eq!((after.lookup_tokens - before.lookup_tokens, after.lookup_queries - before.lookup_queries), (60, 1));
}

#[apply(both_databases)]
async fn unknown_tokens_are_not_cached(engine: Engine) {
    let app = TestApp::start(engine).await;
    const MAX_UNKNOWN_DIGESTS: usize = 10_000;
    let before = app.state.node().stats();
    let checks = (0..MAX_UNKNOWN_DIGESTS + 50).map(|_| {
        let unknown = TokenFormat::default().generate(|bytes| Random::system().fill(bytes));
        let client = app.client_with_authorization(&[&format!("Bearer {}", unknown.expose())]);
        async move { client.get("/v4/auth").await.expect(401) }
    });
    // Not all at once, because a check times out after two seconds.
    let answered = futures_util::stream::iter(checks).buffer_unordered(100).count().await;
    assert_eq!(answered, MAX_UNKNOWN_DIGESTS + 50);
    let after = app.state.node().stats();
    assert_eq!((after.tokens, after.bytes), (before.tokens, before.bytes));
    // A bounded number of digests is kept until a lookup of tombstones has classified them. The
    // service flushes them every second; the test does it here.
    assert_eq!(app.state.denied_attempts().unknown_token_count(), MAX_UNKNOWN_DIGESTS);
    app.state.denied_attempts().flush(false).await.unwrap();
    assert_eq!(app.state.denied_attempts().unknown_token_count(), 0);
}

/// Waits until a request to `path` returns this status.
async fn wait_for_status(bearer: &TokenClient, path: &str, status: u16) {
    // Cached responses never yield to other tasks.
    let changed = async {
        while bearer.get(path).await.status != status {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), changed).await.expect("the cache is invalidated");
}

/// Statements of an operator do not wait for the nodes, but the nodes receive their invalidations
/// at once.
#[tokio::test]
async fn manual_sql_changes_invalidate_cached_tokens() {
    let app = TestApp::start(Engine::Postgres).await;
    app.set_setting("allowUsers", true).await;
    let mut psql = PgConnection::connect(&app.database.url).await.unwrap();
    let ada = app.add_person("ada").await;
    let [first, second] = [ada.create_token().await, ada.create_token().await];
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
        ("update person set tokens_revoked_before = now() + interval '1 day' where id = $1", "/v4/auth", 401),
        ("update person set tokens_revoked_before = null where id = $1", "/v4/auth", 200),
        ("update token set expires_at = created_at + interval '1 ms' where person_id = $1", "/v4/auth", 401),
    ] {
        let changed = psql.execute(sqlx::query(statement).bind(ada.id)).await.unwrap().rows_affected();
        assert!(changed > 0, "{statement} changed no row");
        app.advance_millis(1);
        wait_for_status(&first, path, status).await;
    }
    psql.execute("update token set expires_at = null").await.unwrap();
    wait_for_status(&second, "/v4/auth", 200).await;
    psql.execute("truncate token").await.unwrap();
    wait_for_status(&second, "/v4/auth", 401).await;
}

#[tokio::test]
async fn a_disabled_cache_stores_nothing() {
    for engine in [Engine::Postgres, Engine::Sqlite] {
        let database = Database::migrated(engine).await;
        let app = TestApp::start_with(database, |config| config.cache.mode = CacheMode::Off).await;
        let bearer = app.admin().create_token().await;
        for _ in 0..3 {
            bearer.get("/v4/auth").await.expect(200);
        }
        let tally = app.state.node().stats();
        assert_eq!((tally.tokens, tally.lookup_tokens, tally.holds_lease), (0, 3, false));
        bearer.delete(&bearer.token_path()).await.expect(204);
        bearer.get("/v4/auth").await.expect(401);
    }
}

/// Nodes register and unregister, so that no revocation waits for a stopped node.
#[tokio::test]
async fn a_stopping_node_deletes_its_row() {
    let database = Database::migrated(Engine::Postgres).await;
    let running = crate::support::binary::ServerProcess::start(&database.url);
    let mut psql = PgConnection::connect(&database.url).await.unwrap();
    let joined = async { while count_nodes(&mut psql).await != 1 {} };
    tokio::time::timeout(Duration::from_secs(20), joined).await.expect("the node joins");
    running.send_signal("TERM");
    assert_eq!(running.wait_for_exit().0, Some(0));
    assert_eq!(count_nodes(&mut psql).await, 0);
}

async fn count_nodes(psql: &mut PgConnection) -> i64 {
    sqlx::query_scalar("select count(*) from node").fetch_one(psql).await.unwrap()
}

/// An unresponsive node delays one revocation by one lease. Then its row is deleted.
#[tokio::test]
async fn an_unresponsive_node_is_waited_for_once() {
    let app = TestApp::start_with(Database::migrated(Engine::Postgres).await, |config| {
        config.cache.lease_duration = tokenward::config::ConfigDuration::from_millis(500);
    })
    .await;
    let nodes = app.store.cluster().unwrap();
    let unresponsive = uuid::Uuid::from_u128(7);
    nodes.join(unresponsive, Duration::from_millis(500), "left by an unresponsive node").await.unwrap();
    let [first, second] = [app.admin().create_token().await, app.admin().create_token().await];
    for bearer in [&first, &second] {
        bearer.get("/v4/auth").await.expect(200);
        bearer.delete(&bearer.token_path()).await.expect(204);
        bearer.get("/v4/auth").await.expect(401);
        assert!(nodes.ping("ping").await.unwrap().iter().all(|node| node.id != unresponsive));
    }
}
