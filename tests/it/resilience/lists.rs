//! Long lists, and clients that do not read them: memory stays bounded, and an aborted list is
//! recognizable as incomplete.

use std::time::{Duration, Instant};

use rstest::rstest;
use rstest_reuse::apply;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    task::spawn_blocking,
};

use super::{Token, is_long, iterations, wait_until};
use crate::{
    lists::insert_person_tokens,
    support::{Database, Engine, PASSWORD, basic_auth, binary::ServerProcess, both_databases},
};

const MIB: usize = 1024 * 1024;

/// Starts a service whose first administrator has this many tokens.
async fn start_with_tokens(engine: Engine, tokens: usize) -> (ServerProcess, Database) {
    let database = Database::migrated(engine).await;
    let url = database.url.clone();
    let stopped = spawn_blocking(move || {
        let running = ServerProcess::start(&url);
        running.send_signal("TERM");
        running.wait_for_exit().0
    });
    assert_eq!(stopped.await.unwrap(), Some(0));
    insert_person_tokens(&database, 1, tokens).await;
    let url = database.url.clone();
    (spawn_blocking(move || ServerProcess::start(&url)).await.unwrap(), database)
}

/// Requests the list on a connection with a minimal receive buffer.
async fn request_list(running: &ServerProcess, authorization: &str, version: &str) -> TcpStream {
    let address = running.url.strip_prefix("http://").unwrap().parse().unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let head = format!("GET /v4/apiAccessTokens {version}\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn read_status_line(stream: &mut TcpStream) {
    let mut beginning = [0; 64];
    stream.read_exact(&mut beginning).await.unwrap();
    assert!(beginning.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&beginning));
}

/// Returns the resident memory in bytes (proc(5)).
fn resident_bytes(running: &ServerProcess) -> usize {
    let text = std::fs::read_to_string(format!("/proc/{}/statm", running.pid())).unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

#[apply(both_databases)]
async fn memory_stays_bounded_with_stalled_readers(engine: Engine) {
    let (count, tokens) = (iterations(100, 450), iterations(4_000, 10_000));
    let (running, _database) = start_with_tokens(engine, tokens).await;
    let token = format!("Bearer {}", Token::create(&running).await.value);
    // The first list causes one-time allocations.
    let mut first = Vec::new();
    request_list(&running, &token, "HTTP/1.0").await.read_to_end(&mut first).await.unwrap();
    let before = resident_bytes(&running);
    let mut peak = before;
    let mut stalled = Vec::new();
    for _ in 0..count {
        let mut stream = request_list(&running, &token, "HTTP/1.1").await;
        read_status_line(&mut stream).await;
        peak = peak.max(resident_bytes(&running));
        stalled.push(stream);
    }
    let hold_start = Instant::now();
    while hold_start.elapsed() < Duration::from_secs(iterations(1, 10) as u64) {
        peak = peak.max(resident_bytes(&running));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!(
        "[measured] stalled readers, {engine:?}: {count} clients that read 64 bytes of a list of {tokens} tokens ({:.1} MiB): \
         memory {:.1} -> {:.1} MiB",
        first.len() as f64 / MIB as f64,
        before as f64 / MIB as f64,
        peak as f64 / MIB as f64,
    );
    // Buffered as a whole, the lists would take several times as much.
    assert!(first.len() * count > 5 * 64 * MIB / 2 && peak - before < 64 * MIB, "{} MiB", (peak - before) / MIB);
}

#[apply(both_databases)]
async fn an_aborted_list_has_no_last_chunk(engine: Engine) {
    let (running, _database) = start_with_tokens(engine, 20_000).await;
    let token = Token::create(&running).await;
    let http = super::client();
    let mut stream = request_list(&running, &format!("Bearer {}", token.value), "HTTP/1.1").await;
    read_status_line(&mut stream).await;
    assert_eq!(super::delete_token(&http, &running.url, &token).await, Some(204));
    let mut remainder = Vec::new();
    stream.read_to_end(&mut remainder).await.ok();
    assert!(
        !remainder.ends_with(b"0\r\n\r\n") && !remainder.windows(2).any(|pair| pair == b"]}"),
        "{} bytes",
        remainder.len()
    );
    let is_logged = async || running.log().contains("aborted a list response");
    wait_until(Duration::from_secs(60), "the abort is logged", is_logged).await;
    // HTTP/1.0 has no chunked encoding, so the list ends with the connection.
    let mut response = Vec::new();
    let admin = basic_auth("admin@example.com", PASSWORD);
    request_list(&running, &admin, "HTTP/1.0").await.read_to_end(&mut response).await.unwrap();
    let body = response.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let list: serde_json::Value = serde_json::from_slice(&response[body..]).unwrap();
    assert_eq!(list["data"].as_array().unwrap().len(), 20_000);
}

/// One list of a million tokens.
#[apply(both_databases)]
async fn a_long_list_completes(engine: Engine) {
    let count = iterations(20_000, 1_000_000);
    let (running, _database) = start_with_tokens(engine, count).await;
    let before = resident_bytes(&running);
    let (start, mut peak, mut rows, mut bytes) = (Instant::now(), before, 0, 0);
    let mut reply = crate::support::http_client()
        .get(format!("{}/v4/apiAccessTokens", running.url))
        .basic_auth("admin@example.com", Some(PASSWORD))
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), 200);
    let mut tail = Vec::new();
    while let Some(chunk) = reply.chunk().await.unwrap() {
        // The name of the field may span two chunks.
        tail.extend_from_slice(&chunk);
        let name = br#""tokenId":"#;
        rows += tail.windows(name.len()).filter(|part| part == name).count();
        bytes += chunk.len();
        peak = peak.max(resident_bytes(&running));
        let keep = tail.len().saturating_sub(name.len() - 1);
        tail.drain(..keep);
    }
    assert!(tail.ends_with(b"}]}\n"));
    assert_eq!(rows, count);
    let elapsed = start.elapsed();
    let count_start = Instant::now();
    let current = super::client()
        .get(format!("{}/v4/workspaces/current", running.url))
        .basic_auth("admin@example.com", Some(PASSWORD))
        .send()
        .await
        .unwrap();
    let current: serde_json::Value = current.json().await.unwrap();
    assert_eq!(current["tokenCount"], count);
    println!(
        "[measured] long list, {engine:?}: {count} tokens, {} MiB, in {elapsed:.1?}; memory {:.1} -> {:.1} MiB; counted in {:.1?}",
        bytes / MIB,
        before as f64 / MIB as f64,
        peak as f64 / MIB as f64,
        count_start.elapsed(),
    );
    assert!(peak.saturating_sub(before) < 64 * MIB);
}

/// Measures deletions while other clients continuously request counts and lists. Only in the long
/// form.
#[apply(both_databases)]
async fn deletions_continue_beside_lists(engine: Engine) {
    if !is_long() {
        return;
    }
    let (running, _database) = start_with_tokens(engine, 100_000).await;
    let reader = Token::create(&running).await;
    let http = super::client();
    let readers: Vec<_> = (0..200)
        .map(|n| {
            let (http, url, value) = (http.clone(), running.url.clone(), reader.value.clone());
            tokio::spawn(async move {
                let path = if n % 10 == 0 {
                    "/v4/apiAccessTokens?sort=description&limit=50"
                } else {
                    "/v4/workspaces/current"
                };
                loop {
                    drop(http.get(format!("{url}{path}")).bearer_auth(&value).send().await);
                }
            })
        })
        .collect();
    let mut times = Vec::new();
    for _ in 0..50 {
        let token = Token::create(&running).await;
        assert_eq!(super::check_token(&http, &running.url, &token.value).await, Some(200));
        let start = Instant::now();
        let request =
            http.delete(format!("{}/v4/apiAccessTokens/{}", running.url, token.id)).bearer_auth(&reader.value);
        assert_eq!(request.send().await.unwrap().status(), 204);
        times.push(start.elapsed());
        assert_eq!(super::check_token(&http, &running.url, &token.value).await, Some(401));
    }
    readers.iter().for_each(tokio::task::JoinHandle::abort);
    times.sort_unstable();
    println!(
        "[measured] deletions beside lists, {engine:?}: 50 deletions beside 200 readers of 100000 tokens: p50 {:.1?}, slowest {:.1?}",
        times[25], times[49]
    );
}
