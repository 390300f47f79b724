//! Concurrent operations over HTTP.

use rstest::rstest;
use rstest_reuse::apply;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::{Token, client, create_token, delete_token, iterations};
use crate::support::{
    Database, Engine, PASSWORD,
    binary::{ServerProcess, tokenward_command},
    both_databases_multi_thread,
};

/// Starts two nodes on PostgreSQL, or one on SQLite. A hundred requests that wait for each other take
/// longer than the default time limits on a busy machine.
fn start_nodes(database: &Database) -> Vec<ServerProcess> {
    let start = || {
        let mut serve = tokenward_command(&database.url);
        for limit in ["DATABASE__ACQUIRE_TIMEOUT", "DATABASE__STATEMENT_TIMEOUT", "HTTP__REQUEST_TIMEOUT"] {
            serve.env(format!("TOKENWARD_{limit}"), "2m");
        }
        ServerProcess::start_with(serve)
    };
    let count = if database.engine == Engine::Postgres { 2 } else { 1 };
    (0..count).map(|_| start()).collect()
}

#[apply(both_databases_multi_thread)]
async fn one_of_a_hundred_concurrent_deletions_succeeds(engine: Engine) {
    let database = Database::empty(engine).await;
    let nodes = start_nodes(&database);
    let (http, rounds) = (client(), iterations(3, 50));
    for _ in 0..rounds {
        let token = Token::create(&nodes[0]).await;
        let attempts: Vec<_> = (0..100)
            .map(|n| {
                let (http, url, token) = (http.clone(), nodes[n % nodes.len()].url.clone(), token.clone());
                tokio::spawn(async move { delete_token(&http, &url, &token).await.unwrap() })
            })
            .collect();
        let mut statuses = Vec::new();
        for attempt in attempts {
            statuses.push(attempt.await.unwrap());
        }
        statuses.sort_unstable();
        assert!(statuses[0] == 204 && statuses[1..].iter().all(|status| *status == 404), "{statuses:?}");
    }
    println!("[measured] races, {engine:?}: {rounds} times 100 concurrent deletions: one 204 and 99 times 404 each");
}

#[apply(both_databases_multi_thread)]
async fn no_token_is_created_after_tokens_were_disabled(engine: Engine) {
    let database = Database::empty(engine).await;
    let nodes = start_nodes(&database);
    let admin = Token::create(&nodes[0]).await;
    // One permit for each created token. The clients share their connections: 50 TLS configurations
    // would keep the runtime busy for seconds.
    let (disabled, created) = (Arc::new(AtomicBool::new(false)), Arc::new(Semaphore::new(0)));
    let http = client();
    let creators: Vec<_> = (0..50)
        .map(|n| {
            let (url, admin) = (nodes[n % nodes.len()].url.clone(), admin.clone());
            tokio::spawn(create_until_disabled(http.clone(), url, admin, Arc::clone(&disabled), Arc::clone(&created)))
        })
        .collect();
    drop(created.acquire_many(100).await.unwrap());
    let request = http.patch(format!("{}/v4/workspaces/current/configuration", nodes[0].url));
    let disable = json!({"configuration": [{"key": "feature.apiAccessTokens.enabled", "value": false}]});
    let response = request.basic_auth("admin@example.com", Some(PASSWORD)).json(&disable).send().await.unwrap();
    assert_eq!(response.status(), 200);
    disabled.store(true, Ordering::SeqCst);
    let mut late = 0;
    for creator in creators {
        late += creator.await.unwrap();
    }
    let created = created.available_permits();
    println!(
        "[measured] races, {engine:?}: 50 clients created {created} tokens, {late} of them requested after tokens were disabled"
    );
    assert_eq!(late, 0);
}

/// Creates tokens until that is rejected. Returns the number of tokens requested after tokens were
/// disabled.
async fn create_until_disabled(
    http: reqwest::Client,
    url: String,
    admin: Token,
    disabled: Arc<AtomicBool>,
    created: Arc<Semaphore>,
) -> usize {
    let mut late = 0;
    loop {
        let was_disabled = disabled.load(Ordering::SeqCst);
        match create_token(&http, &url, &admin).await {
            Some((201, _)) => {
                created.add_permits(1);
                late += usize::from(was_disabled);
            }
            // The disabled API returns 404, or 401 because the token of the caller is disabled too.
            Some((401 | 404, _)) => return late,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_concurrent_first_starts_create_one_administrator() {
    let database = Database::empty(Engine::Postgres).await;
    let starts: Vec<_> = (0..20)
        .map(|_| {
            let url = database.url.clone();
            spawn_blocking(move || ServerProcess::start(&url))
        })
        .collect();
    let mut nodes = Vec::new();
    for start in starts {
        nodes.push(start.await.unwrap());
    }
    let bootstrapped = nodes.iter().filter(|node| node.log().contains("created the first administrator")).count();
    let mut people = Vec::new();
    for node in &nodes {
        let request = client().get(format!("{}/v4/people", node.url)).basic_auth("admin@example.com", Some(PASSWORD));
        let list: Value = request.send().await.unwrap().json().await.unwrap();
        people.push(list["data"].as_array().unwrap().len());
    }
    println!("[measured] races, Postgres: 20 concurrent first starts, {bootstrapped} created the administrator");
    assert!(bootstrapped == 1 && people.iter().all(|people| *people == 1), "{bootstrapped}, {people:?}");
}
