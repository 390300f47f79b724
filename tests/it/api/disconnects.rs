//! Logins whose client disconnects while they are recorded. PostgreSQL only, where a lock can hold
//! the transaction for as long as the test needs.

use std::{task::Poll, time::Duration};

use futures_util::poll;
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::support::{Engine, PASSWORD, TestApp, basic_auth};

const LOCK_EVENTS: &str = "lock table event in share row exclusive mode";
const LOCK_FAILURES: &str = "lock table login_failure in share row exclusive mode";

/// Sends a login with a table locked, and disconnects when the transaction waits for the lock.
/// Afterwards the transaction continues, and `recorded` selects true.
async fn disconnect_during_login(
    app: &TestApp,
    path: &str,
    password: &str,
    lock: &'static str,
    recorded: &'static str,
) {
    let mut blocker = PgConnection::connect(&app.database.url).await.unwrap();
    blocker.execute("begin").await.unwrap();
    blocker.execute(lock).await.unwrap();
    let client = app.client_with_authorization(&[&basic_auth("admin@example.com", password)]);
    let mut login = Box::pin(client.get(path));
    let waiting = "select exists (select from pg_locks where not granted and database = \
                   (select oid from pg_database where datname = current_database()))";
    while !sqlx::query_scalar::<_, bool>(waiting).fetch_one(&mut blocker).await.unwrap() {
        if let Poll::Ready(response) = poll!(login.as_mut()) {
            panic!("{path} responded before the login was recorded: {}", response.status);
        }
        tokio::task::yield_now().await;
    }
    drop(login);
    blocker.execute("rollback").await.unwrap();
    while !sqlx::query_scalar::<_, bool>(recorded).fetch_one(&mut blocker).await.unwrap() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_login_is_recorded_although_the_client_disconnects() {
    let succeeded = "select exists (select from event where action = 'login.succeeded')";
    let failed = "select exists (select from login_failure)";
    for path in ["/v4/people/current", "/v4/auth"] {
        for (password, lock, recorded) in [(PASSWORD, LOCK_EVENTS, succeeded), ("wrong", LOCK_FAILURES, failed)] {
            let app = TestApp::start(Engine::Postgres).await;
            let login = disconnect_during_login(&app, path, password, lock, recorded);
            tokio::time::timeout(Duration::from_secs(60), login).await.expect("the login is recorded");
        }
    }
}
