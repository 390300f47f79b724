//! Rediscovery of the primary, and backups of a SQLite file.

use std::path::Path;

use rstest::rstest;
use rstest_reuse::apply;
use tokenward::{
    http::server,
    store::{Error, Outage},
};

use super::WORKSPACE;
use crate::support::{Engine, TestApp, both_databases, test_config};

#[tokio::test]
async fn rediscovery_finds_the_primary_and_does_not_reopen_a_closed_store() {
    let app = TestApp::start(Engine::Postgres).await;
    let bearer = app.admin().create_token().await;
    let nodes = app.store.cluster().unwrap();
    nodes.rediscover_primary().await.unwrap();
    assert!(app.store.count_people_and_tokens(WORKSPACE).await.is_ok() && bearer.is_accepted().await);
    app.store.close().await;
    nodes.rediscover_primary().await.unwrap();
    assert!(matches!(app.store.count_people_and_tokens(WORKSPACE).await, Err(Error::Unavailable(_))));
}

#[apply(both_databases)]
async fn a_sqlite_backup_is_a_complete_copy(engine: Engine) {
    let app = TestApp::start(engine).await;
    let bearer = app.admin().create_token().await;
    let first = app.store.back_up().await.unwrap();
    if app.database.engine == Engine::Postgres {
        assert_eq!(first, None);
        assert!(!app.store.back_up_to(Path::new("unused")).await.unwrap());
        return;
    }
    app.admin().create_token().await;
    // The second backup replaces the first.
    let file = app.store.back_up().await.unwrap().unwrap();
    assert_eq!(Some(&file), first.as_ref());
    let elsewhere = file.with_file_name("copy.db");
    let (one, other) = tokio::join!(app.store.back_up_to(&elsewhere), app.store.back_up_to(&elsewhere));
    assert!(one.unwrap() && matches!(other, Err(Error::Unavailable(Outage::File(_)))), "an existing file is kept");
    for file in [file, elsewhere] {
        let copy = server::open_store(&test_config(&format!("sqlite:{}", file.display())), false).await.unwrap();
        assert_eq!(
            copy.count_people_and_tokens(WORKSPACE).await.unwrap(),
            app.store.count_people_and_tokens(WORKSPACE).await.unwrap()
        );
    }
    assert!(bearer.is_accepted().await);
}

/// The error names the unreachable hosts.
#[tokio::test]
async fn opening_the_store_fails_if_no_host_is_reachable() {
    let [one, two] = [crate::support::postgres::free_port(), crate::support::postgres::free_port()];
    let url = format!("postgres://postgres@127.0.0.1:{one},127.0.0.1:{two}/tokenward");
    let error = server::open_store(&test_config(&url), false).await.unwrap_err();
    assert!(format!("{error:#}").contains(&format!("127.0.0.1:{one},127.0.0.1:{two}")), "{error:#}");
}
