//! What takes many rights away at once, or by another way than the API, takes them away on every node.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{
    Bearer, Database, Engine, PASSWORD, TestApp,
    binary::{Running, command, run},
    http_client,
};

/// Two nodes of one database.
async fn nodes() -> [TestApp; 2] {
    let first = TestApp::start(Engine::Postgres).await;
    let second = TestApp::with(first.database.for_another_node(), |_| ()).await;
    [first, second]
}

/// The same bearer at another node.
fn at(app: &TestApp, bearer: &Bearer) -> crate::support::Client {
    app.presenting(&[&format!("Bearer {}", bearer.value)])
}

/// Makes each node know these tokens by heart.
async fn learn(nodes: &[TestApp; 2], bearers: &[&Bearer]) {
    for app in nodes {
        for bearer in bearers {
            at(app, bearer).get("/v4/auth").await.expect(200);
        }
        let statements = app.app.live().tally().statements;
        for bearer in bearers {
            at(app, bearer).get("/v4/auth").await.expect(200);
        }
        assert_eq!(app.app.live().tally().statements, statements, "known by heart");
    }
}

/// Insists that no node accepts these tokens any more.
async fn assert_gone(nodes: &[TestApp; 2], bearers: &[&Bearer], what: &str) {
    for app in nodes {
        for bearer in bearers {
            let status = at(app, bearer).get("/v4/auth").await.status;
            assert_eq!(status, 401, "{what}");
        }
    }
}

/// A token that this one has made.
async fn made_by(bearer: &Bearer) -> Bearer {
    Bearer::of(bearer, &bearer.post("/v4/apiAccessTokens", &json!({"lifetimeSeconds": 600})).await.expect(201))
}

#[tokio::test]
async fn a_leak_report_reaches_every_node_with_all_that_the_token_has_made() {
    let nodes = nodes().await;
    for turn in 0..4 {
        let leaked = nodes[turn % 2].admin().bearer().await;
        let made = made_by(&leaked).await;
        let made_by_that = made_by(&made).await;
        let family = [&leaked, &made, &made_by_that];
        learn(&nodes, &family).await;
        nodes[turn / 2].anonymous().post("/v4/leaks", &json!({"values": [leaked.value]})).await.expect(202);
        assert_gone(&nodes, &family, "reported as leaked").await;
    }
}

#[tokio::test]
async fn a_family_is_deleted_on_every_node() {
    let nodes = nodes().await;
    for turn in 0..4 {
        let root = nodes[0].admin().bearer().await;
        let made = made_by(&root).await;
        let made_by_that = made_by(&made).await;
        let other = nodes[0].admin().bearer().await;
        let family = [&root, &made, &made_by_that];
        learn(&nodes, &family).await;
        learn(&nodes, &[&other]).await;
        let path = format!("{}?descendants=true", root.path());
        nodes[turn % 2].admin().delete(&path).await.expect(204);
        assert_gone(&nodes, &family, "a family").await;
        learn(&nodes, &[&other]).await;
    }
}

#[tokio::test]
async fn all_tokens_of_a_person_are_deleted_on_every_node() {
    let nodes = nodes().await;
    nodes[0].set("allowUsers", true).await;
    let ada = nodes[0].person("ada").await;
    let admin = nodes[0].admin().bearer().await;
    for turn in 0..4 {
        let tokens = [ada.bearer().await, ada.bearer().await, ada.bearer().await];
        let tokens = [&tokens[0], &tokens[1], &tokens[2]];
        learn(&nodes, &tokens).await;
        learn(&nodes, &[&admin]).await;
        let path = format!("/v4/apiAccessTokens?personId={}", ada.id);
        nodes[turn % 2].admin().delete(&path).await.expect(204);
        assert_gone(&nodes, &tokens, "all of a person").await;
        learn(&nodes, &[&admin]).await;
    }
}

/// A workspace has tokens by a setting of its own, where by default there are none.
#[tokio::test]
async fn a_setting_that_is_put_back_reaches_every_node() {
    let by_default = |config: &mut tokenward::config::Config| config.tokens.enabled_by_default = false;
    let first = TestApp::with(Database::migrated(Engine::Postgres).await, by_default).await;
    let second = TestApp::with(first.database.for_another_node(), by_default).await;
    let nodes = [first, second];
    for turn in 0..4 {
        nodes[turn % 2].set("enabled", true).await;
        let token = nodes[0].admin().bearer().await;
        learn(&nodes, &[&token]).await;
        let body = json!({"settings": ["feature.apiAccessTokens.enabled"]});
        let path = "/v4/workspaces/current/delete-configuration";
        nodes[turn / 2].admin().post(path, &body).await.expect(200);
        assert_gone(&nodes, &[&token], "put back to its default").await;
    }
}

fn person(database: &Database, arguments: &[&str]) -> Command {
    let mut person = command(&database.url);
    person.arg("person").args(arguments);
    person
}

/// The status of a check.
async fn status(node: &Running, token: &Value) -> u16 {
    let check = http_client().get(format!("{}/v4/auth", node.url)).bearer_auth(token["tokenValue"].as_str().unwrap());
    check.send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_command_line_takes_away_is_gone_on_every_node_when_it_returns() {
    let database = Database::empty(Engine::Postgres).await;
    let nodes = [Running::start(&database.url), Running::start(&database.url)];
    let add = person(&database, &["add", "ada@example.com", "--admin", "--password-stdin"]);
    let added = tokio::task::block_in_place(|| run(add, &format!("{PASSWORD}\n")));
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    for turn in 0..3 {
        let ask = http_client().post(format!("{}/v4/apiAccessTokens", nodes[turn % 2].url));
        let ask = ask.basic_auth("ada@example.com", Some(PASSWORD)).json(&json!({"lifetimeSeconds": 600}));
        let token: Value = ask.send().await.unwrap().json().await.unwrap();
        for node in nodes.iter().chain(&nodes) {
            assert_eq!(status(node, &token).await, 200);
        }
        for (command, expected) in [("disable", 401), ("enable", 200)] {
            let change = person(&database, &[command, "ada@example.com"]);
            let changed = tokio::task::block_in_place(|| run(change, ""));
            assert!(changed.status.success(), "{}", String::from_utf8_lossy(&changed.stderr));
            for node in &nodes {
                assert_eq!(status(node, &token).await, expected, "turn {turn}: {command}");
            }
        }
    }
}
