//! Webhooks from end to end: a service that sends, and a receiver in the process of the test.

mod delivery;
mod expiry;
mod outbound;
mod process;

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::{
    Database, Engine, PersonClient, TestApp,
    receiver::{ReceivedRequest, Receiver},
};

/// Starts the service. Its webhooks may send to loopback.
async fn start(engine: Engine) -> TestApp {
    TestApp::start_with(Database::migrated(engine).await, |config| config.outbound.allow_private = true).await
}

/// Creates a webhook. Returns its ID and its secret.
async fn create_webhook(admin: &PersonClient, url: &str, events: &[&str]) -> (String, String) {
    let created = admin.post("/v4/webhooks", &json!({"url": url, "events": events})).await.expect(201);
    let text = |field: &str| created.json[field].as_str().unwrap().to_owned();
    (text("id"), text("secret"))
}

/// Returns the deliveries of a webhook, newest first.
async fn deliveries(admin: &PersonClient, id: &str) -> Vec<Value> {
    admin.get(&format!("/v4/webhooks/{id}/deliveries")).await.expect(200).rows().clone()
}

/// Delivers until nothing is due. Returns the number of attempts.
async fn deliver_all(app: &TestApp) -> usize {
    let mut attempts = 0;
    loop {
        match app.state.webhooks().deliver_due().await.unwrap() {
            0 => return attempts,
            count => attempts += count,
        }
    }
}

/// Returns the actions of requests, after the published library has verified their signatures.
fn verified_actions(secret: &str, requests: &[ReceivedRequest]) -> Vec<String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/tools/bin/python");
    assert!(python.exists(), "this test needs {}: scripts/test installs it", python.display());
    let mut child = Command::new(python)
        .arg(root.join("tests/it/webhooks/verify.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let work = json!({"secret": secret, "requests": requests}).to_string();
    child.stdin.take().unwrap().write_all(work.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Returns how far the test clock is behind the real time, in milliseconds. Receivers compare the time
/// of a request with theirs.
fn millis_to_real_time() -> i64 {
    tokenward::domain::time::Clock::system().now().as_millis() - 1_767_225_600_000
}

/// Returns the paths of the received requests.
fn paths(receiver: &mut Receiver) -> Vec<String> {
    receiver.received().into_iter().map(|request| request.path).collect()
}
