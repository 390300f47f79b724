//! Clients that ask and do not read: their connections are closed, and everybody else is answered. One that reads slowly but steadily is
//! served to the end.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use tokenward::domain::time::Timestamp;

use crate::support::{
    Database, Engine, PASSWORD, basic,
    binary::{Running, command},
    http_client, insert_tokens,
};

on_both_databases!(who_does_not_read_an_answer_is_closed_and_who_reads_slowly_is_served);

/// A list of so many tokens is longer than what the kernel takes for a client that does not read.
const TOKENS: usize = 20_000;
const SILENT: usize = 4;
/// How long a client may take nothing.
const LIMIT: Duration = Duration::from_secs(2);

fn serve(database: &Database) -> Running {
    let mut serve = command(&database.url);
    serve.env("TOKENWARD_HTTP__IDLE_TIMEOUT_MS", LIMIT.as_millis().to_string());
    // A debug build takes its time for so long a list.
    serve.env("TOKENWARD_HTTP__REQUEST_TIMEOUT_MS", "120000").env("TOKENWARD_DATABASE__STATEMENT_TIMEOUT_MS", "60000");
    serve.env("TOKENWARD_DATABASE__ACQUIRE_TIMEOUT_MS", "60000");
    Running::start_with(serve)
}

/// Asks for the list; the answer waits to be read.
fn ask(running: &Running) -> TcpStream {
    let mut stream = TcpStream::connect(running.url.trim_start_matches("http://")).unwrap();
    let credential = basic("admin@example.com", PASSWORD);
    let head = format!(
        "GET /v4/apiAccessTokens HTTP/1.1\r\nhost: x\r\nauthorization: {credential}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// How many connections the service has open: sockets of its port that belong to a process (proc(5), net/tcp).
fn open_connections(running: &Running) -> usize {
    let port: u16 = running.url.rsplit(':').next().unwrap().parse().unwrap();
    let local = format!("0100007F:{port:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let is_open = |line: &&str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        // ESTABLISHED or CLOSE_WAIT; what the service has closed has no inode.
        columns[1] == local && ["01", "08"].contains(&columns[3]) && columns[9] != "0"
    };
    table.lines().skip(1).filter(is_open).count()
}

/// Reads to the end, with a rest after each piece; gives all of it.
fn read_slowly(mut stream: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut piece = vec![0; 512 * 1024];
    loop {
        let mut read = 0;
        while read < piece.len() {
            match stream.read(&mut piece[read..]).expect("the answer is not broken off") {
                0 => {
                    all.extend_from_slice(&piece[..read]);
                    return all;
                }
                more => read += more,
            }
        }
        all.extend_from_slice(&piece);
        // Well within the limit each time, and all of them together longer than it.
        std::thread::sleep(LIMIT / 8);
    }
}

async fn who_does_not_read_an_answer_is_closed_and_who_reads_slowly_is_served(engine: Engine) {
    let database = Database::empty(engine).await;
    let running = serve(&database);
    let token = crate::resilience::Token::made_by(&running).await;
    running.signal("TERM");
    assert_eq!(running.wait().0, Some(0));
    let longest = "x".repeat(255);
    database.run(&insert_tokens(engine, TOKENS, &longest, Timestamp::from_millis(1_767_225_600_000), None)).await;

    let running = serve(&database);
    let steady = ask(&running);
    // It is being answered before the others ask.
    steady.peek(&mut [0]).unwrap();
    let silent: Vec<TcpStream> = (0..SILENT).map(|_| ask(&running)).collect();
    let begun = Instant::now();
    let steady = tokio::task::spawn_blocking(move || read_slowly(steady));
    // Somebody else is answered all the while.
    let http = http_client();
    let mut checks = 0;
    let mut most = 0;
    while !steady.is_finished() || open_connections(&running) > 1 {
        let check = http.get(format!("{}/v4/auth", running.url)).bearer_auth(&token.value).send().await.unwrap();
        assert_eq!(check.status(), 200);
        assert!(
            begun.elapsed() < Duration::from_secs(180),
            "{} connections are open still",
            open_connections(&running)
        );
        checks += 1;
        most = most.max(open_connections(&running));
    }
    let closed_after = begun.elapsed();
    // Ours, the steady one, and at least one that did not read.
    assert!(most >= 3 && checks > 1, "{most} connections, {checks} checks");
    let answer = String::from_utf8(steady.await.unwrap()).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(body.matches("\"tokenId\"").count(), TOKENS + 1, "the whole list");
    // What they would read now is a part of the answer, and then the end. Some may have been told at once that there are too many.
    let mut cut_off = 0;
    for mut stream in silent {
        let mut part = Vec::new();
        stream.read_to_end(&mut part).ok();
        assert!(part.len() < answer.len(), "{} of {} bytes", part.len(), answer.len());
        cut_off += usize::from(part.starts_with(b"HTTP/1.1 200"));
    }
    assert!(cut_off > 0, "none had begun to be answered");
    println!(
        "P10 {engine:?}: {SILENT} clients that read nothing of an answer of {} MB, all closed after {closed_after:.1?}, {checks} checks \
         meanwhile",
        answer.len() / 1_000_000
    );
}
