//! What happens many times at once, over HTTP (P19). The same without a network: `of_many_deletions_at_once_one_succeeds` and
//! `creators_who_race_the_switch_make_nothing_after_it`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::{Token, client, delete, make, times};
use crate::support::{Database, Engine, PASSWORD, binary::Running};

on_both_databases!(of_a_hundred_deletions_one_succeeds, fifty_creators_make_nothing_once_tokens_are_off);

/// Two on PostgreSQL, the one of SQLite.
fn nodes(database: &Database) -> Vec<Running> {
    let count = if database.engine == Engine::Postgres { 2 } else { 1 };
    (0..count).map(|_| Running::start(&database.url)).collect()
}

async fn of_a_hundred_deletions_one_succeeds(engine: Engine) {
    let database = Database::empty(engine).await;
    let nodes = nodes(&database);
    let (http, rounds) = (client(), times(3, 50));
    for _ in 0..rounds {
        let token = Token::made_by(&nodes[0]).await;
        let tries: Vec<_> = (0..100)
            .map(|n| {
                let (http, url, token) = (http.clone(), nodes[n % nodes.len()].url.clone(), token.clone());
                tokio::spawn(async move { delete(&http, &url, &token).await.unwrap() })
            })
            .collect();
        let mut statuses = Vec::new();
        for attempt in tries {
            statuses.push(attempt.await.unwrap());
        }
        statuses.sort_unstable();
        assert!(statuses[0] == 204 && statuses[1..].iter().all(|status| *status == 404), "{statuses:?}");
    }
    println!("P19 {engine:?}: {rounds} times 100 deletions at once, one 204 each, 99 times 404");
}

async fn fifty_creators_make_nothing_once_tokens_are_off(engine: Engine) {
    let database = Database::empty(engine).await;
    let nodes = nodes(&database);
    let admin = Token::made_by(&nodes[0]).await;
    let (is_off, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let creators: Vec<_> = (0..50)
        .map(|n| {
            let (url, admin) = (nodes[n % nodes.len()].url.clone(), admin.clone());
            tokio::spawn(create_on(url, admin, Arc::clone(&is_off), Arc::clone(&made)))
        })
        .collect();
    while made.load(Ordering::SeqCst) < 100 {
        tokio::task::yield_now().await;
    }
    let asked = client().patch(format!("{}/v4/workspaces/current/configuration", nodes[0].url));
    let off = json!({"configuration": [{"key": "feature.apiAccessTokens.enabled", "value": false}]});
    let answer = asked.basic_auth("admin@example.com", Some(PASSWORD)).json(&off).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    is_off.store(true, Ordering::SeqCst);
    let mut late = 0;
    for creator in creators {
        late += creator.await.unwrap();
    }
    let made = made.load(Ordering::SeqCst);
    println!(
        "P19 {engine:?}: 50 creators made {made} tokens, {late} that they asked for after the switch-off had answered"
    );
    assert_eq!(late, 0);
}

/// Makes tokens until that is refused; gives how many it made that it asked for after the switch had answered.
async fn create_on(url: String, admin: Token, is_off: Arc<AtomicBool>, made: Arc<AtomicUsize>) -> usize {
    let (http, mut late) = (client(), 0);
    loop {
        let was_off = is_off.load(Ordering::SeqCst);
        match make(&http, &url, &admin).await {
            Some((201, _)) => {
                made.fetch_add(1, Ordering::SeqCst);
                late += usize::from(was_off);
            }
            // What is off is not there, and the token with which it is asked for is off itself.
            Some((401 | 404, _)) => return late,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_first_starts_make_one_administrator() {
    let database = Database::empty(Engine::Postgres).await;
    let starts: Vec<_> = (0..20)
        .map(|_| {
            let url = database.url.clone();
            spawn_blocking(move || Running::start(&url))
        })
        .collect();
    let mut nodes = Vec::new();
    for start in starts {
        nodes.push(start.await.unwrap());
    }
    let introduced = nodes.iter().filter(|node| node.log().contains("First start")).count();
    let mut people = Vec::new();
    for node in &nodes {
        let asked = client().get(format!("{}/v4/people", node.url)).basic_auth("admin@example.com", Some(PASSWORD));
        let list: Value = asked.send().await.unwrap().json().await.unwrap();
        people.push(list["data"].as_array().unwrap().len());
    }
    println!("P19 Postgres: 20 first starts at once, {introduced} made the administrator");
    assert!(introduced == 1 && people.iter().all(|people| *people == 1), "{introduced}, {people:?}");
}
