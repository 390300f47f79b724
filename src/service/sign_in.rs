//! Sign-in by e-mail address and password.

use std::time::Duration;

use crate::{
    domain::{
        authority::PasswordHash,
        causes::Causes,
        event::{Action, RequestContext},
        id::WorkspaceId,
        password::Password,
        person::{EmailKey, Person},
        random::Random,
        source::DeviceValue,
        time::Clock,
    },
    service::{
        PasswordLogin,
        actor::audit_context,
        completion::run_to_completion,
        denied_attempts::{DeniedAttempt, DeniedAttemptLog},
        login_throttle::{LoginAttempt, LoginThrottle, ThrottleError},
        password::Hasher,
        sign_in_counters::SignInCounters,
    },
    store::{self, PersonWithHash, Store},
};
use tokenward_guard::{AuthError, DenialReason, Identity, Principal};

/// The resolution of `lastLoginTime` in seconds. A script that sends its password with each request
/// writes once per interval.
const LAST_LOGIN_INTERVAL_SECONDS: i64 = 60;

/// The delay of the response when the hashing queue is full. Clients that get the response
/// immediately retry immediately, and a flood of retries takes processor time from auth checks.
const BUSY_RESPONSE_DELAY: Duration = Duration::from_secs(1);

/// The entry point for passwords.
#[derive(Clone)]
pub struct SignIn {
    store: Store,
    clock: Clock,
    random: Random,
    hasher: Hasher,
    throttle: LoginThrottle,
    denied_attempts: DeniedAttemptLog,
    counters: SignInCounters,
}

/// The channel through which a password was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginChannel<'a> {
    /// An API request. An event records the login.
    Request,
    /// A request of an OAuth 2.0 client, which may have form-encoded its password (RFC 6749,
    /// section 2.3.1).
    OAuthClient {
        /// The other decoding of the password, checked if the first does not match. Both count as
        /// one attempt.
        alternative: Option<&'a str>,
    },
    /// A page, which records its own events.
    Page {
        /// The value of the browser's long-lived cookie.
        device: Option<&'a DeviceValue>,
    },
}

impl<'a> LoginChannel<'a> {
    fn alternative_password(self) -> Option<&'a str> {
        if let Self::OAuthClient { alternative } = self { alternative } else { None }
    }

    /// Returns the name of the channel in the metrics.
    const fn entry_point(self) -> &'static str {
        match self {
            Self::Request => "api",
            Self::OAuthClient { .. } => "oauth2",
            Self::Page { .. } => "page",
        }
    }

    fn device(self) -> Option<&'a DeviceValue> {
        if let Self::Page { device } = self { device } else { None }
    }
}

/// The error of a failed sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    #[error(transparent)]
    Denied(#[from] AuthError),
    /// Too many failed logins came before, from this address or for this e-mail address, which may
    /// have no account. The password was not checked.
    #[error("too many failed logins; retry in {seconds} s")]
    Throttled { seconds: u64 },
}

impl SignInError {
    /// Returns the name of the error in the metrics.
    const fn label(&self) -> &'static str {
        match self {
            Self::Throttled { .. } | Self::Denied(AuthError::Denied(DenialReason::Throttled)) => "throttled",
            Self::Denied(AuthError::Denied(DenialReason::UnknownEmail)) => "unknown_email",
            Self::Denied(AuthError::Denied(DenialReason::WrongPassword)) => "wrong_password",
            Self::Denied(AuthError::Denied(DenialReason::PersonDisabled)) => "disabled",
            Self::Denied(AuthError::Unavailable) => "unavailable",
            Self::Denied(_) => "malformed",
        }
    }
}

impl SignIn {
    /// Creates the entry point. `max_failures_per_address` failed logins at once are allowed per
    /// client address; 0 disables this limit.
    #[must_use]
    pub fn new(
        store: Store,
        denied_attempts: DeniedAttemptLog,
        (clock, random): (Clock, Random),
        hasher: Hasher,
        max_failures_per_address: u32,
    ) -> Self {
        let throttle = LoginThrottle::new(store.clone(), clock.clone(), max_failures_per_address);
        Self { store, denied_attempts, clock, random, hasher, throttle, counters: SignInCounters::default() }
    }

    /// Generates the value of the long-lived device cookie.
    #[must_use]
    pub fn generate_device_value(&self) -> DeviceValue {
        DeviceValue::generate(&self.random)
    }

    /// Returns the number of passwords hashed since the start, and the number of queued or running
    /// hashes.
    #[must_use]
    pub fn hasher_counts(&self) -> (u64, usize) {
        self.hasher.counts()
    }

    /// Returns the counters of sign-ins.
    #[must_use]
    pub fn counters(&self) -> &SignInCounters {
        &self.counters
    }

    /// Returns how many sign-ins exceeded the limit per address since the start.
    #[must_use]
    pub fn rate_limit_rejections(&self) -> (&'static str, u64) {
        ("failed_logins_per_ip", self.throttle.address_rejections())
    }

    /// Prevents new hashes until the guard is dropped. For tests.
    #[doc(hidden)]
    pub async fn pause_hashing(&self) -> impl Drop + use<> {
        self.hasher.pause().await
    }

    /// Frees the unused memory of the hasher if nothing was hashed since the last call.
    pub fn release_idle_buffers(&self) {
        self.hasher.release_idle_buffers();
    }

    /// Authenticates a person by password. Unknown e-mail, wrong password and disabled account take
    /// the same time and differ only in the logged reason.
    ///
    /// # Errors
    /// [`AuthError::Denied`] if the login is rejected, [`AuthError::Unavailable`] if the database
    /// or the hasher is not available, [`SignInError::Throttled`] if too many logins failed before.
    pub async fn authenticate(
        &self,
        email: &str,
        password: &str,
        channel: LoginChannel<'_>,
        request: &RequestContext,
    ) -> Result<PasswordLogin, SignInError> {
        let result = self.check_password(email, password, channel, request).await;
        self.counters.record(channel.entry_point(), result.as_ref().map_or_else(SignInError::label, |_| "success"));
        result
    }

    async fn check_password(
        &self,
        email: &str,
        password: &str,
        channel: LoginChannel<'_>,
        request: &RequestContext,
    ) -> Result<PasswordLogin, SignInError> {
        // Passwords that no account can have are rejected first. This costs nothing and reveals
        // nothing about any account.
        let candidates = [Some(password), channel.alternative_password()].into_iter().flatten();
        let passwords: Vec<Password> = candidates.filter_map(Password::parse_untrusted).collect();
        if passwords.is_empty() {
            return Err(AuthError::Denied(DenialReason::Malformed).into());
        }
        let key = EmailKey::from_text(email);
        let (found, attempt) = self.begin_attempt(&key, channel.device(), request).await?;
        // The permit is reserved after the throttle check, so that rejected attempts do not keep
        // others from being hashed.
        let Ok(permit) = self.hasher.reserve() else {
            attempt.cancel();
            tokio::time::sleep(BUSY_RESPONSE_DELAY).await;
            return Err(AuthError::Unavailable.into());
        };
        let stored = found.as_ref().map(|found| found.password_hash.as_str());
        let Ok(matched) = self.hasher.verify_any(&passwords, stored, permit).await else {
            attempt.cancel();
            return Err(AuthError::Unavailable.into());
        };
        let reason = match (&found, matched) {
            (None, _) => DenialReason::UnknownEmail,
            (Some(_), None) => DenialReason::WrongPassword,
            (Some(found), Some(_)) if found.person.is_disabled => DenialReason::PersonDisabled,
            (Some(found), Some(matched)) => {
                let sources = attempt.record_success();
                return Ok(self.finish_sign_in(found, &passwords[matched], channel, request, sources).await);
            }
        };
        // All three reasons count as failures: the counter must not reveal which one applied.
        attempt.record_failure().await.map_err(|error| log_unavailable(&error))?;
        self.record_denied(Action::LoginFailed, found.as_ref().map(|found| &found.person), reason, request);
        Err(AuthError::Denied(reason).into())
    }

    /// Finds the account and checks the attempt against the throttle.
    async fn begin_attempt(
        &self,
        key: &EmailKey,
        device: Option<&DeviceValue>,
        request: &RequestContext,
    ) -> Result<(Option<PersonWithHash>, LoginAttempt<'_>), SignInError> {
        // Every account address contains an @. Without one there is nothing to guess and nothing to
        // count.
        let email_digest = key.as_str().contains('@').then(|| key.digest());
        let queued = match self.throttle.begin(email_digest, request) {
            Ok(queued) => queued.wait_in_queue().await,
            Err(seconds) => {
                self.record_denied(Action::LoginThrottled, None, DenialReason::Throttled, request);
                self.throttle.tarpit().await;
                return Err(SignInError::Throttled { seconds });
            }
        };
        let found = match self.store.find_person_by_email(key).await {
            Ok(found) => found,
            Err(error) => {
                queued.cancel();
                return Err(log_unavailable(&error).into());
            }
        };
        match queued.check(found.as_ref().map(|found| found.person.id), request, device).await {
            Ok(attempt) => Ok((found, attempt)),
            Err(ThrottleError::Unavailable(error)) => Err(log_unavailable(&error).into()),
            Err(ThrottleError::RetryAfter(seconds)) => {
                let person = found.as_ref().map(|found| &found.person);
                self.record_denied(Action::LoginThrottled, person, DenialReason::Throttled, request);
                // Shared addresses have no limit of their own.
                if request.is_client_ip_shared {
                    self.throttle.tarpit().await;
                }
                Err(SignInError::Throttled { seconds })
            }
        }
    }

    /// Records the login and updates an outdated hash.
    async fn finish_sign_in(
        &self,
        found: &PersonWithHash,
        password: &Password,
        channel: LoginChannel<'_>,
        request: &RequestContext,
        sources: impl Future<Output = ()> + Send + 'static,
    ) -> PasswordLogin {
        let creates_event = !matches!(channel, LoginChannel::Page { .. });
        let (sign_in, account, password, context) = (self.clone(), found.clone(), password.clone(), request.clone());
        // In its own task, because these are transactions, also of a GET request.
        let rehashed = run_to_completion(async move {
            sources.await;
            sign_in.record_sign_in(&account, creates_event, &context).await;
            sign_in.rehash(&account, &password).await
        });
        let rehashed = rehashed.await.flatten();
        PasswordLogin {
            principal: principal_of_person(found.person.clone()),
            must_change_password: found.person.force_password_change,
            password_hash: PasswordHash(rehashed.unwrap_or_else(|| found.password_hash.clone())),
        }
    }

    /// Returns the longest delay in seconds of the next sign-in of a person, from any address or
    /// from a known source of the account, or `None` without a delay.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::service::Error::Unavailable) if the database is unreachable or
    /// too slow.
    pub async fn retry_after(&self, person: &Person) -> crate::service::Result<Option<u64>> {
        Ok(self.throttle.retry_after(&EmailKey::from_text(&person.email).digest(), person.id).await?)
    }

    /// Purges login failures older than a day, and old sign-in sources. Returns the number of
    /// e-mail addresses whose counter was deleted.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::service::Error::Unavailable) if the database is unreachable or
    /// too slow.
    pub async fn purge_login_failures(&self) -> crate::service::Result<u64> {
        Ok(self.throttle.purge().await?)
    }

    /// Records and logs a rejected login. An e-mail address without an account appears in neither,
    /// because people type passwords into that field.
    fn record_denied(&self, action: Action, person: Option<&Person>, reason: DenialReason, request: &RequestContext) {
        tracing::info!(
            person.id = person.map(|person| person.id.get()),
            client.address = request.client_ip.map(tracing::field::display),
            cause = %reason,
            "denied a sign-in"
        );
        let attempt = DeniedAttempt {
            workspace_id: person.map_or(WorkspaceId::FIRST, |person| person.workspace_id),
            action,
            person_id: person.map(|person| person.id),
            target: person.map(|person| person.id.to_string()).unwrap_or_default(),
            label: person.map_or_else(|| "unknown account".to_owned(), |person| person.email.clone()),
            reason: reason.to_string(),
            address: request.client_ip,
        };
        self.denied_attempts.record(attempt, request.clone());
    }

    /// Records the login. Errors are logged only.
    async fn record_sign_in(&self, found: &PersonWithHash, creates_event: bool, request: &RequestContext) {
        let now = self.clock.now();
        let context = audit_context(&principal_of_person(found.person.clone()), now, request);
        let not_before = now.plus_seconds(-LAST_LOGIN_INTERVAL_SECONDS);
        if let Err(error) = self.store.record_sign_in(&found.person, &context, not_before, creates_event).await {
            tracing::warn!(
                person.id = found.person.id.get(),
                error = %Causes(&error),
                "failed to record a login"
            );
        }
    }

    /// Hashes the password again if the hashing parameters have changed. Returns the stored hash if
    /// it differs from the one that was found. Errors are logged only.
    async fn rehash(&self, found: &PersonWithHash, password: &Password) -> Option<String> {
        if !self.hasher.needs_rehash(&found.password_hash) {
            return None;
        }
        let id = found.person.id;
        let new = self.hasher.hash(password).await.ok()?;
        match self.store.replace_password_hash(id, &found.password_hash, &new).await {
            Ok(true) => Some(new),
            Ok(false) => self.concurrent_rehash(&found.person, password).await,
            Err(error) => {
                tracing::warn!(
                    person.id = id.get(),
                    error = %Causes(&error),
                    "failed to rehash a password"
                );
                None
            }
        }
    }

    /// Returns the hash that a concurrent login stored, if the password matches it.
    async fn concurrent_rehash(&self, person: &Person, password: &Password) -> Option<String> {
        let current = self.store.find_person_by_email(&EmailKey::from_text(&person.email)).await.ok()??;
        let current = Some(current).filter(|current| current.person.id == person.id)?.password_hash;
        let permit = self.hasher.reserve().ok()?;
        let matches = self.hasher.verify(password, Some(&current), permit).await.ok()?;
        matches.then_some(current)
    }
}

/// Logs a database error as [`AuthError::Unavailable`].
fn log_unavailable(error: &store::Error) -> AuthError {
    tracing::warn!(error = %Causes(error), "failed to check a login");
    AuthError::Unavailable
}

/// Returns the principal of a person without a token.
pub(super) fn principal_of_person(person: Person) -> Principal {
    let is_platform_admin = person.can_manage_workspaces();
    let mut identity = Identity::new(person.id.get(), person.workspace_id.get(), person.email);
    identity.name = person.name;
    identity.is_admin = person.is_admin;
    identity.is_platform_admin = is_platform_admin;
    Principal::new(identity, None)
}
