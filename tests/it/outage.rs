//! The database goes away: every door answers 503, none says that a credential is bad.

use serde_json::json;

use crate::support::{Engine, TestApp, an_hour};

on_both!(
    without_the_store_every_door_answers_503,
    liveness_is_not_readiness,
    an_invalid_token_needs_no_store_to_be_refused
);

async fn without_the_store_every_door_answers_503(app: TestApp) {
    let admin = app.admin();
    let bearer = admin.bearer().await;
    app.store.close().await;
    let patch = json!({"name": "x"});
    for reply in [
        bearer.get("/v4/people/current").await,
        bearer.get("/v4/auth").await,
        bearer.get("/v4/apiAccessTokens").await,
        bearer.get(&bearer.path()).await,
        bearer.delete(&bearer.path()).await,
        bearer.post("/v4/apiAccessTokens", &an_hour()).await,
        admin.get("/v4/people/current").await,
        admin.post("/v4/apiAccessTokens", &an_hour()).await,
        admin.patch("/v4/people/1", &patch).await,
        admin.get("/v4/auth").await,
        app.anonymous().get("/health/ready").await,
    ] {
        let details = reply.expect_error(503, "ServiceUnavailableException");
        assert!(reply.headers.contains_key("retry-after") && !reply.headers.contains_key("www-authenticate"));
        assert!(!details.contains("sqlx") && !reply.text.to_lowercase().contains("pool"), "{}", reply.text);
    }
}

async fn liveness_is_not_readiness(app: TestApp) {
    app.store.close().await;
    app.anonymous().get("/health/live").await.expect(200);
    app.anonymous().get("/health/ready").await.expect(503);
}

async fn an_invalid_token_needs_no_store_to_be_refused(app: TestApp) {
    app.store.close().await;
    app.presenting(&["Bearer twd_nonsense"]).get("/v4/auth").await.expect_error(401, "MissingPersonException");
    app.anonymous().get("/v4/auth").await.expect_error(401, "MissingPersonException");
}

/// A lock that somebody else holds is an outage, too: the statement's time limit ends it.
#[tokio::test]
async fn a_store_that_hangs_is_given_up() {
    use sqlx::{Connection as _, Executor as _, PgConnection};
    // The limit is not one for the set-up, which another service does.
    let app = TestApp::start(Engine::Postgres).await;
    let value = app.admin().bearer().await.value;
    let limited = |config: &mut tokenward::config::Config| {
        config.database.statement_timeout_ms = 1_000;
        config.cache.mode = tokenward::config::CacheMode::Off;
    };
    let app = TestApp::with(app.database.for_another_node(), limited).await;
    let bearer = app.presenting(&[&format!("Bearer {value}")]);
    bearer.get("/v4/people/current").await.expect(200);
    let mut blocker = PgConnection::connect(&app.database.url).await.unwrap();
    blocker.execute("begin").await.unwrap();
    blocker.execute("lock table token in access exclusive mode").await.unwrap();
    bearer.get("/v4/people/current").await.expect_error(503, "ServiceUnavailableException");
    bearer.post("/v4/apiAccessTokens", &an_hour()).await.expect_error(503, "ServiceUnavailableException");
    // Nobody waits for the lock any more: it is the database that gave up, and not the request alone.
    let waiting = "select count(*) from pg_locks where not granted and database = \
                   (select oid from pg_database where datname = current_database())";
    let gone = async {
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut blocker).await.unwrap() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), gone).await.expect("the statements are ended");
    blocker.execute("rollback").await.unwrap();
    bearer.get("/v4/people/current").await.expect(200);
}
