//! Looking for the primary anew, and a copy of a SQLite file.

use tokenward::{http::server, store::Error};

use crate::support::{Engine, TestApp, config};

on_both!(a_backup_is_a_whole_copy_where_there_is_a_file);

#[tokio::test]
async fn seeking_leads_to_the_primary_and_opens_nothing_that_was_closed() {
    let app = TestApp::start(Engine::Postgres).await;
    let bearer = app.admin().bearer().await;
    let nodes = app.store.nodes().unwrap();
    nodes.seek().await.unwrap();
    assert!(app.store.count_members(1).await.is_ok() && bearer.works().await);
    app.store.close().await;
    nodes.seek().await.unwrap();
    assert!(matches!(app.store.count_members(1).await, Err(Error::Unavailable(_))));
}

async fn a_backup_is_a_whole_copy_where_there_is_a_file(app: TestApp) {
    let bearer = app.admin().bearer().await;
    let first = app.store.back_up().await.unwrap();
    if app.database.engine == Engine::Postgres {
        assert_eq!(first, None);
        return;
    }
    app.admin().bearer().await;
    // The second takes the place of the first.
    let file = app.store.back_up().await.unwrap().unwrap();
    assert_eq!(Some(&file), first.as_ref());
    let copy = server::open_store(&config(&format!("sqlite:{}", file.display())), false).await.unwrap();
    assert_eq!(copy.count_members(1).await.unwrap(), app.store.count_members(1).await.unwrap());
    assert!(bearer.works().await);
}

/// Of hosts that cannot be reached the last says why.
#[tokio::test]
async fn where_no_host_answers_there_is_no_store() {
    let [one, two] = [crate::support::postgres::free_port(), crate::support::postgres::free_port()];
    let url = format!("postgres://postgres@127.0.0.1:{one},127.0.0.1:{two}/tokenward");
    let error = server::open_store(&config(&url), false).await.unwrap_err();
    assert!(format!("{error:#}").contains(&format!("127.0.0.1:{one},127.0.0.1:{two}")), "{error:#}");
}
