//! Running server processes: the outbox survives a crash, and several nodes send each event once.

use std::collections::BTreeSet;

use reqwest::Client;
use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use super::verified_actions;
use crate::support::{
    Database, Engine, PASSWORD,
    binary::{ServerProcess, tokenward_command},
    both_databases_multi_thread, http_client,
    receiver::{ReceivedRequest, Receiver},
};

fn start(url: &str) -> ServerProcess {
    let mut command = tokenward_command(url);
    command.env("TOKENWARD_OUTBOUND__ALLOW_PRIVATE", "true");
    ServerProcess::start_with(command)
}

/// Creates a webhook, and returns its secret.
async fn create_webhook(running: &ServerProcess, client: &Client, url: &str) -> String {
    let body = json!({"url": url, "events": ["token.created"]});
    let request = client.post(format!("{}/v4/webhooks", running.url)).basic_auth("admin@example.com", Some(PASSWORD));
    let created: Value = request.json(&body).send().await.unwrap().error_for_status().unwrap().json().await.unwrap();
    created["secret"].as_str().unwrap().to_owned()
}

fn target(request: &ReceivedRequest) -> String {
    serde_json::from_str::<Value>(&request.body).unwrap()["target"].as_str().unwrap().to_owned()
}

fn token_id(created: &Value) -> String {
    created["tokenInfo"]["tokenId"].as_str().unwrap().to_owned()
}

#[apply(both_databases_multi_thread)]
async fn an_event_is_sent_after_the_service_was_killed_before_it_sent_it(engine: Engine) {
    let database = Database::empty(engine).await;
    let mut receiver = Receiver::start().await;
    let client = http_client();
    let running = start(&database.url);
    let secret = create_webhook(&running, &client, &receiver.url()).await;
    let (mut created, mut requests) = (BTreeSet::new(), Vec::new());
    let mut running = Some(running);
    for _ in 0..4 {
        let node = running.take().unwrap();
        created.insert(token_id(&node.create_token(&client).await.unwrap()));
        // The event is committed. Whether its request was sent is not known.
        node.send_signal("KILL");
        drop(node);
        running = Some(start(&database.url));
    }
    let mut delivered = BTreeSet::new();
    while delivered != created {
        let request = receiver.next().await;
        delivered.insert(target(&request));
        requests.push(request);
    }
    let actions = verified_actions(&secret, &requests);
    assert!(actions.len() >= 4 && actions.iter().all(|action| action == "token.created"));
    let log = running.unwrap().log();
    assert!(!log.contains("secret-of-the-url") && !log.contains("whsec_"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_send_each_event_once() {
    let database = Database::empty(Engine::Postgres).await;
    let mut receiver = Receiver::start().await;
    let client = http_client();
    let nodes = [start(&database.url), start(&database.url)];
    create_webhook(&nodes[0], &client, &receiver.url()).await;
    let mut created = BTreeSet::new();
    for round in 0..20 {
        created.insert(token_id(&nodes[round % 2].create_token(&client).await.unwrap()));
    }
    let mut delivered = Vec::new();
    while delivered.len() < created.len() {
        delivered.push(target(&receiver.next().await));
    }
    assert_eq!(delivered.iter().cloned().collect::<BTreeSet<_>>(), created);
    assert!(receiver.received().is_empty());
}
