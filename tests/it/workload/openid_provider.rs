//! JWTs of npm `oidc-provider`, whose keys are found by discovery over TLS (`tests/openid`).

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Stdio};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use super::{EXCHANGE, JWT};
use crate::support::{
    Database, Engine, PASSWORD,
    binary::{ServerProcess, tokenward_command},
    directory::certificates::{ServerCertificate, write_certificates},
    http_client,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jwts_of_a_real_issuer_are_exchanged() {
    let folder = tempfile::tempdir().unwrap();
    write_certificates(folder.path(), ServerCertificate::Good, "DNS:localhost,IP:127.0.0.1");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut node = Command::new("node")
        .arg(root.join("tests/openid/issuer.js"))
        .arg(folder.path())
        .env("NODE_PATH", root.join("target/tools/browser/node_modules"))
        .env("OPENID_MODULES", root.join("target/tools/openid/node_modules"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("this test needs node and target/tools: scripts/test installs them");
    let mut lines = BufReader::new(node.stdout.take().unwrap()).lines();
    let mut next = async || lines.next_line().await.unwrap().expect("a line of the issuer");
    let (port, first, second) = (next().await, next().await, next().await);

    let config = folder.path().join("tokenward.toml");
    let ca_file = folder.path().join("ca.pem");
    fs::write(&config, format!("[outbound]\nallow_private = true\nca_file = {ca_file:?}\n")).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    let database = Database::empty(Engine::Sqlite).await;
    let mut serve = tokenward_command(&database.url);
    serve.arg("--config").arg(&config);
    let running = tokio::task::block_in_place(|| ServerProcess::start_with(serve));
    let url = |path: &str| format!("{}{path}", running.url);
    let http = http_client();
    let post = async |path: &str, body: Value| {
        let request = http.post(url(path)).basic_auth("admin@example.com", Some(PASSWORD)).json(&body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 201, "{path}");
        response.json::<Value>().await.unwrap()
    };
    let account = post("/v4/people", json!({"kind": "service", "name": "deploy", "custodians": [1]})).await;
    let rule = json!({"issuer": format!("https://localhost:{port}"), "audience": "https://tokens.example.com",
        "conditions": [{"claim": "sub", "value": "deploy"}, {"claim": "repository_id", "value": "7001"},
            {"claim": "repository", "glob": "octo/*"}]});
    post(&format!("/v4/people/{}/trust", account["id"]), rule).await;
    let exchange = async |jwt: &str| {
        let fields =
            [("grant_type", EXCHANGE), ("subject_token", jwt), ("subject_token_type", JWT), ("audience", "deploy")];
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = http.post(url("/oauth2/token")).header("content-type", "application/x-www-form-urlencoded");
        let response = request.body(form).send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    for jwt in [&first, &second] {
        let (status, issued) = exchange(jwt).await;
        assert_eq!(status, 200, "{issued}\n{}", running.log());
        let value = issued["access_token"].as_str().unwrap();
        let check = http.get(url("/v4/auth")).bearer_auth(value).send().await.unwrap();
        assert_eq!(check.headers()["remote-user"], "service:deploy");
        assert_eq!(exchange(jwt).await.0, 400, "used twice");
    }
    drop(node.stdin.take());
    assert!(node.wait().await.unwrap().success());
}
