//! `tokenward audit`, `tokenward scanner-rules`, and secrets in files, as an operator uses them.

use std::{os::unix::fs::PermissionsExt as _, path::PathBuf, process::Command};

use serde_json::{Value, json};

use crate::support::{
    Database, Engine, PASSWORD,
    binary::{Running, command, run},
    http_client,
};

on_both_databases!(events_are_verified_and_exported);

fn tokenward(url: &str, arguments: &[&str]) -> (bool, String, String) {
    let mut command = command(url);
    command.args(arguments);
    let output = run(command, "");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

async fn events_are_verified_and_exported(engine: Engine) {
    let database = Database::empty(engine).await;
    let running = Running::start(&database.url);
    let http = http_client();
    let made = running.make_token(&http).await.unwrap();
    running.make_token(&http).await.unwrap();
    let wrong = http.get(format!("{}/v4/auth", running.url)).basic_auth("admin@example.com", Some("wrong"));
    assert_eq!(wrong.send().await.unwrap().status(), 401);
    // A clean stop writes what waits to be told.
    running.signal("TERM");
    assert_eq!(running.wait().0, Some(0));
    let (is_fine, said, _) = tokenward(&database.url, &["audit", "verify"]);
    assert!(is_fine && said.contains("none altered or missing"), "{said}");
    let end = said.lines().find_map(|line| line.strip_prefix("end ")).unwrap().to_owned();
    assert!(tokenward(&database.url, &["audit", "verify", "--end", &end]).0);
    let (is_fine, lines, _) =
        tokenward(&database.url, &["audit", "export", "--since", "2026-01-01", "--format", "jsonl"]);
    let events: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let actions: Vec<&str> = events.iter().map(|event| event["action"].as_str().unwrap()).collect();
    assert!(is_fine, "{lines}");
    for wanted in ["token.created", "password.accepted", "password.refused", "checks.refused"] {
        assert!(actions.contains(&wanted), "{wanted} in {actions:?}");
    }
    let created = events.iter().find(|event| event["action"] == "token.created").unwrap();
    assert_eq!((&created["target"], &created["address"]), (&made["tokenInfo"]["tokenId"], &json!("127.0.0.1")));
    assert!(!lines.contains(made["tokenValue"].as_str().unwrap()) && !lines.contains(PASSWORD));
    let seqs: Vec<i64> = events.iter().map(|event| event["seq"].as_i64().unwrap()).collect();
    assert_eq!(seqs, (1..=i64::try_from(events.len()).unwrap()).collect::<Vec<_>>());
    assert_eq!(tokenward(&database.url, &["audit", "export", "--since", "2999-01-01"]).1, "");
    database.run("update event set actor = 'nobody' where action = 'token.created'").await;
    let (is_fine, said, error) = tokenward(&database.url, &["audit", "verify"]);
    assert!(!is_fine && said.contains(&format!("event {} was altered", created["seq"])), "{said}");
    assert!(error.contains("2 findings"), "{error}");
    let zeros = format!("1:1:{}", "0".repeat(64));
    assert!(tokenward(&database.url, &["audit", "verify", "--end", &zeros]).1.contains("event 1 is not the one"));
    for wrong in [["audit", "export", "--since", "yesterday"], ["audit", "verify", "--end", "1:2:x"]] {
        assert!(!tokenward(&database.url, &wrong).0);
    }
}

/// The python of the environment that `scripts/test` makes.
fn tool(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin").join(name);
    assert!(path.exists(), "this test needs {}: scripts/test installs it", path.display());
    path
}

#[tokio::test]
async fn scanners_find_values_and_nothing_else() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = Running::start(&database.url);
    let made = running.make_token(&http_client()).await.unwrap();
    let value = made["tokenValue"].as_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("detect_secrets_tokenward.py");
    let (is_fine, rules, _) = tokenward("sqlite:x", &["scanner-rules", "detect-secrets"]);
    assert!(is_fine);
    std::fs::write(&plugin, rules).unwrap();
    let mut damaged = value.to_owned();
    let last = damaged.pop().unwrap();
    damaged.push(if last == 'A' { 'B' } else { 'A' });
    std::fs::write(folder.path().join("leaky.txt"), format!("url = x\ntoken: {value}\nnot: {damaged}\nx{value}\n"))
        .unwrap();
    let output = Command::new(tool("detect-secrets"))
        .current_dir(folder.path())
        .args(["scan", "-p", plugin.to_str().unwrap(), "--disable-plugin", "KeywordDetector", "leaky.txt"])
        .output()
        .unwrap();
    let found: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let ours: Vec<&Value> = found["results"]["leaky.txt"]
        .as_array()
        .unwrap_or_else(|| panic!("{found}"))
        .iter()
        .filter(|secret| secret["type"] == "Tokenward API access token")
        .map(|secret| &secret["line_number"])
        .collect();
    assert_eq!(ours, [&json!(2)], "{found}");
    for (scanner, wanted) in [("gitleaks", "secretGroup = 1"), ("trufflehog", "detectors:")] {
        let (is_fine, rules, _) = tokenward("sqlite:x", &["scanner-rules", scanner]);
        assert!(is_fine && rules.contains(wanted) && rules.contains("twd_[0-9A-Za-z]{49}"), "{rules}");
    }
    let gitleaks = tokenward("sqlite:x", &["scanner-rules", "gitleaks"]).1;
    toml::from_str::<toml::Table>(&gitleaks).unwrap();
}

#[tokio::test]
async fn secrets_come_from_files_that_not_everybody_may_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode: u32| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let url = file("url", &format!("sqlite:{}\n", folder.path().join("a.db").display()), 0o600);
    let password = file("password", "a password from a file\n", 0o400);
    let mut serve = command("x");
    serve.env_remove("TOKENWARD_DATABASE__URL").env_remove("TOKENWARD_ADMIN_PASSWORD");
    serve.env("TOKENWARD_DATABASE__URL_FILE", &url).env("TOKENWARD_ADMIN_PASSWORD_FILE", &password);
    let running = Running::start_with(serve);
    let asked = http_client().get(format!("{}/v4/people/current", running.url));
    let reply = asked.basic_auth("admin@example.com", Some("a password from a file")).send().await.unwrap();
    assert_eq!(reply.status(), 200);
    let public = file("public", "postgres://tokenward:s3cret@db.example/x", 0o644);
    let config = file("tokenward.toml", "[database]\nurl = \"postgres://tokenward:s3cret@db.example/x\"\n", 0o644);
    let refused = |change: &dyn Fn(&mut Command) -> &mut Command| {
        let mut print = command("x");
        print.env_remove("TOKENWARD_DATABASE__URL").args(["config", "print"]);
        change(&mut print);
        let output = run(print, "");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let said = [
        refused(&|print| print.env("DATABASE_URL_FILE", &public)),
        refused(&|print| print.arg("--config").arg(&config)),
    ];
    assert!(
        said.iter().all(|said| said.contains("may be read by everybody (mode 644)") && !said.contains("s3cret")),
        "{said:?}"
    );
    let both = refused(&|print| print.env("DATABASE_URL_FILE", &public).env("DATABASE_URL", "sqlite:x"));
    assert!(both.contains("are both set"), "{both}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_is_told_of_a_leaked_token() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let database = Database::empty(Engine::Sqlite).await;
    let mut serve = command(&database.url);
    let hook = format!("http://{}/hook?key=s3cret", listener.local_addr().unwrap());
    serve.env("TOKENWARD_LEAKS__WEBHOOK_URL", &hook).env("RUST_LOG", "info");
    let running = Running::start_with(serve);
    let made = running.make_token(&http_client()).await.unwrap();
    let (say, mut heard) = tokio::sync::mpsc::channel(4);
    let status = std::sync::Arc::new(std::sync::atomic::AtomicU16::new(500));
    // The first try fails.
    let answer = axum::routing::post(move |body: String| {
        let status = status.swap(200, std::sync::atomic::Ordering::SeqCst);
        say.try_send(body).unwrap();
        std::future::ready(http::StatusCode::from_u16(status).unwrap())
    });
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().route("/hook", answer)).await });
    let body = json!({"values": [made["tokenValue"], "nonsense"]});
    let reported = http_client().post(format!("{}/v4/leaks", running.url)).json(&body).send().await.unwrap();
    assert_eq!(reported.status(), 202);
    for _ in 0..2 {
        let told: Value = serde_json::from_str(&heard.recv().await.unwrap()).unwrap();
        assert_eq!((&told["event"], &told["tokenId"]), (&json!("token.leaked"), &made["tokenInfo"]["tokenId"]));
        assert!(!told.to_string().contains(made["tokenValue"].as_str().unwrap()));
    }
    running.signal("TERM");
    let (_, log) = running.wait();
    assert!(log.contains("reported as leaked") && !log.contains("s3cret"), "{log}");
}
