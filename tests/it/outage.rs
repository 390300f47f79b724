//! Without a database every entry point returns 503, and no response calls a credential invalid.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;

use crate::support::{Engine, TestApp, both_databases, one_hour_token};

#[apply(both_databases)]
async fn without_the_store_every_entry_point_returns_503(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let bearer = admin.create_token().await;
    app.store.close().await;
    let patch = json!({"name": "x"});
    for response in [
        bearer.get("/v4/people/current").await,
        bearer.get("/v4/auth").await,
        bearer.get("/v4/apiAccessTokens").await,
        bearer.get(&bearer.token_path()).await,
        bearer.delete(&bearer.token_path()).await,
        bearer.post("/v4/apiAccessTokens", &one_hour_token()).await,
        admin.get("/v4/people/current").await,
        admin.post("/v4/apiAccessTokens", &one_hour_token()).await,
        admin.patch("/v4/people/1", &patch).await,
        admin.get("/v4/auth").await,
        app.anonymous().get("/health/ready").await,
    ] {
        let details = response.expect_error(503, "ServiceUnavailableException");
        assert!(response.headers.contains_key("retry-after") && !response.headers.contains_key("www-authenticate"));
        assert!(!details.contains("sqlx") && !response.text.to_lowercase().contains("pool"), "{}", response.text);
    }
}

#[apply(both_databases)]
async fn liveness_is_not_readiness(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.store.close().await;
    app.anonymous().get("/health/live").await.expect(200);
    app.anonymous().get("/health/ready").await.expect(503);
}

#[apply(both_databases)]
async fn a_malformed_token_is_rejected_without_the_store(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.store.close().await;
    app.client_with_authorization(&["Bearer twd_nonsense"])
        .get("/v4/auth")
        .await
        .expect_error(401, "MissingPersonException");
    app.anonymous().get("/v4/auth").await.expect_error(401, "MissingPersonException");
}

/// A table lock held by another session is an outage: the statement timeout ends the wait.
#[tokio::test]
async fn a_blocked_statement_times_out_with_503() {
    use sqlx::{Connection as _, Executor as _, PgConnection};
    // The timeout must not apply to the bootstrap, so another service does that.
    let app = TestApp::start(Engine::Postgres).await;
    let value = app.admin().create_token().await.value;
    let limited = |config: &mut tokenward::config::Config| {
        config.database.statement_timeout = tokenward::config::ConfigDuration::from_millis(1_000);
        config.cache.mode = tokenward::config::CacheMode::Off;
    };
    let app = TestApp::start_with(app.database.for_another_node(), limited).await;
    let bearer = app.client_with_authorization(&[&format!("Bearer {value}")]);
    bearer.get("/v4/people/current").await.expect(200);
    let mut blocker = PgConnection::connect(&app.database.url).await.unwrap();
    blocker.execute("begin").await.unwrap();
    blocker.execute("lock table token in access exclusive mode").await.unwrap();
    bearer.get("/v4/people/current").await.expect_error(503, "ServiceUnavailableException");
    bearer.post("/v4/apiAccessTokens", &one_hour_token()).await.expect_error(503, "ServiceUnavailableException");
    // No session waits for the lock any more: the database cancelled the statements, not only the
    // requests.
    let waiting = "select count(*) from pg_locks where not granted and database = \
                   (select oid from pg_database where datname = current_database())";
    let no_waiting_lock = async {
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut blocker).await.unwrap() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), no_waiting_lock)
        .await
        .expect("the statements are cancelled");
    blocker.execute("rollback").await.unwrap();
    bearer.get("/v4/people/current").await.expect(200);
}
