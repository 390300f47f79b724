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
    let database = crate::support::Database::migrated(Engine::Postgres).await;
    let mut blocker = PgConnection::connect(&database.url).await.unwrap();
    let app = TestApp::with(database, |config| config.database.statement_timeout_ms = 200).await;
    let bearer = app.admin().bearer().await;
    blocker.execute("begin").await.unwrap();
    blocker.execute("lock table token in access exclusive mode").await.unwrap();
    bearer.get("/v4/people/current").await.expect_error(503, "ServiceUnavailableException");
    blocker.execute("rollback").await.unwrap();
    assert!(bearer.works().await);
}
