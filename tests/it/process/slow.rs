//! Clients that send and take slowly, and clients that are many: their connections are closed, and everybody else is answered.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
    time::{Duration, Instant},
};

use crate::support::{
    Database, Engine,
    binary::{Running, command},
    http_client,
};

/// How many slow clients of each kind there are; `TOKENWARD_TORTURE=long` makes them many.
fn crowd() -> usize {
    if std::env::var("TOKENWARD_TORTURE").is_ok_and(|form| form == "long") { 500 } else { 40 }
}

fn connect(running: &Running) -> TcpStream {
    let stream = TcpStream::connect(running.url.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// Whether the other end has closed, or said all that it will.
fn ends(mut stream: &TcpStream) -> String {
    let mut text = Vec::new();
    match stream.read_to_end(&mut text) {
        Ok(_) => String::from_utf8_lossy(&text).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => String::new(),
        Err(error) => panic!("still open: {error}"),
    }
}

/// Reads one answer whose body has a length.
fn answer(stream: &mut TcpStream) -> String {
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
async fn slow_clients_are_cut_off_and_the_others_are_answered() {
    let database = Database::empty(Engine::Sqlite).await;
    let mut quick = command(&database.url);
    quick.env("TOKENWARD_HTTP__HEADER_TIMEOUT_MS", "1000").env("TOKENWARD_HTTP__BODY_TIMEOUT_MS", "1500");
    // All of them come from here.
    quick.env("TOKENWARD_HTTP__IDLE_TIMEOUT_MS", "2000").env("TOKENWARD_HTTP__CONNECTIONS_PER_ADDRESS", "0");
    let running = Running::start_with(quick);
    let body = "POST /v4/apiAccessTokens HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
    let begun = Instant::now();
    let slow: Vec<TcpStream> = ["", "GET /health/live HT", "GET /health/live HTTP/1.1\r\nx: ", body]
        .iter()
        .flat_map(|sent| (0..crowd()).map(move |_| sent))
        .map(|sent| {
            let mut stream = connect(&running);
            stream.write_all(sent.as_bytes()).unwrap();
            stream
        })
        .collect();
    let made = running.make_token(&http_client()).await.unwrap();
    let checked =
        http_client().get(format!("{}/v4/auth", running.url)).bearer_auth(made["tokenValue"].as_str().unwrap());
    assert_eq!(checked.send().await.unwrap().status(), 200);
    let answers: Vec<String> = slow.iter().map(ends).collect();
    println!("P10: {} slow connections, all closed after {:.1} s", slow.len(), begun.elapsed().as_secs_f64());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    // Whoever has sent a header is told what was wrong.
    assert!(answers[3 * crowd()..].iter().all(|text| text.starts_with("HTTP/1.1 400")), "{:?}", answers.last());
    assert_eq!(checked_again(&running).await, 401);
}

async fn checked_again(running: &Running) -> u16 {
    http_client().get(format!("{}/v4/auth", running.url)).send().await.unwrap().status().as_u16()
}

/// A header that drips is bounded as a whole; a connection that was answered may idle longer than a header may take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dripping_header_is_cut_off_and_an_idle_connection_is_not() {
    let database = Database::empty(Engine::Sqlite).await;
    let mut quick = command(&database.url);
    quick.env("TOKENWARD_HTTP__HEADER_TIMEOUT_MS", "600").env("TOKENWARD_HTTP__IDLE_TIMEOUT_MS", "6000");
    let running = Running::start_with(quick);
    const LIVE: &[u8] = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut idle = connect(&running);
    idle.write_all(LIVE).unwrap();
    assert!(answer(&mut idle).starts_with("HTTP/1.1 200"));
    // Drips until it is cut off: this is also what the idle one waits for.
    let mut dripping = connect(&running);
    dripping.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let begun = Instant::now();
    let mut sent = 0;
    loop {
        let is_sent = dripping.write_all(b"G").is_ok();
        sent += 1;
        let is_open =
            matches!(dripping.read(&mut [0; 64]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock);
        if !(is_sent && is_open) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{sent} bytes went through");
    }
    assert!(sent > 3 && begun.elapsed() >= Duration::from_millis(550), "{sent} {:?}", begun.elapsed());
    // The second header on a connection is bounded, too.
    idle.write_all(LIVE).unwrap();
    assert!(answer(&mut idle).starts_with("HTTP/1.1 200"), "it idled longer than a header may take");
    idle.write_all(&LIVE[..10]).unwrap();
    let begun = Instant::now();
    ends(&idle);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_room_for_so_many_connections() {
    let database = Database::empty(Engine::Sqlite).await;
    let mut small = command(&database.url);
    small.env("TOKENWARD_HTTP__CONNECTIONS_PER_ADDRESS", "3");
    let running = Running::start_with(small);
    let mut open: Vec<TcpStream> = (0..3)
        .map(|_| {
            let mut stream = connect(&running);
            stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
            assert!(answer(&mut stream).starts_with("HTTP/1.1 200"));
            stream
        })
        .collect();
    assert_eq!(ends(&connect(&running)), "", "the fourth is closed at once");
    // One that goes makes room; when it is noticed is not ours to say.
    drop(open.pop());
    let begun = Instant::now();
    loop {
        let mut stream = connect(&running);
        stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        if ends(&stream).starts_with("HTTP/1.1 200") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "its place was not given back");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_much_of_a_request_is_refused() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = Running::start(&database.url);
    let ask = |head: &str| {
        let mut stream = connect(&running);
        stream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).unwrap();
        ends(&stream).split_whitespace().nth(1).unwrap_or("closed").to_owned()
    };
    let fields = |n: usize| "x: y\r\n".repeat(n);
    // Host and connection are two more.
    assert_eq!(ask(&format!("GET /health/live HTTP/1.1\r\nhost: x\r\n{}", fields(62))), "200");
    assert_eq!(ask(&format!("GET /health/live HTTP/1.1\r\nhost: x\r\n{}", fields(63))), "431");
    let path = |n: usize| format!("GET /health/live?{} HTTP/1.1\r\nhost: x\r\n", "x".repeat(n - "/health/live?".len()));
    assert_eq!((ask(&path(8_192)), ask(&path(8_193))), ("200".into(), "414".into()));
    let block = |n: usize| format!("GET /health/live HTTP/1.1\r\nhost: x\r\nx: {}\r\n", "y".repeat(n));
    // `host: x`, `x: ` and `connection: close` with their line ends are 9, 5 and 19.
    let most = 32 * 1024 - 33;
    assert_eq!((ask(&block(most)), ask(&block(most + 1))), ("200".into(), "431".into()));
    assert_eq!(ask(&block(1_000_000)), "431");
}

/// The same by a tool that others use.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slowhttptest_finds_no_connection_left_open() {
    let database = Database::empty(Engine::Sqlite).await;
    let mut quick = command(&database.url);
    quick.env("TOKENWARD_HTTP__HEADER_TIMEOUT_MS", "1000").env("TOKENWARD_HTTP__BODY_TIMEOUT_MS", "1000");
    let running = Running::start_with(quick);
    let crowd = crowd().to_string();
    for kind in ["-H", "-B"] {
        let url = format!("{}/v4/leaks", running.url);
        let output = Command::new("slowhttptest")
            .args([kind, "-c", &crowd, "-r", &crowd, "-i", "1", "-l", "20", "-p", "2", "-u", &url])
            .output()
            .expect("this test needs slowhttptest: scripts/test installs it");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("No open connections left"), "{kind}: {said}");
    }
    assert_eq!(checked_again(&running).await, 401);
}
