//! kill -9 in the middle of writes: no acknowledged token is lost, no deleted one comes back, none is half made.

use std::collections::HashSet;

use crate::support::http_client;
use serde_json::Value;

use crate::support::{Database, Engine, PASSWORD, binary::Running};

/// How often the service is killed; `TOKENWARD_TORTURE_KILLS` makes it more.
fn kills() -> u32 {
    std::env::var("TOKENWARD_TORTURE_KILLS").map_or(5, |text| text.parse().unwrap())
}

on_both_databases!(killed_in_mid_write_nothing_acknowledged_is_lost);

#[derive(Default)]
struct Acknowledged {
    made: HashSet<String>,
    deleted: HashSet<String>,
    /// Their deletion was asked for and not answered.
    unknown: HashSet<String>,
}

async fn killed_in_mid_write_nothing_acknowledged_is_lost(engine: Engine) {
    let database = Database::empty(engine).await;
    let mut seen = Acknowledged::default();
    for round in 0..kills() {
        let running = Running::start(&database.url);
        let process = running.id();
        let writers: Vec<_> = (0..4).map(|n| tokio::spawn(write(running.url.clone(), n))).collect();
        // Killed by whichever writer has been answered often enough; the moment differs from round to round.
        let killer = tokio::spawn(kill_after(running.url.clone(), process, 10 + round * 7));
        for writer in writers {
            let Acknowledged { made, deleted, unknown } = writer.await.unwrap();
            seen.made.extend(made);
            seen.deleted.extend(deleted);
            seen.unknown.extend(unknown);
        }
        killer.await.unwrap();
        drop(running);
    }
    let running = Running::start(&database.url);
    let listed = list(&running.url).await;
    let lost: Vec<_> = seen
        .made
        .iter()
        .filter(|id| !seen.deleted.contains(*id) && !seen.unknown.contains(*id) && !listed.contains(*id))
        .collect();
    let revived: Vec<_> = seen.deleted.iter().filter(|id| listed.contains(*id)).collect();
    assert!(lost.is_empty() && revived.is_empty(), "lost {lost:?}, revived {revived:?}");
    assert!(
        seen.made.len() > 20 && !seen.deleted.is_empty(),
        "{} made, {} deleted",
        seen.made.len(),
        seen.deleted.len()
    );
}

/// Makes tokens and deletes every third, until the service is gone.
async fn write(url: String, writer: usize) -> Acknowledged {
    let http = http_client();
    let mut seen = Acknowledged::default();
    for n in writer.. {
        let sent = http
            .post(format!("{url}/v4/apiAccessTokens"))
            .basic_auth("admin@example.com", Some(PASSWORD))
            .json(&serde_json::json!({"lifetimeSeconds": -1}))
            .send()
            .await;
        let Ok(reply) = sent else { break };
        assert_eq!(reply.status(), 201);
        let Ok(made) = reply.json::<Value>().await else { break };
        let id = made["tokenInfo"]["tokenId"].as_str().unwrap().to_owned();
        seen.made.insert(id.clone());
        if n % 3 == 0 {
            let gone = http
                .delete(format!("{url}/v4/apiAccessTokens/{id}"))
                .basic_auth("admin@example.com", Some(PASSWORD))
                .send()
                .await;
            match gone {
                Ok(reply) if reply.status() == 204 => seen.deleted.insert(id),
                _ => seen.unknown.insert(id),
            };
        }
    }
    seen
}

/// Waits until there are this many more tokens, and kills.
async fn kill_after(url: String, process: u32, more: u32) {
    let before = list(&url).await.len();
    while list(&url).await.len() < before + more as usize {}
    std::process::Command::new("kill").args(["-9", &process.to_string()]).status().unwrap();
}

async fn list(url: &str) -> HashSet<String> {
    let reply = http_client()
        .get(format!("{url}/v4/apiAccessTokens"))
        .basic_auth("admin@example.com", Some(PASSWORD))
        .send()
        .await
        .unwrap();
    let list: Value = reply.json().await.unwrap();
    let rows = list["data"].as_array().unwrap();
    for row in rows {
        let whole = ["tokenId", "createdAt", "hint"]
            .iter()
            .all(|field| row[field].as_str().is_some_and(|text| !text.is_empty()));
        assert!(whole, "half made: {row}");
    }
    rows.iter().map(|row| row["tokenId"].as_str().unwrap().to_owned()).collect()
}
