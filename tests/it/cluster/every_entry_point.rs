//! Operations that revoke many tokens at once, or on the command line, take effect on every node.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{
    Database, Engine, PASSWORD, TestApp, TokenClient,
    binary::{ServerProcess, run_with_stdin, tokenward_command},
    http_client,
};

/// Starts two nodes on one database.
async fn start_nodes() -> [TestApp; 2] {
    let first = TestApp::start(Engine::Postgres).await;
    let second = TestApp::start_with(first.database.for_another_node(), |_| ()).await;
    [first, second]
}

/// Returns a client of a node with the same bearer token.
fn client_at(app: &TestApp, bearer: &TokenClient) -> crate::support::ApiClient {
    app.client_with_authorization(&[&format!("Bearer {}", bearer.value)])
}

/// Brings these tokens into the cache of each node.
async fn cache_on_every_node(nodes: &[TestApp; 2], bearers: &[&TokenClient]) {
    for app in nodes {
        for bearer in bearers {
            client_at(app, bearer).get("/v4/auth").await.expect(200);
        }
        let statements = app.state.node().stats().lookup_queries;
        for bearer in bearers {
            client_at(app, bearer).get("/v4/auth").await.expect(200);
        }
        assert_eq!(app.state.node().stats().lookup_queries, statements, "not served from the cache");
    }
}

/// Asserts that every node rejects these tokens.
async fn assert_rejected(nodes: &[TestApp; 2], bearers: &[&TokenClient], operation: &str) {
    for app in nodes {
        for bearer in bearers {
            let status = client_at(app, bearer).get("/v4/auth").await.status;
            assert_eq!(status, 401, "{operation}");
        }
    }
}

/// Creates a child token.
async fn create_child(bearer: &TokenClient) -> TokenClient {
    TokenClient::from_response(
        bearer,
        &bearer.post("/v4/apiAccessTokens", &json!({"lifetimeSeconds": 600})).await.expect(201),
    )
}

#[tokio::test]
async fn a_leak_report_revokes_the_token_and_its_descendants_on_every_node() {
    let nodes = start_nodes().await;
    for turn in 0..4 {
        let leaked = nodes[turn % 2].admin().create_token().await;
        let child = create_child(&leaked).await;
        let grandchild = create_child(&child).await;
        let tokens = [&leaked, &child, &grandchild];
        cache_on_every_node(&nodes, &tokens).await;
        nodes[turn / 2].anonymous().post("/v4/leaks", &json!({"values": [leaked.value]})).await.expect(202);
        assert_rejected(&nodes, &tokens, "reported as leaked").await;
    }
}

#[tokio::test]
async fn deleting_a_token_and_its_descendants_takes_effect_on_every_node() {
    let nodes = start_nodes().await;
    for turn in 0..4 {
        let root = nodes[0].admin().create_token().await;
        let child = create_child(&root).await;
        let grandchild = create_child(&child).await;
        let other = nodes[0].admin().create_token().await;
        let tokens = [&root, &child, &grandchild];
        cache_on_every_node(&nodes, &tokens).await;
        cache_on_every_node(&nodes, &[&other]).await;
        let path = format!("{}?descendants=true", root.token_path());
        nodes[turn % 2].admin().delete(&path).await.expect(204);
        assert_rejected(&nodes, &tokens, "deleted with descendants").await;
        cache_on_every_node(&nodes, &[&other]).await;
    }
}

/// A family of more than a thousand tokens is revoked by one row. Its rows are deleted later.
#[tokio::test]
async fn deleting_a_large_family_takes_effect_on_tokens_of_service_accounts_on_every_node() {
    let nodes = start_nodes().await;
    let admin = nodes[0].admin();
    let me = admin.get("/v4/people/current").await.expect(200).json["id"].as_i64().unwrap();
    let body = json!({"kind": "service", "name": "ci", "custodians": [me]});
    let account = admin.post("/v4/people", &body).await.expect(201).json["id"].clone();
    for turn in 0..2 {
        let root = admin.create_token().await;
        let body = json!({"lifetimeSeconds": 600, "personId": account});
        let of_account = TokenClient::from_response(&root, &root.post("/v4/apiAccessTokens", &body).await.expect(201));
        let fill = format!(
            "insert into token (id, workspace_id, person_id, digest, display_prefix, description, created_at, parent_id) \
             select gen_random_uuid(), 1, {me}, sha256(('{turn} ' || n)::bytea), 'twd_fill', '', now(), '{}' \
             from generate_series(1, 1100) n",
            root.token_id
        );
        nodes[0].database.execute_sql(&fill).await;
        let tokens = [&root, &of_account];
        cache_on_every_node(&nodes, &tokens).await;
        let path = format!("{}?descendants=true", root.token_path());
        nodes[turn].admin().delete(&path).await.expect(204);
        assert_rejected(&nodes, &tokens, "deleted with more than a thousand descendants").await;
    }
}

#[tokio::test]
async fn deleting_all_tokens_of_a_person_takes_effect_on_every_node() {
    let nodes = start_nodes().await;
    nodes[0].set_setting("allowUsers", true).await;
    let ada = nodes[0].add_person("ada").await;
    let admin = nodes[0].admin().create_token().await;
    for turn in 0..4 {
        let tokens = [ada.create_token().await, ada.create_token().await, ada.create_token().await];
        let tokens = [&tokens[0], &tokens[1], &tokens[2]];
        cache_on_every_node(&nodes, &tokens).await;
        cache_on_every_node(&nodes, &[&admin]).await;
        let path = format!("/v4/apiAccessTokens?personId={}", ada.id);
        nodes[turn % 2].admin().delete(&path).await.expect(204);
        assert_rejected(&nodes, &tokens, "all tokens of a person deleted").await;
        cache_on_every_node(&nodes, &[&admin]).await;
    }
}

#[tokio::test]
async fn deleting_tokens_by_a_filter_takes_effect_on_every_node() {
    let nodes = start_nodes().await;
    let kept = nodes[0].admin().create_token().await;
    for turn in 0..4 {
        let create = || async {
            nodes[0].admin().create_token_with(json!({"lifetimeSeconds": 600, "description": "Old job"})).await
        };
        let tokens = [create().await, create().await, create().await];
        let tokens = [&tokens[0], &tokens[1], &tokens[2]];
        cache_on_every_node(&nodes, &tokens).await;
        cache_on_every_node(&nodes, &[&kept]).await;
        let body = json!({"description": "old", "allUsers": true, "dryRun": false});
        let response = nodes[turn % 2].admin().post("/v4/apiAccessTokens/delete", &body).await.expect(200);
        assert_eq!(response.json, json!({"matched": 3, "deleted": 3}));
        assert_rejected(&nodes, &tokens, "deleted by a filter").await;
        cache_on_every_node(&nodes, &[&kept]).await;
    }
}

/// Tokens are disabled by default, and the workspace has a setting that enables them.
#[tokio::test]
async fn resetting_a_setting_takes_effect_on_every_node() {
    let configure = |config: &mut tokenward::config::Config| config.tokens.enabled_by_default = false;
    let first = TestApp::start_with(Database::migrated(Engine::Postgres).await, configure).await;
    let second = TestApp::start_with(first.database.for_another_node(), configure).await;
    let nodes = [first, second];
    for turn in 0..4 {
        nodes[turn % 2].set_setting("enabled", true).await;
        let token = nodes[0].admin().create_token().await;
        cache_on_every_node(&nodes, &[&token]).await;
        let body = json!({"settings": ["feature.apiAccessTokens.enabled"]});
        let path = "/v4/workspaces/current/delete-configuration";
        nodes[turn / 2].admin().post(path, &body).await.expect(200);
        assert_rejected(&nodes, &[&token], "setting reset to its default").await;
    }
}

fn person_command(database: &Database, arguments: &[&str]) -> Command {
    let mut command_line = tokenward_command(&database.url);
    command_line.arg("person").args(arguments);
    command_line
}

/// Returns the status of an auth check.
async fn check_status(node: &ServerProcess, token: &Value) -> u16 {
    let check = http_client().get(format!("{}/v4/auth", node.url)).bearer_auth(token["tokenValue"].as_str().unwrap());
    check.send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disabling_a_person_on_the_command_line_takes_effect_on_every_node() {
    let database = Database::empty(Engine::Postgres).await;
    let nodes = [ServerProcess::start(&database.url), ServerProcess::start(&database.url)];
    let add = person_command(&database, &["add", "ada@example.com", "--admin", "--password-stdin"]);
    let added = tokio::task::block_in_place(|| run_with_stdin(add, &format!("{PASSWORD}\n")));
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    for turn in 0..3 {
        let request = http_client().post(format!("{}/v4/apiAccessTokens", nodes[turn % 2].url));
        let request = request.basic_auth("ada@example.com", Some(PASSWORD)).json(&json!({"lifetimeSeconds": 600}));
        let token: Value = request.send().await.unwrap().json().await.unwrap();
        for node in nodes.iter().chain(&nodes) {
            assert_eq!(check_status(node, &token).await, 200);
        }
        for (command, expected) in [("disable", 401), ("enable", 200)] {
            let change = person_command(&database, &[command, "ada@example.com"]);
            let changed = tokio::task::block_in_place(|| run_with_stdin(change, ""));
            assert!(changed.status.success(), "{}", String::from_utf8_lossy(&changed.stderr));
            for node in &nodes {
                assert_eq!(check_status(node, &token).await, expected, "turn {turn}: {command}");
            }
        }
    }
}
