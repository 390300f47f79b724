//! Clients that do not read their responses are disconnected, while others are served. A client
//! that reads slowly but steadily gets the whole response.

use rstest::rstest;
use rstest_reuse::apply;
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use tokenward::domain::time::Timestamp;

use crate::support::{
    Database, Engine, PASSWORD, basic_auth,
    binary::{ServerProcess, tokenward_command},
    both_databases_multi_thread, http_client, insert_tokens_sql,
};

/// A list of this many tokens exceeds the socket buffers of the kernel.
const TOKEN_COUNT: usize = 20_000;
const STALLED_CLIENTS: usize = 4;
/// The time after which a client that reads nothing is disconnected.
const IDLE_TIMEOUT: Duration = Duration::from_secs(2);

fn start(database: &Database) -> ServerProcess {
    let mut serve = tokenward_command(&database.url);
    serve.env("TOKENWARD_HTTP__IDLE_TIMEOUT", format!("{}ms", IDLE_TIMEOUT.as_millis()));
    // A debug build is slow at generating the list.
    serve.env("TOKENWARD_HTTP__REQUEST_TIMEOUT", "120s").env("TOKENWARD_DATABASE__STATEMENT_TIMEOUT", "60s");
    serve.env("TOKENWARD_DATABASE__ACQUIRE_TIMEOUT", "60s");
    ServerProcess::start_with(serve)
}

/// Requests the list without reading the response.
fn request_list(running: &ServerProcess) -> TcpStream {
    let mut stream = TcpStream::connect(running.url.trim_start_matches("http://")).unwrap();
    let credential = basic_auth("admin@example.com", PASSWORD);
    let head = format!(
        "GET /v4/apiAccessTokens HTTP/1.1\r\nhost: x\r\nauthorization: {credential}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// Returns the number of open connections of the service: sockets of its port that belong to a
/// process (proc(5), net/tcp).
fn open_connections(running: &ServerProcess) -> usize {
    let port: u16 = running.url.rsplit(':').next().unwrap().parse().unwrap();
    let local = format!("0100007F:{port:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let is_open = |line: &&str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        // ESTABLISHED or CLOSE_WAIT. A socket that the service has closed has no inode.
        columns[1] == local && ["01", "08"].contains(&columns[3]) && columns[9] != "0"
    };
    table.lines().skip(1).filter(is_open).count()
}

/// Reads to the end with a pause after each piece. Returns all bytes.
fn read_slowly(mut stream: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut piece = vec![0; 512 * 1024];
    loop {
        let mut read = 0;
        while read < piece.len() {
            match stream.read(&mut piece[read..]).expect("the response is complete") {
                0 => {
                    all.extend_from_slice(&piece[..read]);
                    return all;
                }
                more => read += more,
            }
        }
        all.extend_from_slice(&piece);
        // Each pause is shorter than the limit, and all of them together are longer.
        std::thread::sleep(IDLE_TIMEOUT / 8);
    }
}

#[apply(both_databases_multi_thread)]
async fn stalled_readers_are_disconnected_and_slow_readers_are_served(engine: Engine) {
    let database = Database::empty(engine).await;
    let running = start(&database);
    let token = crate::resilience::Token::create(&running).await;
    running.send_signal("TERM");
    assert_eq!(running.wait_for_exit().0, Some(0));
    let longest = "x".repeat(255);
    database
        .execute_sql(&insert_tokens_sql(engine, TOKEN_COUNT, &longest, Timestamp::from_millis(1_767_225_600_000), None))
        .await;

    let running = start(&database);
    let steady = request_list(&running);
    // Its response has started before the other requests are sent.
    steady.peek(&mut [0]).unwrap();
    let stalled: Vec<TcpStream> = (0..STALLED_CLIENTS).map(|_| request_list(&running)).collect();
    let start_time = Instant::now();
    let steady = tokio::task::spawn_blocking(move || read_slowly(steady));
    // Another client is served during all of that.
    let http = http_client();
    let mut checks = 0;
    let mut peak = 0;
    while !steady.is_finished() || open_connections(&running) > 1 {
        let check = http.get(format!("{}/v4/auth", running.url)).bearer_auth(&token.value).send().await.unwrap();
        assert_eq!(check.status(), 200);
        assert!(
            start_time.elapsed() < Duration::from_secs(180),
            "{} connections are still open",
            open_connections(&running)
        );
        checks += 1;
        peak = peak.max(open_connections(&running));
    }
    let closed_after = start_time.elapsed();
    // The checking client, the steady one, and at least one stalled one.
    assert!(peak >= 3 && checks > 1, "{peak} connections, {checks} checks");
    let response = String::from_utf8(steady.await.unwrap()).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(body.matches("\"tokenId\"").count(), TOKEN_COUNT + 1, "the list is incomplete");
    // A stalled client gets a part of the response and then the end. Some may have got an error
    // instead, because of the limit on concurrent lists.
    let mut aborted = 0;
    for mut stream in stalled {
        let mut part = Vec::new();
        stream.read_to_end(&mut part).ok();
        assert!(part.len() < response.len(), "{} of {} bytes", part.len(), response.len());
        aborted += usize::from(part.starts_with(b"HTTP/1.1 200"));
    }
    assert!(aborted > 0, "no response had started");
    println!(
        "[measured] stalled readers, {engine:?}: {STALLED_CLIENTS} clients that read nothing of a response of {} MB, all \
         disconnected after {closed_after:.1?}, {checks} checks during that time",
        response.len() / 1_000_000
    );
}
