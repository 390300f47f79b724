//! The check of one password: throttle, hash comparison, and the record of the outcome.

use std::time::Duration;

use super::{LoginChannel, SignIn, SignInError, principal_of_person};
use crate::{
    domain::{
        authority::PasswordHash,
        causes::Causes,
        event::{Action, RequestContext},
        id::WorkspaceId,
        password::Password,
        person::{EmailKey, Person},
        source::DeviceValue,
    },
    service::{
        PasswordLogin,
        actor::audit_context,
        completion::run_to_completion,
        denied_attempts::DeniedAttempt,
        login_throttle::{LoginAttempt, ThrottleError},
    },
    store::{self, PersonWithHash},
};
use tokenward_guard::{AuthError, DenialReason};

/// The resolution of `lastLoginTime` in seconds. A script that sends its password with each request
/// writes once per interval.
const LAST_LOGIN_INTERVAL_SECONDS: i64 = 60;

/// The delay of the response when the hashing queue is full. Clients that get the response
/// immediately retry immediately, and a flood of retries takes processor time from auth checks.
const BUSY_RESPONSE_DELAY: Duration = Duration::from_secs(1);
impl SignIn {
    pub(super) async fn check_password(
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
        // Without a password, the decoy hash is verified.
        let stored = found.as_ref().and_then(|found| found.password_hash.as_deref());
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
            // The password matched, so there is a hash. An empty one matches no stored hash.
            password_hash: PasswordHash(rehashed.or_else(|| found.password_hash.clone()).unwrap_or_default()),
        }
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
}

/// Logs a database error as [`AuthError::Unavailable`].
fn log_unavailable(error: &store::Error) -> AuthError {
    tracing::warn!(error = %Causes(error), "failed to check a login");
    AuthError::Unavailable
}
