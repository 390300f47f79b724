//! What the service keeps to while things break: the program itself, killed, starved, cut off and set back, on databases that are.
//!
//! Each test prints one line with what it measured. In the normal run they are short; `scripts/torture` runs them long
//! (`TOKENWARD_TORTURE=long`), together with those that are ignored otherwise because they take minutes.

mod acknowledged_writes;
mod backup;
mod checker;
mod clock;
mod crash;
mod disk_full;
mod failover;
mod fsync;
mod lists;
mod login_flood;
mod outage;
mod races;
mod read_only;
mod shutdown;

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{
    PASSWORD,
    binary::{Running, command, run},
};
use acknowledged_writes::Ledger;

/// Whether this is the long form.
pub fn is_long() -> bool {
    std::env::var("TOKENWARD_TORTURE").is_ok_and(|form| form == "long")
}

/// As many in the short form, and as many in the long one.
pub fn times(short: usize, long: usize) -> usize {
    if is_long() { long } else { short }
}

/// A token as a client has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    pub id: String,
    pub value: String,
}

impl Token {
    /// From the answer that made it.
    pub fn of(made: &Value) -> Self {
        let text = |value: &Value| value.as_str().expect("a whole token").to_owned();
        Self { id: text(&made["tokenInfo"]["tokenId"]), value: text(&made["tokenValue"]) }
    }

    /// One of a service that answers.
    pub async fn made_by(running: &Running) -> Self {
        Self::of(&running.make_token(&client()).await.expect("a token"))
    }
}

/// A client that keeps its connections, and waits as long as a patient caller would.
pub fn client() -> reqwest::Client {
    drop(crate::support::http_client());
    reqwest::Client::builder().timeout(Duration::from_secs(15)).build().unwrap()
}

/// Asks whether a token is good; none where no answer came.
pub async fn check(http: &reqwest::Client, url: &str, value: &str) -> Option<u16> {
    let reply = http.get(format!("{url}/v4/auth")).bearer_auth(value).send().await.ok()?;
    Some(reply.status().as_u16())
}

/// Asks for a token by this credential; gives the status and the token, or nothing where no answer came.
pub async fn make(http: &reqwest::Client, url: &str, by: &Token) -> Option<(u16, Option<Token>)> {
    let asked = http.post(format!("{url}/v4/apiAccessTokens")).bearer_auth(&by.value);
    let reply = asked.json(&serde_json::json!({"lifetimeSeconds": -1})).send().await.ok()?;
    let status = reply.status().as_u16();
    let made = if status == 201 { Some(Token::of(&reply.json().await.ok()?)) } else { None };
    Some((status, made))
}

/// Deletes a token, as the administrator by password; gives the status, or nothing where no answer came.
pub async fn delete(http: &reqwest::Client, url: &str, token: &Token) -> Option<u16> {
    let path = format!("{url}/v4/apiAccessTokens/{}", token.id);
    let reply = http.delete(path).basic_auth("admin@example.com", Some(PASSWORD)).send().await.ok()?;
    Some(reply.status().as_u16())
}

/// Tries until it is so; gives how long that took.
#[track_caller]
pub fn within<F: Future<Output = bool>>(
    limit: Duration,
    what: &'static str,
    is_so: impl Fn() -> F,
) -> impl Future<Output = Duration> {
    let begun = Instant::now();
    async move {
        while !is_so().await {
            assert!(begun.elapsed() < limit, "{what}: not within {limit:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        begun.elapsed()
    }
}

/// Waits until a token can be made.
pub async fn writes_within(limit: Duration, url: &str, by: &Token) -> Duration {
    let http = client();
    within(limit, "writes", || async { matches!(make(&http, url, by).await, Some((201, _))) }).await
}

/// The ids of the administrator's tokens, as the list shows them.
pub async fn listed(url: &str) -> HashSet<String> {
    let asked = client().get(format!("{url}/v4/apiAccessTokens")).basic_auth("admin@example.com", Some(PASSWORD));
    let list: Value = asked.send().await.unwrap().json().await.unwrap();
    list["data"].as_array().unwrap().iter().map(|row| row["tokenId"].as_str().unwrap().to_owned()).collect()
}

/// Insists that the chain of events is whole, and that it tells of each token that is there or was acknowledged, and of no other.
/// Only the administrator has tokens. On SQLite the service must have let go of the file.
pub fn assert_events_agree(database: &str, listed: &HashSet<String>, ledger: &Ledger) {
    let audit = |arguments: &[&str]| {
        let mut audit = command(database);
        audit.arg("audit").args(arguments);
        let output = tokio::task::block_in_place(|| run(audit, ""));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
        String::from_utf8(output.stdout).unwrap()
    };
    audit(&["verify"]);
    let exported = audit(&["export"]);
    let events: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |action: &str| -> HashSet<String> {
        let events = events.iter().filter(|event| event["action"] == action);
        events.map(|event| event["target"].as_str().unwrap().to_owned()).collect()
    };
    let (created, deleted) = (of("token.created"), of("token.deleted"));
    let left: HashSet<String> = created.difference(&deleted).cloned().collect();
    assert_eq!(&left, listed, "tokens that are there, and those of which the events say so");
    assert!(ledger.made.iter().all(|token| created.contains(&token.id)));
    assert!(ledger.deleted.iter().all(|token| deleted.contains(&token.id)));
}
