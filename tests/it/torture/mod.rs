//! What the service keeps to while things break: the program itself, killed, starved, cut off and set back, on databases that are.
//!
//! Each test prints one line with what it measured. In the normal run they are short; `scripts/torture` runs them long
//! (`TOKENWARD_TORTURE=long`), together with those that are ignored otherwise because they take minutes.

mod backup;
mod checker;
mod clock;
mod crash;
mod failover;
mod flood;
mod full;
mod ledger;
mod outage;
mod races;
mod read_only;
mod stops;
mod synced;

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{PASSWORD, binary::Running};

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
