//! The command `status` on both databases, and the manual pages.

use serde_json::Value;

use super::commands::{run_failing, run_ok};
use crate::support::{
    Database, Engine, PASSWORD,
    binary::{ServerProcess, run_with_stdin, tokenward_command},
};

fn status(url: &str, listen: &str) -> (Option<i32>, Value, String) {
    let mut command = tokenward_command(url);
    command.args(["status", "--json"]).env("TOKENWARD_LISTEN__HTTP", listen);
    command.env("TOKENWARD_DATABASE__ACQUIRE_TIMEOUT", "1s");
    let output = run_with_stdin(command, "");
    let stdout = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), stdout, String::from_utf8(output.stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_of_a_service_on_sqlite_is_its_own_report() {
    let database = Database::empty(Engine::Sqlite).await;
    let (url, unused) = (database.url.as_str(), "127.0.0.1:1");
    let (code, report, stderr) = status(url, unused);
    assert_eq!((code, &report["service"]), (Some(1), &"stopped".into()), "{stderr}");
    assert!(report["databaseState"].as_str().unwrap().ends_with("does not exist"), "{report}");
    assert!(stderr.contains("the service is not running"), "{stderr}");
    assert!(!std::path::Path::new(url.trim_start_matches("sqlite:")).exists());

    let mut serve = tokenward_command(url);
    serve.env("TOKENWARD_LISTEN__METRICS", "127.0.0.1:0");
    let running = ServerProcess::start_with(serve);
    run_ok(url, &["token", "create", "admin@example.com", "--lifetime", "2d", "--password-stdin"], PASSWORD);
    run_ok(url, &["token", "create", "admin@example.com", "--lifetime", "never", "--password-stdin"], PASSWORD);
    running.send_signal("USR1");
    while !running.log().contains("backed up") {
        std::thread::yield_now();
    }
    let (code, report, stderr) = status(url, unused);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{report}");
    for (key, expected) in [
        ("service", Value::from("ready")),
        ("version", env!("CARGO_PKG_VERSION").into()),
        ("database", url.into()),
        ("engine", "SQLite".into()),
        ("databaseState", "the schema is current".into()),
        ("workspaces", 1.into()),
        ("people", 1.into()),
        ("activeTokens", 2.into()),
        ("expiringTokens", 1.into()),
        ("expiredTokens", 0.into()),
        ("nodes", Value::Null),
    ] {
        assert_eq!(report[key], expected, "{key} in {report}");
    }
    assert_eq!(report["listeners"][0], running.url.as_str());
    assert_eq!(report["listeners"][1], format!("http://{}/metrics", running.metrics_address()).as_str());
    assert!(report["startedAt"].is_string() && report["uptime"].is_string() && report["lastBackup"].is_string());
    let text = run_ok(url, &["status"], "");
    assert!(text.starts_with("service         ready\nversion         0."), "{text}");
    assert!(text.contains("\nactiveTokens    2\n") && !text.contains("nodes"), "{text}");

    running.send_signal("TERM");
    assert_eq!(running.wait_for_exit().0, Some(0));
    let (code, report, _) = status(url, unused);
    assert_eq!((code, &report["service"], &report["activeTokens"]), (Some(1), &"stopped".into(), &2.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_of_a_service_on_postgresql_has_its_nodes() {
    let database = Database::empty(Engine::Postgres).await;
    let url = database.url.as_str();
    let (code, report, _) = status(url, "127.0.0.1:1");
    assert_eq!((code, &report["service"]), (Some(1), &"not ready".into()));
    assert!(report["databaseState"].as_str().unwrap().contains("run tokenward migrate"), "{report}");
    let running = ServerProcess::start(url);
    let listen = running.url.trim_start_matches("http://").to_owned();
    let (code, report, stderr) = loop {
        let (code, report, stderr) = status(url, &listen);
        // The node joins after it listens.
        if report["nodes"] != serde_json::json!([]) {
            break (code, report, stderr);
        }
    };
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{report}");
    assert_eq!((&report["service"], &report["engine"]), (&"ready".into(), &"PostgreSQL".into()));
    assert_eq!(report["nodes"].as_array().unwrap().len(), 1, "{report}");
    assert_eq!(report["nodes"][0]["lease"], "valid", "{report}");
    let (code, report, stderr) = status("postgres://u:s3cret@127.0.0.1:1/d", &listen);
    assert_eq!((code, &report["service"]), (Some(1), &"ready".into()), "{stderr}");
    assert!(report["databaseState"].as_str().unwrap().contains("cannot reach PostgreSQL"), "{report}");
    assert!(!report.to_string().contains("s3cret") && !stderr.contains("s3cret"), "{report}");
}

#[test]
fn a_manual_page_is_written_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("share/man1");
    run_ok("sqlite:x", &["man", "--all", pages.to_str().unwrap()], "");
    for (name, expected) in [
        ("tokenward.1", "tokenward\\-token(1)"),
        ("tokenward-token-create.1", "Create a token with the password of its owner"),
        ("tokenward-status.1", "\\-\\-json"),
        ("tokenward-login.1", "Print the token value to standard output"),
        ("tokenward-sso.1", "tokenward\\-sso\\-link(1)"),
        ("tokenward-sso-test.1", "print what it reports and what must be registered there"),
        ("tokenward-sso-sync.1", "\\-\\-dry\\-run"),
        ("tokenward-sso-status.1", "\\-\\-json"),
        ("tokenward-sso-link.1", "the local password and all sessions end"),
    ] {
        let page = std::fs::read_to_string(pages.join(name)).unwrap();
        assert!(page.contains(expected), "{expected} in {page}");
    }
    let stderr = run_failing("sqlite:x", &["man", "--all", "/dev/null/x"], "", 1);
    assert!(stderr.contains("cannot write manual pages to /dev/null/x"), "{stderr}");
}
