//! `tokenward serve`: the newcomer's story, first starts, stopping, slow clients.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    process::Command,
    time::Duration,
};

use crate::support::http_client;
use serde_json::json;

use crate::support::{
    Database, Engine, PASSWORD,
    binary::{Running, command, run},
};

on_both_databases!(
    a_newcomer_makes_lists_reads_and_deletes_tokens,
    a_stop_finishes_what_runs_and_writes_the_last_use,
    a_start_that_fails_for_want_of_a_port_leaves_nothing_behind,
);

async fn a_newcomer_makes_lists_reads_and_deletes_tokens(engine: Engine) {
    let database = Database::empty(engine).await;
    let mut fresh = command(&database.url);
    fresh.env_remove("TOKENWARD_ADMIN_EMAIL").env_remove("TOKENWARD_ADMIN_PASSWORD");
    let running = Running::start_with(fresh);
    let shown = running.log();
    let printed =
        shown.lines().find(|line| line.trim_start().starts_with("curl ")).expect("the curl of the first token");
    assert!(shown.contains("admin@localhost"));
    let first = curl(printed.trim());
    let value = first["tokenValue"].as_str().unwrap();
    let http = http_client();
    let tokens = format!("{}/v4/apiAccessTokens", running.url);
    let body = json!({"lifetimeSeconds": 60});
    let second = http.post(&tokens).bearer_auth(value).json(&body).send().await.unwrap();
    assert_eq!(second.status(), 201);
    let second: serde_json::Value = second.json().await.unwrap();
    let path = format!("{tokens}/{}", second["tokenInfo"]["tokenId"].as_str().unwrap());
    let other = second["tokenValue"].as_str().unwrap();
    let list: serde_json::Value = http.get(&tokens).bearer_auth(other).send().await.unwrap().json().await.unwrap();
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
    assert_eq!(http.get(&path).bearer_auth(value).send().await.unwrap().status(), 200);
    assert_eq!(http.delete(&path).bearer_auth(value).send().await.unwrap().status(), 204);
    assert_eq!(http.get(&tokens).bearer_auth(other).send().await.unwrap().status(), 401);
    // The second start knows the administrator and shows nothing.
    drop(running);
    let again = Running::start(&database.url);
    assert!(!again.log().contains("First start"));
}

/// Runs a command line as it was printed, and reads the JSON that comes back.
fn curl(line: &str) -> serde_json::Value {
    let output = Command::new("sh").args(["-c", &format!("{line} -sS")]).output().unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{line}: {}", String::from_utf8_lossy(&output.stderr)))
}

async fn a_stop_finishes_what_runs_and_writes_the_last_use(engine: Engine) {
    let database = Database::empty(engine).await;
    let running = Running::start(&database.url);
    let http = http_client();
    let made = running.make_token(&http).await.unwrap();
    let value = made["tokenValue"].as_str().unwrap();
    let whoami = format!("{}/v4/people/current", running.url);
    assert_eq!(http.get(&whoami).bearer_auth(value).send().await.unwrap().status(), 200);
    running.signal("TERM");
    let (code, log) = running.wait();
    assert_eq!(code, Some(0), "{log}");
    let again = Running::start(&database.url);
    let path = format!("{}/v4/apiAccessTokens/{}", again.url, made["tokenInfo"]["tokenId"].as_str().unwrap());
    let seen = http.get(path).basic_auth("admin@example.com", Some(PASSWORD)).send().await.unwrap();
    assert!(seen.json::<serde_json::Value>().await.unwrap()["lastUsed"].is_string());
    again.signal("INT");
    assert_eq!(again.wait().0, Some(0));
}

#[tokio::test]
async fn a_sqlite_file_is_its_owners_alone() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = Running::start(&database.url);
    running.make_token(&http_client()).await.unwrap();
    for suffix in ["", "-wal"] {
        let file = format!("{}{suffix}", database.url.trim_start_matches("sqlite:"));
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

/// What one process knows in memory another must not change behind its back.
#[tokio::test]
async fn a_second_process_on_a_sqlite_file_is_refused() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = Running::start(&database.url);
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["person", "list"], &["migrate"]] {
        let mut second = command(&database.url);
        second.args(arguments).env("TOKENWARD_DATABASE__ACQUIRE_TIMEOUT_MS", "100");
        let output = run(second, "");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && said.contains("another process has the file open"), "{said}");
    }
    assert!(running.make_token(&http_client()).await.is_some());
    running.signal("TERM");
    assert_eq!(running.wait().0, Some(0));
    drop(Running::start(&database.url));
}

#[tokio::test]
async fn a_request_under_way_is_finished_before_the_end() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = Running::start(&database.url);
    let mut stream = TcpStream::connect(running.url.trim_start_matches("http://")).unwrap();
    let body = r#"{"lifetimeSeconds": 60}"#;
    let head = format!(
        "POST /v4/apiAccessTokens HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\ncontent-length: {}\r\n\r\n",
        crate::support::basic("admin@example.com", PASSWORD),
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body.as_bytes()[..5]).unwrap();
    // A whole exchange on another connection: by its end the first one has been accepted, too.
    http_client().get(format!("{}/health/live", running.url)).send().await.unwrap();
    running.signal("TERM");
    while TcpStream::connect(running.url.trim_start_matches("http://")).is_ok() {}
    stream.write_all(&body.as_bytes()[5..]).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(running.wait().0, Some(0));
}

#[tokio::test]
async fn connections_that_send_no_header_are_closed() {
    let database = Database::empty(Engine::Sqlite).await;
    let mut quick = command(&database.url);
    quick.env("TOKENWARD_HTTP__HEADER_TIMEOUT_MS", "100");
    let running = Running::start_with(quick);
    for sent in ["", "GET /health/live HT", "GET /health/live HTTP/1.1\r\nhost: x\r\nx: "] {
        let mut stream = TcpStream::connect(running.url.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(sent.as_bytes()).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap_or_else(|error| panic!("still open after {sent:?}: {error}"));
    }
}

#[tokio::test]
async fn too_many_header_fields_are_refused_and_the_service_lives() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = Running::start(&database.url);
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
fn half_sent(running: &Running, head: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(running.url.trim_start_matches("http://")).unwrap();
    let head = format!("{head}\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body.as_bytes()[..body.len() / 2]).unwrap();
    stream
}

#[tokio::test]
async fn a_credential_is_judged_when_the_body_has_come() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = Running::start(&database.url);
    let http = http_client();
    let made = running.make_token(&http).await.unwrap();
    let value = made["tokenValue"].as_str().unwrap();
    let body = r#"{"lifetimeSeconds": -1}"#;
    let mut stream =
        half_sent(&running, &format!("POST /v4/apiAccessTokens HTTP/1.1\r\nauthorization: Bearer {value}"), body);
    let path = format!("{}/v4/apiAccessTokens/{}", running.url, made["tokenInfo"]["tokenId"].as_str().unwrap());
    assert_eq!(http.delete(path).bearer_auth(value).send().await.unwrap().status(), 204);
    stream.write_all(&body.as_bytes()[body.len() / 2..]).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

async fn a_start_that_fails_for_want_of_a_port_leaves_nothing_behind(engine: Engine) {
    let database = Database::empty(engine).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for port in ["TOKENWARD_LISTEN__HTTP", "TOKENWARD_LISTEN__EXT_AUTHZ", "TOKENWARD_LISTEN__METRICS"] {
        let mut serve = command(&database.url);
        serve.env_remove("TOKENWARD_ADMIN_EMAIL").env_remove("TOKENWARD_ADMIN_PASSWORD");
        serve.env("TOKENWARD_LISTEN__HTTP", "127.0.0.1:0").env(port, &taken).arg("serve");
        let output = run(serve, "");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(1) && said.contains(&format!("cannot listen on {taken}")),
            "{port}: {said}"
        );
        assert!(!said.contains("First start") && !said.contains("password"), "{port}: {said}");
        match engine {
            Engine::Sqlite => {
                let file = database.url.trim_start_matches("sqlite:");
                assert!(!std::path::Path::new(file).exists(), "{port}");
            }
            Engine::Postgres => {
                let tables = "select count(*)::text from information_schema.tables where table_schema = 'public'";
                assert_eq!(database.ask(tables).await.as_deref(), Some("0"), "{port}");
            }
        }
    }
    // The next start is the first one.
    let mut serve = command(&database.url);
    serve.env_remove("TOKENWARD_ADMIN_EMAIL").env_remove("TOKENWARD_ADMIN_PASSWORD");
    assert!(Running::start_with(serve).log().contains("First start"));
}

/// SIGHUP of a service manager, of `nohup`, of a log rotation: it asks for nothing that there is, and ends nothing.
#[tokio::test]
async fn sighup_ends_nothing_where_there_is_no_terminal() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = Running::start_with({
        let mut serve = command(&database.url);
        serve.stdout(std::process::Stdio::null());
        serve
    });
    for _ in 0..3 {
        running.signal("HUP");
    }
    while !running.log().contains("ignored SIGHUP") {
        tokio::task::yield_now().await;
    }
    assert!(running.make_token(&http_client()).await.is_some());
    running.signal("TERM");
    assert_eq!(running.wait().0, Some(0));
}

/// A terminal that is closed ends what was started on it, in order.
#[tokio::test]
async fn sighup_is_a_clean_stop_on_a_terminal() {
    const ON_A_TERMINAL: &str = "\
import os, pty, signal, sys
process, terminal = pty.fork()
if process == 0:
    os.execv(sys.argv[1], sys.argv[1:])
said = b''
while b'listening on' not in said:
    said += os.read(terminal, 65536)
os.kill(process, signal.SIGHUP)
try:
    while part := os.read(terminal, 65536):
        said += part
except OSError:
    pass
sys.stdout.buffer.write(said)
status = os.waitpid(process, 0)[1]
sys.exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 99)
";
    let database = Database::empty(Engine::Sqlite).await;
    let plain = command(&database.url);
    let mut python = Command::new("python3");
    python.args(["-c", ON_A_TERMINAL]).arg(plain.get_program()).args(["serve", "--listen", "127.0.0.1:0"]);
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => python.env(name, value),
            None => python.env_remove(name),
        };
    }
    let output = run(python, "");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.code() == Some(0) && said.contains("stopped"), "{:?} {said}", output.status);
}

#[tokio::test]
async fn a_lease_that_a_request_cannot_wait_for_is_refused() {
    let database = Database::empty(Engine::Sqlite).await;
    let with = |lease: &str, request: &str, mode: &str| {
        let mut serve = command(&database.url);
        serve.env("TOKENWARD_CACHE__LEASE_MS", lease).env("TOKENWARD_HTTP__REQUEST_TIMEOUT_MS", request);
        serve.env("TOKENWARD_CACHE__MODE", mode);
        serve
    };
    for (lease, request) in [("10000", "3000"), ("3000", "3000"), ("2501", "3000"), ("500", "1")] {
        let mut print = with(lease, request, "leased");
        print.args(["config", "print"]);
        let output = run(print, "");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && said.contains("cache.lease_ms: is"), "{lease} {request}: {said}");
        assert!(said.contains(&format!("request_timeout_ms = {request}")), "{said}");
    }
    for (lease, request, mode) in [("2500", "3000", "leased"), ("2000", "3000", "leased"), ("10000", "3000", "off")] {
        drop(Running::start_with(with(lease, request, mode)));
    }
}

/// Anybody can send checks that are denied; the log grows by a bounded number of lines a second, and says what it leaves out.
#[tokio::test]
async fn denied_checks_fill_no_log() {
    const SENT: u64 = 500;
    let database = Database::empty(Engine::Sqlite).await;
    let mut serve = command(&database.url);
    serve.env("TOKENWARD_LOG__DENIED_CHECKS_PER_SECOND", "1");
    let running = Running::start_with(serve);
    let http = http_client();
    for _ in 0..SENT {
        let denied = http.get(format!("{}/v4/auth", running.url)).bearer_auth("nonsense").send().await.unwrap();
        assert_eq!(denied.status(), 401);
    }
    running.signal("TERM");
    let (_, log) = running.wait();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let (mut written, mut left_out) = (0, 0);
    for line in lines {
        written += u64::from(line["span"]["http.route"] == "/v4/auth");
        left_out += line["left_out"].as_u64().unwrap_or_default();
    }
    assert_eq!(written + left_out, SENT, "{log}");
    assert!(written >= 1 && left_out > 0, "{written} {left_out}");
}
