//! Migrations, and a store that is closed.

use rstest::rstest;
use rstest_reuse::apply;
use tokenward::store::Error;
use tokenward::store::SchemaStatus;

use crate::support::Database;
use crate::support::Engine;
use crate::support::TestApp;
use crate::support::both_databases;

#[apply(both_databases)]
async fn the_schema_is_current_and_migrating_again_does_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    assert_eq!(app.store.schema_status().await.unwrap(), SchemaStatus::Current);
    app.store.migrate().await.unwrap();
    assert_eq!(app.store.schema_status().await.unwrap(), SchemaStatus::Current);
}

#[apply(both_databases)]
async fn a_closed_store_is_unavailable(engine: Engine) {
    let app = TestApp::start(engine).await;
    assert_eq!(app.store.engine() == "SQLite", app.database.engine == Engine::Sqlite);
    app.store.close().await;
    assert!(matches!(app.store.is_bootstrapped().await, Err(Error::Unavailable(_))));
}

#[tokio::test]
async fn concurrent_migrations_take_turns() {
    let database = Database::empty(Engine::Postgres).await;
    let starts = (0..6).map(|_| {
        let config = crate::support::test_config(&database.url);
        // Each node has threads and a runtime of its own, as in production.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(tokenward::http::server::open_store(&config, true)).map(|_| ())
        })
    });
    for start in starts.collect::<Vec<_>>() {
        tokio::task::spawn_blocking(|| start.join().unwrap()).await.unwrap().unwrap();
    }
}
