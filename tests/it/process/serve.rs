//! The command `serve`: shutdown, signals, and malformed or slow requests.

use rstest::rstest;
use rstest_reuse::apply;
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    time::Duration,
};

use super::first_start::{created_administrator, first_start};
use crate::support::{
    Database, Engine, PASSWORD,
    binary::{ServerProcess, run_with_stdin, tokenward_command},
    both_databases_multi_thread, http_client,
};

#[apply(both_databases_multi_thread)]
async fn a_shutdown_flushes_last_used_timestamps(engine: Engine) {
    let database = Database::empty(engine).await;
    let running = ServerProcess::start(&database.url);
    let http = http_client();
    let created = running.create_token(&http).await.unwrap();
    let value = created["tokenValue"].as_str().unwrap();
    let current_person = format!("{}/v4/people/current", running.url);
    assert_eq!(http.get(&current_person).bearer_auth(value).send().await.unwrap().status(), 200);
    running.send_signal("TERM");
    let (code, log) = running.wait_for_exit();
    assert_eq!(code, Some(0), "{log}");
    let restarted = ServerProcess::start(&database.url);
    let path = format!("{}/v4/apiAccessTokens/{}", restarted.url, created["tokenInfo"]["tokenId"].as_str().unwrap());
    let response = http.get(path).basic_auth("admin@example.com", Some(PASSWORD)).send().await.unwrap();
    assert!(response.json::<serde_json::Value>().await.unwrap()["lastUsed"].is_string());
    restarted.send_signal("INT");
    assert_eq!(restarted.wait_for_exit().0, Some(0));
}

#[tokio::test]
async fn sqlite_files_are_accessible_to_their_owner_only() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = ServerProcess::start(&database.url);
    running.create_token(&http_client()).await.unwrap();
    for suffix in ["", "-wal"] {
        let file = format!("{}{suffix}", database.url.trim_start_matches("sqlite:"));
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

/// A second process would invalidate the cache of the first one.
#[tokio::test]
async fn a_second_process_cannot_open_a_sqlite_file() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = ServerProcess::start(&database.url);
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate"]] {
        let mut second = tokenward_command(&database.url);
        second.args(arguments).env("TOKENWARD_DATABASE__ACQUIRE_TIMEOUT", "100ms");
        let output = run_with_stdin(second, "");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && stderr.contains("is in use by another process"), "{stderr}");
    }
    assert!(running.create_token(&http_client()).await.is_some());
    running.send_signal("TERM");
    assert_eq!(running.wait_for_exit().0, Some(0));
    drop(ServerProcess::start(&database.url));
}

#[tokio::test]
async fn an_in_flight_request_completes_before_shutdown() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = ServerProcess::start(&database.url);
    let mut stream = TcpStream::connect(running.url.trim_start_matches("http://")).unwrap();
    let body = r#"{"lifetimeSeconds": 60}"#;
    let head = format!(
        "POST /v4/apiAccessTokens HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\ncontent-length: {}\r\n\r\n",
        crate::support::basic_auth("admin@example.com", PASSWORD),
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body.as_bytes()[..5]).unwrap();
    // After a request on another connection, the first connection has been accepted too.
    http_client().get(format!("{}/health/live", running.url)).send().await.unwrap();
    running.send_signal("TERM");
    while TcpStream::connect(running.url.trim_start_matches("http://")).is_ok() {}
    stream.write_all(&body.as_bytes()[5..]).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 201"), "{response}");
    assert_eq!(running.wait_for_exit().0, Some(0));
}

#[tokio::test]
async fn connections_without_a_complete_header_are_closed() {
    let database = Database::empty(Engine::Sqlite).await;
    let mut serve = tokenward_command(&database.url);
    serve.env("TOKENWARD_HTTP__HEADER_TIMEOUT", "100ms");
    let running = ServerProcess::start_with(serve);
    for head in ["", "GET /health/live HT", "GET /health/live HTTP/1.1\r\nhost: x\r\nx: "] {
        let mut stream = TcpStream::connect(running.url.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap_or_else(|error| panic!("still open after {head:?}: {error}"));
    }
}

#[tokio::test]
async fn too_many_header_fields_are_rejected() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = ServerProcess::start(&database.url);
    let http = http_client();
    let url = format!("{}/health/live", running.url);
    for (fields, status) in [(50, 200), (200, 431)] {
        let mut request = http.get(&url);
        for n in 0..fields {
            request = request.header(format!("x-{n}"), "1");
        }
        assert_eq!(request.send().await.unwrap().status(), status);
    }
    let long = http.get(&url).header("x-long", "x".repeat(64 * 1024)).send().await.unwrap();
    assert_eq!(long.status(), 431);
    let large =
        http.post(format!("{}/v4/apiAccessTokens", running.url)).body(vec![b' '; 1 << 20]).send().await.unwrap();
    assert_eq!(large.status(), 413);
    assert_eq!(http.get(&url).send().await.unwrap().status(), 200);
}

/// Sends the head of a request and half of its body.
fn send_half(running: &ServerProcess, head: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(running.url.trim_start_matches("http://")).unwrap();
    let head = format!("{head}\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body.as_bytes()[..body.len() / 2]).unwrap();
    stream
}

#[tokio::test]
async fn a_credential_is_checked_after_the_body_has_arrived() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = ServerProcess::start(&database.url);
    let http = http_client();
    let created = running.create_token(&http).await.unwrap();
    let value = created["tokenValue"].as_str().unwrap();
    let body = r#"{"lifetimeSeconds": -1}"#;
    let mut stream =
        send_half(&running, &format!("POST /v4/apiAccessTokens HTTP/1.1\r\nauthorization: Bearer {value}"), body);
    let path = format!("{}/v4/apiAccessTokens/{}", running.url, created["tokenInfo"]["tokenId"].as_str().unwrap());
    assert_eq!(http.delete(path).bearer_auth(value).send().await.unwrap().status(), 204);
    stream.write_all(&body.as_bytes()[body.len() / 2..]).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 401"), "{response}");
}

#[apply(both_databases_multi_thread)]
async fn a_start_that_fails_to_bind_a_port_leaves_the_database_unchanged(engine: Engine) {
    let database = Database::empty(engine).await;
    let used_port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let used_port = used_port.local_addr().unwrap().to_string();
    for key in ["TOKENWARD_LISTEN__HTTP", "TOKENWARD_LISTEN__EXT_AUTHZ", "TOKENWARD_LISTEN__METRICS"] {
        let mut serve = tokenward_command(&database.url);
        serve.env_remove("TOKENWARD_ADMIN_EMAIL").env_remove("TOKENWARD_ADMIN_PASSWORD");
        serve.env("TOKENWARD_LISTEN__HTTP", "127.0.0.1:0").env(key, &used_port).arg("serve");
        let output = run_with_stdin(serve, "");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(1) && stderr.contains(&format!("cannot listen on {used_port}")),
            "{key}: {stderr}"
        );
        assert!(!stderr.contains("first administrator") && !stderr.contains("password"), "{key}: {stderr}");
        match engine {
            Engine::Sqlite => {
                let file = database.url.trim_start_matches("sqlite:");
                assert!(!std::path::Path::new(file).exists(), "{key}");
            }
            Engine::Postgres => {
                let tables = "select count(*)::text from information_schema.tables where table_schema = 'public'";
                assert_eq!(database.query_text(tables).await.as_deref(), Some("0"), "{key}");
            }
        }
    }
    // The next start is still a first start.
    let folder = tempfile::tempdir().unwrap();
    assert!(created_administrator(&first_start(&database, folder.path()).log()).is_some());
}

/// Service managers, `nohup` and log rotation send SIGHUP. It must not stop the service.
#[tokio::test]
async fn sighup_is_ignored_without_a_terminal() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = ServerProcess::start_with({
        let mut serve = tokenward_command(&database.url);
        serve.stdout(std::process::Stdio::null());
        serve
    });
    for _ in 0..3 {
        running.send_signal("HUP");
    }
    while !running.log().contains("ignored SIGHUP") {
        tokio::task::yield_now().await;
    }
    assert!(running.create_token(&http_client()).await.is_some());
    running.send_signal("TERM");
    assert_eq!(running.wait_for_exit().0, Some(0));
}

/// Any client can send checks that are denied. The log has a limited number of lines per second,
/// and a count of the others.
#[tokio::test]
async fn denied_auth_checks_are_logged_at_a_limited_rate() {
    const REQUESTS: u64 = 500;
    let database = Database::empty(Engine::Sqlite).await;
    let mut serve = tokenward_command(&database.url);
    serve.env("TOKENWARD_LOG__DENIED_AUTH_CHECKS_PER_SECOND", "1");
    let running = ServerProcess::start_with(serve);
    let http = http_client();
    for _ in 0..REQUESTS {
        let denied = http.get(format!("{}/v4/auth", running.url)).bearer_auth("nonsense").send().await.unwrap();
        assert_eq!(denied.status(), 401);
    }
    running.send_signal("TERM");
    let (_, log) = running.wait_for_exit();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let (mut written, mut dropped) = (0, 0);
    for line in lines {
        written += u64::from(line["http.route"] == "/v4/auth");
        dropped += line["dropped"].as_u64().unwrap_or_default();
    }
    assert_eq!(written + dropped, REQUESTS, "{log}");
    assert!(written >= 1 && dropped > 0, "{written} {dropped}");
}
