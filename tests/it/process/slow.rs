//! Clients that send and take slowly, and clients that are many: their connections are closed, and everybody else is answered.

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

use crate::support::{
    Database, Engine,
    binary::{Running, command},
    http_client,
};

/// How many slow clients of each kind there are; `TOKENWARD_TORTURE=long` makes them many.
fn crowd() -> usize {
    if is_long() { 500 } else { 40 }
}

fn is_long() -> bool {
    std::env::var("TOKENWARD_TORTURE").is_ok_and(|form| form == "long")
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
    println!("P10: {} slow connections, all closed", slow.len());
    // Whoever has sent a header is told what was wrong.
    assert!(answers[3 * crowd()..].iter().all(|text| text.starts_with("HTTP/1.1 400")), "{:?}", answers.last());
    assert_eq!(checked_again(&running).await, 401);
}

async fn checked_again(running: &Running) -> u16 {
    http_client().get(format!("{}/v4/auth", running.url)).send().await.unwrap().status().as_u16()
}

const LIVE: &[u8] = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n";

/// A header that drips is bounded as a whole; a connection that was answered may idle longer than a header may take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dripping_header_is_cut_off_and_an_idle_connection_is_not() {
    let database = Database::empty(Engine::Sqlite).await;
    let mut quick = command(&database.url);
    // Far apart: what ends here within a test was ended as a header, what goes on is idle.
    quick.env("TOKENWARD_HTTP__HEADER_TIMEOUT_MS", "600").env("TOKENWARD_HTTP__IDLE_TIMEOUT_MS", "600000");
    let running = Running::start_with(quick);
    let mut idle = connect(&running);
    idle.write_all(LIVE).unwrap();
    assert!(answer(&mut idle).starts_with("HTTP/1.1 200"));
    // Drips until it is cut off, with less between two drops than a header may take: only a bound on the whole ends it.
    let dripping = connect(&running);
    let (mut drops, gone) = (dripping.try_clone().unwrap(), Arc::new(AtomicBool::new(false)));
    let is_gone = Arc::clone(&gone);
    let dripper = std::thread::spawn(move || {
        while !is_gone.load(Ordering::SeqCst) && drops.write_all(b"G").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    ends(&dripping);
    gone.store(true, Ordering::SeqCst);
    dripper.join().unwrap();
    idle.write_all(LIVE).unwrap();
    assert!(answer(&mut idle).starts_with("HTTP/1.1 200"), "it idled longer than a header may take");
    // The second header on a connection is bounded, too.
    idle.write_all(&LIVE[..10]).unwrap();
    ends(&idle);
}

/// Load balancers keep idle connections for a minute, and send the next request on them at its last moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_may_idle_longer_than_load_balancers_keep_it() {
    assert_eq!(tokenward::config::Config::default().http.idle_timeout_ms, 75_000);
    if !is_long() {
        return;
    }
    let database = Database::empty(Engine::Sqlite).await;
    let running = Running::start(&database.url);
    let mut idle = connect(&running);
    for _ in 0..2 {
        idle.write_all(LIVE).unwrap();
        assert!(answer(&mut idle).starts_with("HTTP/1.1 200"));
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
}

/// A client that reads nothing of its responses takes no connection for good, and no memory without end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_read_nothing_are_cut_off() {
    let database = Database::empty(Engine::Sqlite).await;
    let mut quick = command(&database.url);
    quick.env("TOKENWARD_HTTP__IDLE_TIMEOUT_MS", "1000");
    let running = Running::start_with(quick);
    let document = b"GET /v4/open-api-spec HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut deaf = connect(&running);
    deaf.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
    // Requests without end, and not a byte is read: what is written is not taken any more at some point, and then the connection ends.
    let ended = loop {
        match deaf.write_all(document) {
            Ok(()) => {}
            Err(error) => break error.kind(),
        }
    };
    let closed = [std::io::ErrorKind::ConnectionReset, std::io::ErrorKind::BrokenPipe];
    assert!(closed.contains(&ended), "{ended}: the connection stays open");
    assert_eq!(checked_again(&running).await, 401);
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
    loop {
        let mut stream = connect(&running);
        stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        if ends(&stream).starts_with("HTTP/1.1 200") {
            break;
        }
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
