//! Lists of any length, and clients that do not read them (P10): memory stays where it was, and what is broken off looks broken.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    task::spawn_blocking,
};

use super::{Token, is_long, times};
use crate::{
    lists::insert_tokens,
    support::{Database, Engine, PASSWORD, basic, binary::Running},
};

const MIB: usize = 1024 * 1024;

/// A service whose first administrator has so many tokens.
async fn serving(engine: Engine, tokens: usize) -> (Running, Database) {
    let database = Database::migrated(engine).await;
    let url = database.url.clone();
    let stopped = spawn_blocking(move || {
        let running = Running::start(&url);
        running.signal("TERM");
        running.wait().0
    });
    assert_eq!(stopped.await.unwrap(), Some(0));
    insert_tokens(&database, 1, tokens).await;
    let url = database.url.clone();
    (spawn_blocking(move || Running::start(&url)).await.unwrap(), database)
}

/// Asks over a connection that takes as little as possible into its own buffers.
async fn ask(running: &Running, authorization: &str, version: &str) -> TcpStream {
    let address = running.url.strip_prefix("http://").unwrap().parse().unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let head = format!("GET /v4/apiAccessTokens {version}\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn begin(stream: &mut TcpStream) {
    let mut beginning = [0; 64];
    stream.read_exact(&mut beginning).await.unwrap();
    assert!(beginning.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&beginning));
}

/// Resident memory, in bytes (proc(5)).
fn resident(running: &Running) -> usize {
    let text = std::fs::read_to_string(format!("/proc/{}/statm", running.id())).unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

async fn stalled_readers(engine: Engine) {
    let (count, tokens) = (times(100, 450), times(4_000, 10_000));
    let (running, _database) = serving(engine, tokens).await;
    let token = format!("Bearer {}", Token::made_by(&running).await.value);
    // What the first list takes it takes once.
    let mut first = Vec::new();
    ask(&running, &token, "HTTP/1.0").await.read_to_end(&mut first).await.unwrap();
    let before = resident(&running);
    let mut most = before;
    let mut stalled = Vec::new();
    for _ in 0..count {
        let mut stream = ask(&running, &token, "HTTP/1.1").await;
        begin(&mut stream).await;
        most = most.max(resident(&running));
        stalled.push(stream);
    }
    let settled = Instant::now();
    while settled.elapsed() < Duration::from_secs(times(1, 10) as u64) {
        most = most.max(resident(&running));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!(
        "P10 {engine:?}: {count} clients that read 64 bytes of a list of {tokens} tokens ({:.1} MiB): memory {:.1} -> {:.1} MiB",
        first.len() as f64 / MIB as f64,
        before as f64 / MIB as f64,
        most as f64 / MIB as f64,
    );
    // Made in one piece they would take several times as much as this.
    assert!(first.len() * count > 5 * 64 * MIB / 2 && most - before < 64 * MIB, "{} MiB", (most - before) / MIB);
}

async fn broken_lists(engine: Engine) {
    let (running, _database) = serving(engine, 20_000).await;
    let token = Token::made_by(&running).await;
    let http = super::client();
    let mut stream = ask(&running, &format!("Bearer {}", token.value), "HTTP/1.1").await;
    begin(&mut stream).await;
    assert_eq!(super::delete(&http, &running.url, &token).await, Some(204));
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.ok();
    assert!(!rest.ends_with(b"0\r\n\r\n") && !rest.windows(2).any(|pair| pair == b"]}"), "{} bytes", rest.len());
    assert!(running.log().contains("aborted a list that was being sent"), "{}", running.log());
    // HTTP/1.0 knows no chunks: the list ends where the connection does.
    let mut whole = Vec::new();
    let admin = basic("admin@example.com", PASSWORD);
    ask(&running, &admin, "HTTP/1.0").await.read_to_end(&mut whole).await.unwrap();
    let body = whole.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let list: serde_json::Value = serde_json::from_slice(&whole[body..]).unwrap();
    assert_eq!(list["data"].as_array().unwrap().len(), 20_000);
}

/// A million tokens, one list.
async fn a_million(engine: Engine) {
    let count = times(20_000, 1_000_000);
    let (running, _database) = serving(engine, count).await;
    let before = resident(&running);
    let (begun, mut most, mut rows, mut bytes) = (Instant::now(), before, 0, 0);
    let mut reply = crate::support::http_client()
        .get(format!("{}/v4/apiAccessTokens", running.url))
        .basic_auth("admin@example.com", Some(PASSWORD))
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), 200);
    let mut end = Vec::new();
    while let Some(chunk) = reply.chunk().await.unwrap() {
        // The field's name may lie across two chunks.
        end.extend_from_slice(&chunk);
        let name = br#""tokenId":"#;
        rows += end.windows(name.len()).filter(|part| part == name).count();
        bytes += chunk.len();
        most = most.max(resident(&running));
        let kept = end.len().saturating_sub(name.len() - 1);
        end.drain(..kept);
    }
    assert!(end.ends_with(b"}]}"));
    assert_eq!(rows, count);
    let took = begun.elapsed();
    let counted = Instant::now();
    let current = super::client()
        .get(format!("{}/v4/workspaces/current", running.url))
        .basic_auth("admin@example.com", Some(PASSWORD))
        .send()
        .await
        .unwrap();
    let current: serde_json::Value = current.json().await.unwrap();
    assert_eq!(current["tokenCount"], count);
    println!(
        "P10 {engine:?}: a list of {count} tokens, {} MiB, in {took:.1?}; memory {:.1} -> {:.1} MiB; counted in {:.1?}",
        bytes / MIB,
        before as f64 / MIB as f64,
        most as f64 / MIB as f64,
        counted.elapsed(),
    );
    assert!(most.saturating_sub(before) < 64 * MIB);
}

/// The figure of deletions while counts and lists are asked for without end; only in the long form.
async fn deletions_beside_lists(engine: Engine) {
    if !is_long() {
        return;
    }
    let (running, _database) = serving(engine, 100_000).await;
    let reader = Token::made_by(&running).await;
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
    let mut took = Vec::new();
    for _ in 0..50 {
        let token = Token::made_by(&running).await;
        assert_eq!(super::check(&http, &running.url, &token.value).await, Some(200));
        let begun = Instant::now();
        let deleted =
            http.delete(format!("{}/v4/apiAccessTokens/{}", running.url, token.id)).bearer_auth(&reader.value);
        assert_eq!(deleted.send().await.unwrap().status(), 204);
        took.push(begun.elapsed());
        assert_eq!(super::check(&http, &running.url, &token.value).await, Some(401));
    }
    readers.iter().for_each(tokio::task::JoinHandle::abort);
    took.sort_unstable();
    println!(
        "P10 {engine:?}: 50 deletions beside 200 readers of 100000 tokens, all 204: p50 {:.1?}, slowest {:.1?}",
        took[25], took[49]
    );
}

macro_rules! each_on_both {
    ($($name:ident => $postgres:ident, $sqlite:ident;)*) => {
        $(#[tokio::test]
        async fn $postgres() {
            $name(Engine::Postgres).await;
        }

        #[tokio::test]
        async fn $sqlite() {
            $name(Engine::Sqlite).await;
        })*
    };
}

each_on_both! {
    stalled_readers => memory_does_not_grow_with_stalled_readers_on_postgres, memory_does_not_grow_with_stalled_readers_on_sqlite;
    broken_lists => a_list_that_is_broken_off_has_no_last_chunk_on_postgres, a_list_that_is_broken_off_has_no_last_chunk_on_sqlite;
    a_million => a_list_of_any_length_completes_on_postgres, a_list_of_any_length_completes_on_sqlite;
    deletions_beside_lists => deletions_go_on_beside_lists_on_postgres, deletions_go_on_beside_lists_on_sqlite;
}
