//! Sign-in through npm `oidc-provider` in a real Chromium, on two sites with TLS (`tests/openid`).

use std::{fs, path::Path, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::Command,
};

use crate::support::{
    Database, Engine,
    binary::{ServerProcess, tokenward_command},
    directory::certificates::{ServerCertificate, write_certificates},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_signs_in_and_out_in_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    write_certificates(folder.path(), ServerCertificate::Good, "DNS:tokens.example,IP:127.0.0.1");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let modules = root.join("target/tools/openid/node_modules");
    let mut node = Command::new("node")
        .arg(root.join("tests/openid/run.js"))
        .arg(folder.path())
        .env("NODE_PATH", root.join("target/tools/browser/node_modules"))
        .env("OPENID_MODULES", modules)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("this test needs node, Chromium and target/tools: scripts/test installs them");
    let mut stdin = node.stdin.take().unwrap();
    let mut lines = BufReader::new(node.stdout.take().unwrap()).lines();
    let ports = lines.next_line().await.unwrap();
    let Some((provider, proxy)) = ports.as_deref().and_then(|ports| ports.split_once(' ')) else {
        panic!("{:?}", node.wait_with_output().await);
    };
    let config = folder.path().join("tokenward.toml");
    let ca_file = folder.path().join("ca.pem");
    let rule = |group: &str, more: &str| format!("[[sso.login.allow]]\ngroup = \"{group}\"\nworkspace = 1\n{more}\n");
    let text = format!(
        "public_url = \"https://tokens.example:{proxy}\"\n[sso.login]\nkind = \"openid-connect\"\n\
         issuer = \"https://localhost:{provider}\"\nclient_id = \"tokenward\"\nclient_secret = \"secret\"\n\
         ca_file = {ca_file:?}\n{}{}",
        rule("token-users", "token_access = \"enabled\""),
        rule("token-admins", "admin = true"),
    );
    fs::write(&config, text).unwrap();
    fs::set_permissions(&config, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let database = Database::empty(Engine::Sqlite).await;
    let mut serve = tokenward_command(&database.url);
    serve.arg("--config").arg(&config);
    let running = tokio::task::block_in_place(|| ServerProcess::start_with(serve));
    stdin.write_all(format!("{}\n", running.url).as_bytes()).await.unwrap();
    let output = node.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
