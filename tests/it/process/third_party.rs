//! Programs that nobody here wrote, against the running service: the vendor's SDK, and a generator of random requests.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::{Value, json};

use crate::support::http_client;

use crate::support::{
    Database, Engine, PASSWORD, basic,
    binary::{Running, command},
};

on_both_databases!(
    the_vendors_sdk_signs_in_and_is_refused_after_deletion,
    a_stock_oauth_client_asks_and_revokes,
    random_requests_are_answered_as_the_document_says
);

/// A program of the Python environment that `scripts/test` makes.
fn tool(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin").join(name);
    assert!(path.exists(), "this test needs {}: scripts/test installs it", path.display());
    path
}

async fn the_vendors_sdk_signs_in_and_is_refused_after_deletion(engine: Engine) {
    let database = Database::empty(engine).await;
    let running = Running::start(&database.url);
    let http = http_client();
    let made = running.make_token(&http).await.unwrap();
    let sdk = |value: &str| {
        Command::new(tool("python"))
            .arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/process/sdk.py"))
            .args([&running.url, value])
            .output()
            .unwrap()
    };
    let value = made["tokenValue"].as_str().unwrap();
    assert_eq!(said(&sdk(value)), "200 admin@example.com\n");
    let id = made["tokenInfo"]["tokenId"].as_str().unwrap();
    let gone = http.delete(format!("{}/v4/apiAccessTokens/{id}", running.url)).bearer_auth(value).send().await.unwrap();
    assert_eq!(gone.status(), 204);
    assert_eq!(said(&sdk(value)), "401\n");
}

async fn a_stock_oauth_client_asks_and_revokes(engine: Engine) {
    let database = Database::empty(engine).await;
    let running = Running::start(&database.url);
    let made = running.make_token(&http_client()).await.unwrap();
    let output = Command::new(tool("python"))
        .arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/process/oauth_client.py"))
        .args([&running.url, "admin@example.com", PASSWORD, made["tokenValue"].as_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(said(&output), "200 True admin@example.com\n200\n401\n200\n200 {'active': False}\n");
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// How often each operation was answered 2xx, by method and route, as the log says.
fn successes(log: &str) -> BTreeMap<String, usize> {
    let mut done = BTreeMap::new();
    for line in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let (method, route) = (line["span"]["http.method"].as_str(), line["span"]["http.route"].as_str());
        if let (Some(method), Some(route), Some(200..=299)) = (method, route, line["http.status"].as_u64()) {
            *done.entry(format!("{method} {route}")).or_default() += 1;
        }
    }
    done
}

/// The operation that the log does not tell from `GET /v4/auth`.
const NOT_TOLD_APART: &str = "GET /v4/auth/{requirements}";

async fn random_requests_are_answered_as_the_document_says(engine: Engine) {
    let database = Database::empty(engine).await;
    let mut serve = command(&database.url);
    // Each request has a line in the log, checks included.
    serve.env("TOKENWARD_LOG__CHECKS", "all").env("TOKENWARD_LOG__FORMAT", "json");
    let running = Running::start_with(serve);
    furnish(&running.url).await;
    let document = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    std::fs::write(document.path(), tokenward::api::openapi::text()).unwrap();
    let variable = |name: &str, default: String| std::env::var(name).unwrap_or(default);
    let examples = variable("TOKENWARD_SCHEMATHESIS_EXAMPLES", "15".to_owned());
    let seed = variable("TOKENWARD_SCHEMATHESIS_SEED", rand::random::<u16>().to_string());
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/process");
    let output = Command::new(tool("schemathesis"))
        .env("SCHEMATHESIS_HOOKS", format!("{here}/schemathesis_hooks.py"))
        .args(["--config-file", &format!("{here}/schemathesis.toml"), "run"])
        .arg(document.path())
        .args(["--url", &running.url, "--max-examples", &examples, "--seed", &seed, "--no-color"])
        .args(["-H", &format!("Authorization: {}", basic("admin@example.com", PASSWORD))])
        .current_dir(tempfile::tempdir().unwrap().path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "TOKENWARD_SCHEMATHESIS_SEED={seed}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    running.signal("TERM");
    let (code, log) = running.wait();
    assert_eq!(code, Some(0));
    let done = successes(&log);
    let (all, of) = (done.values().sum::<usize>(), log.matches("\"http.status\"").count());
    let mut operations = operations();
    operations.retain(|name| name != NOT_TOLD_APART);
    let fewest = operations.iter().map(|name| done.get(name).copied().unwrap_or_default()).min();
    println!(
        "P14 {engine:?}: seed {seed}, {of} requests, {all} of them done, each operation at least {fewest:?} times"
    );
    // An operation that refuses whatever fits the document would pass all checks.
    assert!(fewest >= Some(1), "TOKENWARD_SCHEMATHESIS_SEED={seed}: {done:#?} of {operations:?}");
}

/// People and workspaces with small ids, which random requests hit.
async fn furnish(url: &str) {
    let http = http_client();
    let add = async |path: &str, body: Value| {
        let request = http.post(format!("{url}{path}")).basic_auth("admin@example.com", Some(PASSWORD));
        assert_eq!(request.json(&body).send().await.unwrap().status(), 201);
    };
    for n in 0..8 {
        let person = |place: &str| json!({"email": format!("{n}@{place}"), "name": "N", "password": PASSWORD});
        add("/v4/people", person("people.example")).await;
        add("/v4/workspaces", json!({"name": "W", "admin": person("admins.example")})).await;
    }
}

/// The operations of the document, by method and path.
fn operations() -> Vec<String> {
    let document: Value = serde_json::from_str(tokenward::api::openapi::text()).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    let named = |(path, methods): (&String, &Value)| -> Vec<String> {
        methods.as_object().unwrap().keys().map(|method| format!("{} {path}", method.to_uppercase())).collect()
    };
    paths.flat_map(named).collect()
}
