//! Third-party programs against the running service: the vendor's SDK, a stock OAuth client, and
//! Schemathesis.

use rstest::rstest;
use rstest_reuse::apply;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::{Value, json};

use super::login::Person;
use crate::support::http_client;
use crate::workload::issuer::SigningKey;

use crate::support::{
    Database, Engine, PASSWORD, basic_auth,
    binary::{ServerProcess, tokenward_command},
    both_databases_multi_thread,
};

/// Returns the path of a tool that `scripts/test` installs.
pub(super) fn tool(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin").join(name);
    assert!(path.exists(), "this test needs {}: scripts/test installs it", path.display());
    path
}

#[apply(both_databases_multi_thread)]
async fn the_vendors_sdk_signs_in_and_is_rejected_after_deletion(engine: Engine) {
    let database = Database::empty(engine).await;
    let running = ServerProcess::start(&database.url);
    let http = http_client();
    let created = running.create_token(&http).await.unwrap();
    let sdk = |value: &str| {
        Command::new(tool("python"))
            .arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/process/sdk.py"))
            .args([&running.url, value])
            .output()
            .unwrap()
    };
    let value = created["tokenValue"].as_str().unwrap();
    assert_eq!(stdout_of(&sdk(value)), "200 admin@example.com\n");
    let id = created["tokenInfo"]["tokenId"].as_str().unwrap();
    let response =
        http.delete(format!("{}/v4/apiAccessTokens/{id}", running.url)).bearer_auth(value).send().await.unwrap();
    assert_eq!(response.status(), 204);
    assert_eq!(stdout_of(&sdk(value)), "401\n");
}

#[apply(both_databases_multi_thread)]
async fn a_stock_oauth_client_introspects_and_revokes(engine: Engine) {
    let database = Database::empty(engine).await;
    let running = ServerProcess::start(&database.url);
    let created = running.create_token(&http_client()).await.unwrap();
    let output = Command::new(tool("python"))
        .arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/process/oauth_client.py"))
        .args([&running.url, "admin@example.com", PASSWORD, created["tokenValue"].as_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(stdout_of(&output), "200 True admin@example.com\n200\n401\n200\n200 {'active': False}\n");
}

fn stdout_of(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Counts the 2xx responses in the log by method and route.
fn count_successes(log: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let (method, route) = (line["http.method"].as_str(), line["http.route"].as_str());
        if let (Some(method), Some(route), Some(200..=299)) = (method, route, line["http.status"].as_u64()) {
            *counts.entry(format!("{method} {route}")).or_default() += 1;
        }
    }
    counts
}

/// The operation that has the same route in the log as `GET /v4/auth`.
const UNDISTINGUISHABLE_OPERATION: &str = "GET /v4/auth/{requirements}";

#[apply(both_databases_multi_thread)]
async fn generated_requests_conform_to_the_openapi_document(engine: Engine) {
    let database = Database::empty(engine).await;
    let mut serve = tokenward_command(&database.url);
    // All requests are logged, including allowed checks.
    serve.env("TOKENWARD_LOG__AUTH_CHECKS", "all").env("TOKENWARD_LOG__FORMAT", "json");
    let running = ServerProcess::start_with(serve);
    create_people_and_workspaces(&running.url).await;
    let device_codes = approve_device_codes(&running.url).await;
    let trusted = TrustedWorkload::create(&running.url).await;
    let document = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    std::fs::write(document.path(), tokenward::api::openapi::document_json()).unwrap();
    let variable = |name: &str, default: String| std::env::var(name).unwrap_or(default);
    let examples = variable("TOKENWARD_SCHEMATHESIS_EXAMPLES", "15".to_owned());
    let seed = variable("TOKENWARD_SCHEMATHESIS_SEED", rand::random::<u16>().to_string());
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/process");
    let output = Command::new(tool("schemathesis"))
        .env("TOKENWARD_TEST_ACCOUNT", trusted.account_id.to_string())
        .env("TOKENWARD_TEST_RULES", trusted.rules.join(" "))
        .env("TOKENWARD_TEST_JWTS", trusted.jwts.join(" "))
        .env("SCHEMATHESIS_HOOKS", format!("{folder}/schemathesis_hooks.py"))
        .env("TOKENWARD_TEST_DEVICE_CODES", device_codes.join(" "))
        .args(["--config-file", &format!("{folder}/schemathesis.toml"), "run"])
        .arg(document.path())
        .args(["--url", &running.url, "--max-examples", &examples, "--seed", &seed, "--no-color"])
        .args(["-H", &format!("Authorization: {}", basic_auth("admin@example.com", PASSWORD))])
        .current_dir(tempfile::tempdir().unwrap().path())
        .output()
        .unwrap();
    running.send_signal("TERM");
    let (code, log) = running.wait_for_exit();
    assert!(
        output.status.success(),
        "TOKENWARD_SCHEMATHESIS_SEED={seed}\n{}{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        log.lines().filter(|line| line.contains("\"ERROR\"") || line.contains(":503,")).collect::<Vec<_>>().join("\n")
    );
    assert_eq!(code, Some(0));
    let successes = count_successes(&log);
    let (succeeded, requests) = (successes.values().sum::<usize>(), log.matches("\"http.status\"").count());
    let mut operations = documented_operations();
    operations.retain(|name| name != UNDISTINGUISHABLE_OPERATION);
    let fewest = operations.iter().map(|name| successes.get(name).copied().unwrap_or_default()).min();
    println!(
        "[measured] generated requests, {engine:?}: seed {seed}, {requests} requests, {succeeded} succeeded, each operation at \
         least {fewest:?} times"
    );
    // An operation that rejects every valid request would pass all other checks.
    assert!(fewest >= Some(1), "TOKENWARD_SCHEMATHESIS_SEED={seed}: {successes:#?} of {operations:?}");
}

/// A service account with trust rules, and JWTs that the first one accepts.
struct TrustedWorkload {
    account_id: i64,
    /// Rules that may be deleted.
    rules: Vec<String>,
    jwts: Vec<String>,
}

impl TrustedWorkload {
    async fn create(url: &str) -> Self {
        let http = http_client();
        let add = async |path: &str, body: Value| {
            let request = http.post(format!("{url}{path}")).basic_auth("admin@example.com", Some(PASSWORD));
            request.json(&body).send().await.unwrap().error_for_status().unwrap().json::<Value>().await.unwrap()
        };
        let account = add("/v4/people", json!({"kind": "service", "name": "deploy", "custodians": [1]})).await;
        let account_id = account["id"].as_i64().unwrap();
        let key = SigningKey::generate();
        let (issuer, audience) = ("https://issuer.example.com", "https://tokens.example.com");
        let rule = json!({
            "issuer": issuer, "jwks": {"keys": [key.jwk("1")]}, "audience": audience,
            "conditions": [{"claim": "sub", "value": "job-1"}]
        });
        let mut rules = Vec::new();
        for _ in 0..4 {
            let created = add(&format!("/v4/people/{account_id}/trust"), rule.clone()).await;
            rules.push(created["id"].as_str().unwrap().to_owned());
        }
        let now = tokenward::domain::time::Clock::system().now().as_millis() / 1_000;
        let jwt = |n: u64| {
            let claims = json!({"iss": issuer, "aud": audience, "sub": "job-1", "iat": now, "exp": now + 3_600, "jti": n.to_string()});
            key.sign(&json!({"alg": "ES256", "kid": "1"}), &claims.to_string())
        };
        Self { account_id, rules: rules.split_off(1), jwts: (0..5).map(jwt).collect() }
    }
}

/// Creates people and workspaces with small IDs, which generated requests hit.
async fn create_people_and_workspaces(url: &str) {
    let http = http_client();
    let add = async |path: &str, body: Value| {
        let request = http.post(format!("{url}{path}")).basic_auth("admin@example.com", Some(PASSWORD));
        assert_eq!(request.json(&body).send().await.unwrap().status(), 201);
    };
    for n in 0..8 {
        let person = |domain: &str| json!({"email": format!("{n}@{domain}"), "name": "N", "password": PASSWORD});
        add("/v4/people", person("people.example")).await;
        add("/v4/workspaces", json!({"name": "W", "admin": person("admins.example")})).await;
    }
}

/// Begins device authorizations that a person approves, and returns their codes. Generated codes do not exist.
async fn approve_device_codes(url: &str) -> Vec<String> {
    let person = Person::sign_in(url).await;
    let mut codes = Vec::new();
    for _ in 0..4 {
        let begin = http_client().post(format!("{url}/oauth2/device_authorization"));
        let begin = begin.header("content-type", "application/x-www-form-urlencoded").send();
        let begun: Value = begin.await.unwrap().json().await.unwrap();
        person.decide(begun["user_code"].as_str().unwrap(), "approve").await;
        codes.push(begun["device_code"].as_str().unwrap().to_owned());
    }
    codes
}

/// Returns the operations of the OpenAPI document by method and path.
fn documented_operations() -> Vec<String> {
    let document: Value = serde_json::from_str(tokenward::api::openapi::document_json()).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    let operations_of = |(path, methods): (&String, &Value)| -> Vec<String> {
        methods.as_object().unwrap().keys().map(|method| format!("{} {path}", method.to_uppercase())).collect()
    };
    paths.flat_map(operations_of).collect()
}
