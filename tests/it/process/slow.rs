//! Slow clients and too many connections: they are disconnected, and other clients are served.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::resilience::is_long;
use crate::support::{
    Database, Engine,
    binary::{ServerProcess, tokenward_command},
    http_client,
};

/// Returns the number of slow clients of each kind. `RESILIENCE_LONG` increases it.
fn client_count() -> usize {
    if is_long() { 500 } else { 40 }
}

fn connect(running: &ServerProcess) -> TcpStream {
    let stream = TcpStream::connect(running.url.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// Reads until the server closes the connection. Returns the text.
fn read_until_closed(mut stream: &TcpStream) -> String {
    let mut text = Vec::new();
    match stream.read_to_end(&mut text) {
        Ok(_) => String::from_utf8_lossy(&text).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => String::new(),
        Err(error) => panic!("still open: {error}"),
    }
}

/// Reads one response with a content length. Returns its head.
fn read_response_head(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    stream.read_exact(&mut vec![0; length]).unwrap();
    head
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_disconnected_and_others_are_served() {
    let database = Database::empty(Engine::Sqlite).await;
    let mut serve = tokenward_command(&database.url);
    serve.env("TOKENWARD_HTTP__HEADER_TIMEOUT", "1s").env("TOKENWARD_HTTP__BODY_TIMEOUT", "1500ms");
    // All clients have the same address.
    serve.env("TOKENWARD_HTTP__IDLE_TIMEOUT", "2s").env("TOKENWARD_HTTP__MAX_CONNECTIONS_PER_IP", "0");
    let running = ServerProcess::start_with(serve);
    let body = "POST /v4/apiAccessTokens HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
    let slow: Vec<TcpStream> = ["", "GET /health/live HT", "GET /health/live HTTP/1.1\r\nx: ", body]
        .iter()
        .flat_map(|bytes| (0..client_count()).map(move |_| bytes))
        .map(|bytes| {
            let mut stream = connect(&running);
            stream.write_all(bytes.as_bytes()).unwrap();
            stream
        })
        .collect();
    let created = running.create_token(&http_client()).await.unwrap();
    let check =
        http_client().get(format!("{}/v4/auth", running.url)).bearer_auth(created["tokenValue"].as_str().unwrap());
    assert_eq!(check.send().await.unwrap().status(), 200);
    let responses: Vec<String> = slow.iter().map(read_until_closed).collect();
    println!("[measured] slow clients: {} connections, all closed", slow.len());
    // A client that has sent the whole header gets an error response.
    assert!(
        responses[3 * client_count()..].iter().all(|text| text.starts_with("HTTP/1.1 400")),
        "{:?}",
        responses.last()
    );
    assert_eq!(check_without_credential(&running).await, 401);
}

async fn check_without_credential(running: &ServerProcess) -> u16 {
    http_client().get(format!("{}/v4/auth", running.url)).send().await.unwrap().status().as_u16()
}

const LIVENESS_REQUEST: &[u8] = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n";

/// The header timeout applies to the header as a whole. After a response, the longer idle timeout
/// applies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slowly_sent_header_times_out_and_an_idle_connection_does_not() {
    let database = Database::empty(Engine::Sqlite).await;
    let mut serve = tokenward_command(&database.url);
    // The timeouts differ so much that a closed connection shows which one applied.
    serve.env("TOKENWARD_HTTP__HEADER_TIMEOUT", "600ms").env("TOKENWARD_HTTP__IDLE_TIMEOUT", "600s");
    let running = ServerProcess::start_with(serve);
    let mut idle = connect(&running);
    idle.write_all(LIVENESS_REQUEST).unwrap();
    assert!(read_response_head(&mut idle).starts_with("HTTP/1.1 200"));
    // The pauses are shorter than the timeout, so only a limit on the whole header closes the
    // connection.
    let slow = connect(&running);
    let (mut writer, closed) = (slow.try_clone().unwrap(), Arc::new(AtomicBool::new(false)));
    let is_closed = Arc::clone(&closed);
    let sender = std::thread::spawn(move || {
        while !is_closed.load(Ordering::SeqCst) && writer.write_all(b"G").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    read_until_closed(&slow);
    closed.store(true, Ordering::SeqCst);
    sender.join().unwrap();
    idle.write_all(LIVENESS_REQUEST).unwrap();
    assert!(
        read_response_head(&mut idle).starts_with("HTTP/1.1 200"),
        "the idle connection was closed by the header timeout"
    );
    // The timeout applies to the second header on a connection too.
    idle.write_all(&LIVENESS_REQUEST[..10]).unwrap();
    read_until_closed(&idle);
}

/// Load balancers keep idle connections for a minute, and may reuse them at the last moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_outlive_load_balancer_timeouts() {
    assert_eq!(tokenward::config::Config::default().http.idle_timeout.get(), Duration::from_secs(75));
    if !is_long() {
        return;
    }
    let database = Database::empty(Engine::Sqlite).await;
    let running = ServerProcess::start(&database.url);
    let mut idle = connect(&running);
    for _ in 0..2 {
        idle.write_all(LIVENESS_REQUEST).unwrap();
        assert!(read_response_head(&mut idle).starts_with("HTTP/1.1 200"));
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
}

/// A client that reads no responses is disconnected, and cannot cause unbounded memory use.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_read_nothing_are_disconnected() {
    let database = Database::empty(Engine::Sqlite).await;
    let mut serve = tokenward_command(&database.url);
    serve.env("TOKENWARD_HTTP__IDLE_TIMEOUT", "1s");
    let running = ServerProcess::start_with(serve);
    let document = b"GET /v4/open-api-spec HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut stream = connect(&running);
    stream.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
    // Requests are sent without reading until the buffers are full. Then the connection is closed.
    let error = loop {
        match stream.write_all(document) {
            Ok(()) => {}
            Err(error) => break error.kind(),
        }
    };
    let closed = [std::io::ErrorKind::ConnectionReset, std::io::ErrorKind::BrokenPipe];
    assert!(closed.contains(&error), "{error}: the connection stays open");
    assert_eq!(check_without_credential(&running).await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_per_ip_are_limited() {
    let database = Database::empty(Engine::Sqlite).await;
    let mut serve = tokenward_command(&database.url);
    serve.env("TOKENWARD_HTTP__MAX_CONNECTIONS_PER_IP", "3");
    let running = ServerProcess::start_with(serve);
    let mut open: Vec<TcpStream> = (0..3)
        .map(|_| {
            let mut stream = connect(&running);
            stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
            assert!(read_response_head(&mut stream).starts_with("HTTP/1.1 200"));
            stream
        })
        .collect();
    assert_eq!(read_until_closed(&connect(&running)), "", "the fourth connection was not closed");
    // A closed connection is noticed with a delay.
    drop(open.pop());
    loop {
        let mut stream = connect(&running);
        stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        if read_until_closed(&stream).starts_with("HTTP/1.1 200") {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oversized_requests_are_rejected() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = ServerProcess::start(&database.url);
    let status_of = |head: &str| {
        let mut stream = connect(&running);
        stream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).unwrap();
        read_until_closed(&stream).split_whitespace().nth(1).unwrap_or("closed").to_owned()
    };
    let repeat_field = |n: usize| "x: y\r\n".repeat(n);
    // `host` and `connection` are two further fields.
    assert_eq!(status_of(&format!("GET /health/live HTTP/1.1\r\nhost: x\r\n{}", repeat_field(62))), "200");
    assert_eq!(status_of(&format!("GET /health/live HTTP/1.1\r\nhost: x\r\n{}", repeat_field(63))), "431");
    let head_with_path =
        |n: usize| format!("GET /health/live?{} HTTP/1.1\r\nhost: x\r\n", "x".repeat(n - "/health/live?".len()));
    assert_eq!((status_of(&head_with_path(8_192)), status_of(&head_with_path(8_193))), ("200".into(), "414".into()));
    let head_with_bytes = |n: usize| format!("GET /health/live HTTP/1.1\r\nhost: x\r\nx: {}\r\n", "y".repeat(n));
    // `host: x`, `x: ` and `connection: close` take 9, 5 and 19 bytes with their line ends.
    let limit = 32 * 1024 - 33;
    assert_eq!(
        (status_of(&head_with_bytes(limit)), status_of(&head_with_bytes(limit + 1))),
        ("200".into(), "431".into())
    );
    assert_eq!(status_of(&head_with_bytes(1_000_000)), "431");
}

/// The same with the tool slowhttptest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slowhttptest_finds_no_open_connection() {
    let database = Database::empty(Engine::Sqlite).await;
    let mut serve = tokenward_command(&database.url);
    serve.env("TOKENWARD_HTTP__HEADER_TIMEOUT", "1s").env("TOKENWARD_HTTP__BODY_TIMEOUT", "1s");
    let running = ServerProcess::start_with(serve);
    let count = client_count().to_string();
    for kind in ["-H", "-B"] {
        let url = format!("{}/v4/leaks", running.url);
        let output = Command::new("slowhttptest")
            .args([kind, "-c", &count, "-r", &count, "-i", "1", "-l", "20", "-p", "2", "-u", &url])
            .output()
            .expect("this test needs slowhttptest: scripts/test installs it");
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(stdout.contains("No open connections left"), "{kind}: {stdout}");
    }
    assert_eq!(check_without_credential(&running).await, 401);
}
