//! Lists and counts have connections of their own: nothing else ever waits for them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};

use super::{credential, insert_tokens};
use crate::support::{Bearer, Database, Engine, TestApp, an_hour};

const PATH: &str = "/v4/apiAccessTokens";

/// A view of tokens whose lists wait for an advisory lock, and nothing else.
const STALLING: &str = "create function stall() returns boolean language plpgsql volatile as $$ begin \
     if current_query() like 'select t.id,%' then perform pg_advisory_lock_shared(7); perform pg_advisory_unlock_shared(7); end if; \
     return true; end $$; \
     create or replace view live_token as select t.id, t.workspace_id, t.person_id, t.digest, t.hint, t.description, \
     t.created_at, t.expires_at, t.last_used_at, t.parent_id from token t join person p on p.id = t.person_id \
     where (p.tokens_dead_until is null or t.created_at > p.tokens_dead_until) and stall()";

/// All connections for lists are in use, by statements that do not end.
#[tokio::test]
async fn nothing_else_waits_for_lists_that_do_not_end() {
    let app = TestApp::start(Engine::Postgres).await;
    app.set("allowUsers", true).await;
    let ada = app.person("ada").await;
    let [mine, victim] = [ada.bearer().await, app.admin().bearer().await];
    let mut psql = PgConnection::connect(&app.database.url).await.unwrap();
    psql.execute(STALLING).await.unwrap();
    psql.execute("select pg_advisory_lock(7)").await.unwrap();
    let stalled: Vec<_> = (0..app.store.list_places())
        .map(|_| {
            let reader = mine.clone();
            tokio::spawn(async move { reader.get(PATH).await.status })
        })
        .collect();
    while waiting(&mut psql).await == 0 {}
    // The reader's share is used up, and with it the share of all people together.
    let [own, others] = [mine.get(PATH).await, app.admin().get("/v4/workspaces/current").await];
    assert_eq!((own.status, &own.headers["retry-after"]), (429, &"1".parse().unwrap()), "{}", own.text);
    assert_eq!((others.status, &others.headers["retry-after"]), (503, &"1".parse().unwrap()), "{}", others.text);
    // The first check of a token reads the database; so do sign-in, creation, change and deletion.
    assert!(victim.works().await);
    let fresh = app.presenting(&[&credential("ada")]).post(PATH, &an_hour()).await.expect(201);
    assert!(Bearer::of(&app.anonymous(), &fresh).works().await);
    app.signed_in("ada@example.com").await.get("/preferences/profile").await.expect(200);
    app.admin().change(ada.id, json!({"name": "Ada"})).await.expect(200);
    victim.delete(&victim.path()).await.expect(204);
    assert!(!victim.works().await);
    assert!(waiting(&mut psql).await > 0, "the lists are stalled still");
    psql.execute("select pg_advisory_unlock(7)").await.unwrap();
    for reading in stalled {
        reading.await.unwrap();
    }
    mine.get(PATH).await.expect(200);
    app.admin().get("/v4/workspaces/current").await.expect(200);
}

async fn waiting(psql: &mut PgConnection) -> i64 {
    let count = "select count(*) from pg_locks where locktype = 'advisory' and not granted \
                 and database = (select oid from pg_database where datname = current_database())";
    sqlx::query_scalar(count).fetch_one(psql).await.unwrap()
}

on_both!(deletions_succeed_however_many_lists_are_asked_for);

/// Two hundred requests at a time for counts and lists, by an ordinary person of a workspace with many tokens.
async fn deletions_succeed_however_many_lists_are_asked_for(app: TestApp) {
    app.set("allowUsers", true).await;
    let ada = app.person("ada").await;
    let TestApp { store, database, .. } = app;
    store.close().await;
    insert_tokens(&database, ada.id, 20_000).await;
    let app = start(database).await;
    let made = app.presenting(&[&credential("ada")]).post(PATH, &an_hour()).await.expect(201);
    let reader = Bearer::of(&app.anonymous(), &made);
    let (is_over, read) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let readers: Vec<_> = (0..200)
        .map(|n| {
            let (reader, is_over, read) = (reader.clone(), Arc::clone(&is_over), Arc::clone(&read));
            tokio::spawn(async move {
                let list = format!("{PATH}?sort=description&limit=50");
                let path = if n % 4 == 0 { list.as_str() } else { "/v4/workspaces/current" };
                while !is_over.load(Ordering::SeqCst) {
                    match reader.get(path).await.status {
                        200 => drop(read.fetch_add(1, Ordering::SeqCst)),
                        429 => {}
                        other => panic!("{path}: {other}"),
                    }
                }
            })
        })
        .collect();
    while read.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..15 {
        let token = app.admin().bearer().await;
        assert!(token.works().await);
        token.delete(&token.path()).await.expect(204);
        assert!(!token.works().await);
    }
    is_over.store(true, Ordering::SeqCst);
    for reading in readers {
        reading.await.unwrap();
    }
    let current = app.admin().get("/v4/workspaces/current").await.expect(200);
    assert_eq!((&current.json["personCount"], &current.json["tokenCount"]), (&json!(2), &json!(20_001)));
}

/// With more time than a request has, because the machine may be busy with other tests.
async fn start(database: Database) -> TestApp {
    TestApp::with(database, |config| {
        config.http.request_timeout_ms = 20_000;
        config.database.acquire_timeout_ms = 10_000;
    })
    .await
}
