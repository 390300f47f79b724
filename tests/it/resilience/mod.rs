//! Guarantees under faults: the service and its database are killed, paused, disconnected, and run
//! out of disk or memory.
//!
//! Each test prints one line with its measurements. The tests are short by default. `scripts/soak`
//! runs the long form (`RESILIENCE_LONG=1`), including tests that are otherwise ignored because
//! they take minutes.

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
mod long_lease;
mod outage;
mod races;
mod read_only;
mod shutdown;
mod token_values;

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{
    PASSWORD,
    binary::{ServerProcess, run_with_stdin, tokenward_command},
};
use acknowledged_writes::WriteLog;

/// Returns whether the long form is requested.
pub fn is_long() -> bool {
    std::env::var_os("RESILIENCE_LONG").is_some_and(|value| !value.is_empty())
}

/// Returns the number of iterations for the current form.
pub fn iterations(short: usize, long: usize) -> usize {
    if is_long() { long } else { short }
}

/// The ID and the value of a token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    pub id: String,
    pub value: String,
}

impl Token {
    /// Reads the response that created a token.
    pub fn from_response(created: &Value) -> Self {
        let text = |value: &Value| value.as_str().expect("a token").to_owned();
        Self { id: text(&created["tokenInfo"]["tokenId"]), value: text(&created["tokenValue"]) }
    }

    /// Creates a token as the administrator.
    pub async fn create(running: &ServerProcess) -> Self {
        Self::from_response(&running.create_token(&client()).await.expect("a token"))
    }
}

/// Returns a client that keeps its connections and has a timeout of fifteen seconds.
pub fn client() -> reqwest::Client {
    drop(crate::support::http_client());
    reqwest::Client::builder().timeout(Duration::from_secs(15)).build().unwrap()
}

/// Checks a token. Returns the status, or nothing without a response.
pub async fn check_token(http: &reqwest::Client, url: &str, value: &str) -> Option<u16> {
    let reply = http.get(format!("{url}/v4/auth")).bearer_auth(value).send().await.ok()?;
    Some(reply.status().as_u16())
}

/// Creates a token with this credential. Returns the status and the token, or nothing without a
/// response.
pub async fn create_token(http: &reqwest::Client, url: &str, credential: &Token) -> Option<(u16, Option<Token>)> {
    let request = http.post(format!("{url}/v4/apiAccessTokens")).bearer_auth(&credential.value);
    let reply = request.json(&serde_json::json!({"lifetimeSeconds": -1})).send().await;
    let reply = reply.inspect_err(|error| eprintln!("{error:?}")).ok()?;
    let status = reply.status().as_u16();
    let created = if status == 201 { Some(Token::from_response(&reply.json().await.ok()?)) } else { None };
    Some((status, created))
}

/// Deletes a token as the administrator, by password. Returns the status, or nothing without a
/// response.
pub async fn delete_token(http: &reqwest::Client, url: &str, token: &Token) -> Option<u16> {
    let path = format!("{url}/v4/apiAccessTokens/{}", token.id);
    let reply = http.delete(path).basic_auth("admin@example.com", Some(PASSWORD)).send().await.ok()?;
    Some(reply.status().as_u16())
}

/// Repeats a condition until it holds. Returns the elapsed time.
///
/// # Panics
///
/// Panics if the condition does not hold within the limit.
#[track_caller]
pub fn wait_until<F: Future<Output = bool>>(
    limit: Duration,
    description: &'static str,
    condition: impl Fn() -> F,
) -> impl Future<Output = Duration> {
    let start = Instant::now();
    async move {
        while !condition().await {
            assert!(start.elapsed() < limit, "{description}: not within {limit:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        start.elapsed()
    }
}

/// Waits until a token can be created and, as no cache has it, read from the database for a check. Checks follow
/// writes: a node rejects them without a query until it is connected again.
pub async fn wait_until_recovered(limit: Duration, url: &str, credential: &Token) -> Duration {
    let http = client();
    let has_recovered = || async {
        let Some((201, Some(token))) = create_token(&http, url, credential).await else { return false };
        check_token(&http, url, &token.value).await == Some(200)
    };
    wait_until(limit, "writes and checks", has_recovered).await
}

/// Returns the IDs of the administrator's tokens in the token list.
pub async fn list_token_ids(url: &str) -> HashSet<String> {
    let request = client().get(format!("{url}/v4/apiAccessTokens")).basic_auth("admin@example.com", Some(PASSWORD));
    let list: Value = request.send().await.unwrap().json().await.unwrap();
    list["data"].as_array().unwrap().iter().map(|row| row["tokenId"].as_str().unwrap().to_owned()).collect()
}

/// Asserts that the hash chain is intact, and that its events match the listed tokens and the
/// acknowledged writes. Only the administrator has tokens. On SQLite, the service must have closed
/// the file.
pub fn assert_audit_log_matches(database: &str, listed: &HashSet<String>, log: &WriteLog) {
    let audit = |arguments: &[&str]| {
        let mut audit = tokenward_command(database);
        audit.arg("audit").args(arguments);
        let output = tokio::task::block_in_place(|| run_with_stdin(audit, ""));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
        String::from_utf8(output.stdout).unwrap()
    };
    audit(&["verify"]);
    let exported = audit(&["export"]);
    let events: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let targets_of = |action: &str| -> HashSet<String> {
        let events = events.iter().filter(|event| event["action"] == action);
        events.map(|event| event["target"].as_str().unwrap().to_owned()).collect()
    };
    let (created, deleted) = (targets_of("token.created"), targets_of("token.deleted"));
    let remaining: HashSet<String> = created.difference(&deleted).cloned().collect();
    assert_eq!(&remaining, listed, "the listed tokens differ from those of the events");
    assert!(log.created.iter().all(|token| created.contains(&token.id)));
    assert!(log.deleted.iter().all(|token| deleted.contains(&token.id)));
}
