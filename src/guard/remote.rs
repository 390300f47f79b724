//! A verifier that asks a Tokenward over HTTP, by OAuth 2.0 introspection (RFC 7662).

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use moka::{Expiry, future::Cache};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{Cause, Denied, Holder, Principal, TokenId, TokenRef, Verify};
use crate::value::Presented;

/// Asks a Tokenward whose a token is.
///
/// ```no_run
/// use std::time::Duration;
/// use tokenward::guard::{GuardLayer, RemoteVerifier};
///
/// # fn main() -> Result<(), tokenward::guard::BadRemote> {
/// let verifier = RemoteVerifier::builder("https://tokenward.example", "twd_own_token_of_this_service")
///     .cache_for(Duration::from_secs(2))
///     .build()?;
/// let layer: GuardLayer<RemoteVerifier, http::Response<String>> = GuardLayer::new(verifier).require_workspace(1);
/// # Ok(())
/// # }
/// ```
///
/// Answers are cached, bounded in number and in time. [`RemoteVerifierBuilder::cache_for`] is **how long a deleted token may
/// still work here**: 5 seconds unless set, and never past the token's own end. That a token opens nothing is remembered for
/// one second. Entries are found by the SHA-256 of a value; the value itself is not kept. Of many requests that bring one new
/// token at once, one asks. What cannot be found out is [`Denied::Unavailable`], a 503: nothing is repeated, and nobody gets in.
#[derive(Clone)]
pub struct RemoteVerifier(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    introspect: String,
    asker: Asker,
    answers: Cache<[u8; 32], Answer>,
    observe: Box<dyn Fn(Event) + Send + Sync>,
}

/// Settings of a [`RemoteVerifier`].
pub struct RemoteVerifierBuilder {
    url: String,
    asker: Asker,
    cache_for: Duration,
    cache_entries: u64,
    connect_timeout: Duration,
    total_timeout: Duration,
    observe: Box<dyn Fn(Event) + Send + Sync>,
}

/// By what the asking service proves itself.
enum Asker {
    Bearer(String),
    Basic { email: String, password: String },
}

/// What a verifier did, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Tokenward was asked and answered, in this time.
    Asked(Duration),
    /// Tokenward could not be asked, or did not take this service's own credential.
    Failed,
    /// A check was answered, from the cache or not.
    Checked {
        /// Whether the token opens anything.
        active: bool,
    },
}

/// A [`RemoteVerifier`] that cannot be built: a URL or a time-out that the HTTP client refuses.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be set up")]
pub struct BadRemote(#[source] reqwest::Error);

/// Why there is no answer. It is not kept: the next check asks again.
#[derive(Debug)]
struct NoAnswer;

#[derive(Clone)]
enum Answer {
    Active(Principal),
    Inactive,
}

impl RemoteVerifier {
    /// Begins with the URL of a Tokenward and a token of a person of the workspace whose tokens are to be checked.
    #[must_use]
    pub fn builder(url: &str, own_token: &str) -> RemoteVerifierBuilder {
        RemoteVerifierBuilder {
            url: url.trim_end_matches('/').to_owned(),
            asker: Asker::Bearer(own_token.to_owned()),
            cache_for: Duration::from_secs(5),
            cache_entries: 100_000,
            connect_timeout: Duration::from_secs(1),
            total_timeout: Duration::from_secs(3),
            observe: Box::new(|_| ()),
        }
    }
}

impl RemoteVerifierBuilder {
    /// Asks with e-mail and password instead of a token. Slower, and it occupies Tokenward's password queue.
    #[must_use]
    pub fn with_password(mut self, email: &str, password: &str) -> Self {
        self.asker = Asker::Basic { email: email.to_owned(), password: password.to_owned() };
        self
    }

    /// How long an answer counts: how long a deleted token may still work here. Zero asks each time.
    #[must_use]
    pub fn cache_for(mut self, time: Duration) -> Self {
        self.cache_for = time;
        self
    }

    /// How many answers are kept at the most.
    #[must_use]
    pub fn cache_entries(mut self, entries: u64) -> Self {
        self.cache_entries = entries;
        self
    }

    /// How long connecting may take, and the whole question.
    #[must_use]
    pub fn timeouts(mut self, connect: Duration, total: Duration) -> Self {
        self.connect_timeout = connect;
        self.total_timeout = total;
        self
    }

    /// Is told what happens, for metrics.
    #[must_use]
    pub fn observe(mut self, observe: impl Fn(Event) + Send + Sync + 'static) -> Self {
        self.observe = Box::new(observe);
        self
    }

    /// Builds the verifier: one HTTP client, shared by all its clones.
    ///
    /// # Errors
    /// [`BadRemote`].
    pub fn build(self) -> Result<RemoteVerifier, BadRemote> {
        // The first that installs a provider of cryptography wins; whichever it is will do.
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = reqwest::Client::builder()
            .connect_timeout(self.connect_timeout)
            .timeout(self.total_timeout)
            // A redirect would carry the token to somebody else.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(BadRemote)?;
        let answers = Cache::builder()
            .max_capacity(self.cache_entries)
            .expire_after(Lifespan { cache_for: self.cache_for })
            .build();
        let introspect = format!("{}/oauth2/introspect", self.url);
        Ok(RemoteVerifier(Arc::new(Inner { http, introspect, asker: self.asker, answers, observe: self.observe })))
    }
}

impl Verify for RemoteVerifier {
    async fn verify(&self, presented: Presented<'_>) -> Result<Principal, Denied> {
        let Self(inner) = self;
        let key: [u8; 32] = Sha256::digest(presented.expose()).into();
        // Concurrent questions about one token become one; a failure is nobody's answer but theirs.
        let answer = inner.answers.try_get_with(key, inner.ask(presented)).await;
        let outcome = match answer {
            Ok(Answer::Active(principal)) if !has_ended(&principal) => Ok(principal),
            Ok(Answer::Active(_) | Answer::Inactive) => Err(Denied::Invalid(Cause::Inactive)),
            Err(_) => return Err(Denied::Unavailable),
        };
        (inner.observe)(Event::Checked { active: outcome.is_ok() });
        outcome
    }
}

impl Inner {
    async fn ask(&self, presented: Presented<'_>) -> Result<Answer, NoAnswer> {
        let begun = Instant::now();
        let answer = self.question(presented).await;
        (self.observe)(match &answer {
            Ok(_) => Event::Asked(begun.elapsed()),
            Err(NoAnswer) => Event::Failed,
        });
        answer
    }

    async fn question(&self, presented: Presented<'_>) -> Result<Answer, NoAnswer> {
        let question = self.http.post(&self.introspect).form(&[("token", presented.expose())]);
        let question = match &self.asker {
            Asker::Bearer(token) => question.bearer_auth(token),
            Asker::Basic { email, password } => question.basic_auth(email, Some(password)),
        };
        let reply = question.send().await.map_err(|_| NoAnswer)?;
        // 401 is about this service's own credential: no verdict on the token.
        if reply.status() != reqwest::StatusCode::OK {
            return Err(NoAnswer);
        }
        let told: Introspection = reply.json().await.map_err(|_| NoAnswer)?;
        told.into_answer().ok_or(NoAnswer)
    }
}

/// What Tokenward tells, as far as it is needed.
#[derive(Deserialize)]
struct Introspection {
    active: bool,
    sub: Option<String>,
    username: Option<String>,
    exp: Option<u64>,
    iat: Option<u64>,
    jti: Option<String>,
    tokenward_workspace_id: Option<i64>,
    #[serde(default)]
    tokenward_is_admin: bool,
    #[serde(default)]
    tokenward_name: String,
}

impl Introspection {
    /// None where an active token's holder is not told: that is no Tokenward, and nobody gets in.
    fn into_answer(self) -> Option<Answer> {
        if !self.active {
            return Some(Answer::Inactive);
        }
        let since = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let holder = Holder {
            person_id: self.sub?.parse().ok()?,
            workspace_id: self.tokenward_workspace_id?,
            email: self.username?,
            name: self.tokenward_name,
            is_admin: self.tokenward_is_admin,
            is_platform_admin: false,
        };
        let id = TokenId::parse(&self.jti?)?;
        let token = TokenRef { id, issued_at: since(self.iat?), expires_at: self.exp.map(since) };
        Some(Answer::Active(Principal::new(holder, Some(token))))
    }
}

/// How long an answer is kept.
struct Lifespan {
    cache_for: Duration,
}

const INACTIVE_FOR: Duration = Duration::from_secs(1);

impl Expiry<[u8; 32], Answer> for Lifespan {
    fn expire_after_create(&self, _: &[u8; 32], answer: &Answer, _: Instant) -> Option<Duration> {
        let kept = match answer {
            Answer::Inactive => INACTIVE_FOR,
            Answer::Active(_) => self.cache_for,
        };
        Some(kept.min(self.cache_for))
    }
}

fn has_ended(principal: &Principal) -> bool {
    let end = principal.token().and_then(|token| token.expires_at);
    #[expect(clippy::disallowed_methods, reason = "a service elsewhere has the machine's clock and no other")]
    end.is_some_and(|end| SystemTime::now() >= end)
}

impl fmt::Debug for RemoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteVerifier").field("introspect", &self.0.introspect).finish_non_exhaustive()
    }
}

impl fmt::Debug for RemoteVerifierBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteVerifierBuilder").field("url", &self.url).finish_non_exhaustive()
    }
}
