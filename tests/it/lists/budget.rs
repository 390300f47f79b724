//! Lists and counts use a separate budget of connections, so that no other request waits for them.

use rstest::rstest;
use rstest_reuse::apply;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};

use super::{basic_credential, insert_person_tokens};
use crate::support::{Database, Engine, TestApp, TokenClient, both_databases, one_hour_token};

const PATH: &str = "/v4/apiAccessTokens";

/// Replaces the view of tokens by one whose list queries wait for an advisory lock.
const STALLING_VIEW_SQL: &str = "create function stall() returns boolean language plpgsql volatile as $$ begin \
     if current_query() like 'select t.id,%' then perform pg_advisory_lock_shared(7); perform pg_advisory_unlock_shared(7); end if; \
     return true; end $$; \
     create or replace view unrevoked_token as select t.id, t.workspace_id, t.person_id, t.digest, t.display_prefix, t.description, \
     t.created_at, t.expires_at, t.last_used_at, t.parent_id, t.scopes, t.allowed_networks, t.deletes_at, t.replaced_by, \
     coalesce(t.deletes_at, t.expires_at) as ends_at, cast(null as text) as limits, t.trust_rule_id \
     from token t join person p on p.id = t.person_id \
     where (p.tokens_revoked_before is null or t.created_at > p.tokens_revoked_before) and stall()";

/// All connections for lists are used by statements that do not end.
#[tokio::test]
async fn stalled_lists_do_not_block_other_requests() {
    let app = TestApp::start(Engine::Postgres).await;
    app.set_setting("allowUsers", true).await;
    let ada = app.add_person("ada").await;
    let [own_token, victim] = [ada.create_token().await, app.admin().create_token().await];
    let mut psql = PgConnection::connect(&app.database.url).await.unwrap();
    psql.execute(STALLING_VIEW_SQL).await.unwrap();
    psql.execute("select pg_advisory_lock(7)").await.unwrap();
    let stalled: Vec<_> = (0..app.store.max_concurrent_lists())
        .map(|_| {
            let reader = own_token.clone();
            tokio::spawn(async move { reader.get(PATH).await.status })
        })
        .collect();
    while count_waiting_locks(&mut psql).await == 0 {}
    // The share of this reader is used up, and with it the share of all readers.
    let [own_response, other_response] = [own_token.get(PATH).await, app.admin().get("/v4/workspaces/current").await];
    assert_eq!(
        (own_response.status, &own_response.headers["retry-after"]),
        (429, &"1".parse().unwrap()),
        "{}",
        own_response.text
    );
    assert_eq!(
        (other_response.status, &other_response.headers["retry-after"]),
        (503, &"1".parse().unwrap()),
        "{}",
        other_response.text
    );
    // The first check of a token reads the database, as do logins and mutations.
    assert!(victim.is_accepted().await);
    let fresh =
        app.client_with_authorization(&[&basic_credential("ada")]).post(PATH, &one_hour_token()).await.expect(201);
    assert!(TokenClient::from_response(&app.anonymous(), &fresh).is_accepted().await);
    app.signed_in_browser("ada@example.com").await.get("/preferences/profile").await.expect(200);
    app.admin().update_person(ada.id, json!({"name": "Ada"})).await.expect(200);
    victim.delete(&victim.token_path()).await.expect(204);
    assert!(!victim.is_accepted().await);
    assert!(count_waiting_locks(&mut psql).await > 0, "the lists are still stalled");
    psql.execute("select pg_advisory_unlock(7)").await.unwrap();
    for reading in stalled {
        reading.await.unwrap();
    }
    own_token.get(PATH).await.expect(200);
    app.admin().get("/v4/workspaces/current").await.expect(200);
}

async fn count_waiting_locks(psql: &mut PgConnection) -> i64 {
    let count = "select count(*) from pg_locks where locktype = 'advisory' and not granted \
                 and database = (select oid from pg_database where datname = current_database())";
    sqlx::query_scalar(count).fetch_one(psql).await.unwrap()
}

/// A person of a workspace with many tokens keeps 200 requests for counts and lists in flight.
#[apply(both_databases)]
async fn deletions_succeed_under_any_number_of_list_requests(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.set_setting("allowUsers", true).await;
    let ada = app.add_person("ada").await;
    let TestApp { store, database, .. } = app;
    store.close().await;
    insert_person_tokens(&database, ada.id, 20_000).await;
    let app = start_with_long_timeouts(database).await;
    let created =
        app.client_with_authorization(&[&basic_credential("ada")]).post(PATH, &one_hour_token()).await.expect(201);
    let reader = TokenClient::from_response(&app.anonymous(), &created);
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
        let token = app.admin().create_token().await;
        assert!(token.is_accepted().await);
        token.delete(&token.token_path()).await.expect(204);
        assert!(!token.is_accepted().await);
    }
    is_over.store(true, Ordering::SeqCst);
    for reading in readers {
        reading.await.unwrap();
    }
    let current = app.admin().get("/v4/workspaces/current").await.expect(200);
    assert_eq!((&current.json["personCount"], &current.json["tokenCount"]), (&json!(2), &json!(20_001)));
}

/// Starts the service with longer timeouts, because the machine may be busy with other tests.
async fn start_with_long_timeouts(database: Database) -> TestApp {
    TestApp::start_with(database, |config| {
        config.http.request_timeout = tokenward::config::ConfigDuration::from_millis(20_000);
        config.database.acquire_timeout = tokenward::config::ConfigDuration::from_millis(10_000);
    })
    .await
}
