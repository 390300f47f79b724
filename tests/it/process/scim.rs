//! SCIM with the program as a process: its commands, a public conformance suite, and two nodes.

use std::process::{Command, Output};

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use super::third_party::tool;
use crate::support::{
    Database, Engine, PASSWORD,
    binary::{ServerProcess, tokenward_command},
    both_databases_multi_thread, http_client,
};

fn run(database: &Database, arguments: &[&str]) -> Output {
    tokenward_command(&database.url).args(arguments).output().unwrap()
}

fn run_ok(database: &Database, arguments: &[&str]) -> (String, String) {
    let output = run(database, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// Creates a credential with the command, and returns its value.
fn create_credential(database: &Database) -> String {
    let value = run_ok(database, &["scim", "credential"]).0.trim_end().to_owned();
    assert!(value.starts_with("twdscim_") && value.len() == "twdscim_".len() + 49, "{value}");
    value
}

#[apply(both_databases_multi_thread)]
async fn credentials_are_created_listed_and_revoked(engine: Engine) {
    let database = Database::empty(engine).await;
    let running = ServerProcess::start(&database.url);
    let value = create_credential(&database);
    let http = http_client();
    let status = async || {
        http.get(format!("{}/scim/v2/Users", running.url)).bearer_auth(&value).send().await.unwrap().status().as_u16()
    };
    assert_eq!(status().await, 200);
    let (value, notice) = run_ok(&database, &["scim", "credential", "--name", "second"]);
    assert!(notice.starts_with("created SCIM credential ") && notice.contains("(second) for workspace 1"), "{notice}");
    assert!(!notice.contains(value.trim_end()));
    let (list, _) = run_ok(&database, &["scim", "credential", "list", "--json"]);
    let rows: Value = serde_json::from_str(&list).unwrap();
    let names: Vec<_> = rows.as_array().unwrap().iter().map(|row| (&row["name"], &row["provider"])).collect();
    assert_eq!(names, [(&json!("scim"), &Value::Null), (&json!("second"), &Value::Null)]);
    assert!(rows[0]["lastUsed"].is_string() && rows[1]["lastUsed"].is_null(), "{list}");
    assert!(!list.contains(value.trim_end()));
    let id = rows[0]["id"].as_str().unwrap();
    run_ok(&database, &["scim", "credential", "revoke", id]);
    assert_eq!(status().await, 401);
    for (arguments, reason) in [
        (&["scim", "credential", "revoke", id][..], "there is no SCIM credential"),
        (&["scim", "credential", "revoke", "x"], "tokenward scim credential list"),
        (&["scim", "credential", "--name", "second"], "choose another one with --name"),
        (&["scim", "credential", "--provider", "company"], "no identity provider is configured"),
        (&["scim", "credential", "--workspace", "7"], "workspace 7"),
        (&["scim", "credential", "list", "--workspace", "7"], "workspace 7"),
    ] {
        let output = run(&database, arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains(reason), "{arguments:?}: {text}");
    }
    let log = running.log();
    assert!(!log.contains(value.trim_end()));
}

/// Runs a public conformance suite, which tests what the discovery endpoints announce.
#[apply(both_databases_multi_thread)]
async fn a_public_conformance_suite_passes(engine: Engine) {
    let database = Database::empty(engine).await;
    let running = ServerProcess::start(&database.url);
    let value = create_credential(&database);
    let output = Command::new(tool("scim2"))
        .env("SCIM_CLI_HEADERS", format!("Authorization: Bearer {value}"))
        .env("NO_COLOR", "1")
        .args(["--url", &format!("{}/scim/v2", running.url), "test"])
        .output()
        .unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let count = |status: &str| text.lines().filter(|line| line.trim_start().starts_with(status)).count();
    println!("[measured] SCIM conformance suite, {engine:?}: {} checks passed", count("SUCCESS"));
    assert!(output.status.success() && count("ERROR") == 0 && count("CRITICAL") == 0, "{text}");
    assert!(count("SUCCESS") >= 40, "{text}");
}

/// Sends a request of a provisioning client.
async fn scim(node: &ServerProcess, value: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
    let request = http_client().request(method.parse().unwrap(), format!("{}/scim/v2{path}", node.url));
    let request = request.bearer_auth(value).header("content-type", "application/scim+json");
    let response = request.body(body.to_string()).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}

/// Returns the status of a check of a token.
async fn check(node: &ServerProcess, token: &str) -> u16 {
    let response = http_client().get(format!("{}/v4/auth", node.url)).bearer_auth(token).send().await.unwrap();
    response.status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaver_is_rejected_by_all_nodes_before_the_response() {
    let database = Database::empty(Engine::Postgres).await;
    let nodes = [ServerProcess::start(&database.url), ServerProcess::start(&database.url)];
    let [first, second] = &nodes;
    let value = create_credential(&database);
    let http = http_client();
    for (n, deletes) in [false, true, false, true].into_iter().enumerate() {
        let email = format!("ada{n}@example.com");
        let (status, user) =
            scim(first, &value, "POST", "/Users", json!({"userName": email, "externalId": email})).await;
        assert_eq!(status, 201, "{user}");
        let id = user["id"].as_str().unwrap().to_owned();
        let password = json!({"password": PASSWORD, "password2": PASSWORD, "tokenAccess": "enabled"});
        let patch = http.patch(format!("{}/v4/people/{id}", first.url)).basic_auth("admin@example.com", Some(PASSWORD));
        assert_eq!(patch.json(&password).send().await.unwrap().status(), 200);
        let mut tokens = Vec::new();
        for node in &nodes {
            let create = http.post(format!("{}/v4/apiAccessTokens", node.url)).basic_auth(&email, Some(PASSWORD));
            let created = create.json(&json!({"lifetimeSeconds": 3600})).send().await.unwrap();
            assert_eq!(created.status(), 201);
            let created: Value = created.json().await.unwrap();
            tokens.push(created["tokenValue"].as_str().unwrap().to_owned());
        }
        for (node, token) in nodes.iter().flat_map(|node| tokens.iter().map(move |token| (node, token))) {
            // The second check is answered from the cache.
            assert_eq!((check(node, token).await, check(node, token).await), (200, 200));
        }
        let path = format!("/Users/{id}");
        let status = if deletes {
            scim(second, &value, "DELETE", &path, Value::Null).await.0
        } else {
            let operations = json!({"Operations": [{"op": "Replace", "path": "active", "value": "False"}]});
            scim(second, &value, "PATCH", &path, operations).await.0
        };
        assert_eq!(status, if deletes { 204 } else { 200 });
        for (node, token) in nodes.iter().flat_map(|node| tokens.iter().map(move |token| (node, token))) {
            assert_eq!(check(node, token).await, 401, "{}", node.url);
        }
    }
    // A credential is looked up for each request, so every node rejects a revoked one.
    let (list, _) = run_ok(&database, &["scim", "credential", "list", "--json"]);
    let rows: Value = serde_json::from_str(&list).unwrap();
    run_ok(&database, &["scim", "credential", "revoke", rows[0]["id"].as_str().unwrap()]);
    for node in &nodes {
        assert_eq!(scim(node, &value, "GET", "/Users", Value::Null).await.0, 401);
    }
}
