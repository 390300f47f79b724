//! Programs that nobody here wrote, against the running service: the vendor's SDK, and a generator of random requests.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use crate::support::http_client;

use crate::support::{Database, Engine, PASSWORD, basic, binary::Running};

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

async fn random_requests_are_answered_as_the_document_says(engine: Engine) {
    let database = Database::empty(engine).await;
    let running = Running::start(&database.url);
    let document = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    std::fs::write(document.path(), tokenward::api::openapi::text()).unwrap();
    let examples = std::env::var("TOKENWARD_SCHEMATHESIS_EXAMPLES").unwrap_or_else(|_| "15".to_owned());
    let output = Command::new(tool("schemathesis"))
        .args(["--config-file", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/process/schemathesis.toml")])
        .arg("run")
        .arg(document.path())
        .args(["--url", &running.url, "--max-examples", &examples, "--seed", "1", "--no-color"])
        .args(["-H", &format!("Authorization: {}", basic("admin@example.com", PASSWORD))])
        .current_dir(tempfile::tempdir().unwrap().path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    running.signal("TERM");
    assert_eq!(running.wait().0, Some(0));
}
