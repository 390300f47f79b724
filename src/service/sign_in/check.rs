//! The check of one password: throttle and hash comparison.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    LoginChannel, SignIn, SignInError, directory::DirectoryLogin, principal_of_person, records::log_unavailable,
};
use crate::{
    domain::{
        authority::{PasswordHash, VerifiedCredential},
        event::{Action, RequestContext},
        password::Password,
        person::EmailKey,
        source::DeviceValue,
    },
    service::{
        Login,
        completion::run_to_completion,
        login_throttle::{LoginAttempt, ThrottleError},
    },
    store::PersonWithHash,
};
use tokenward_guard::{AuthError, DenialReason};

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
    ) -> Result<Login, SignInError> {
        let deadline = Instant::now() + self.directory.time_limit;
        // Passwords that no account can have are rejected first. This costs nothing and reveals
        // nothing about any account.
        let candidates = [Some(password), channel.alternative_password()].into_iter().flatten();
        let passwords: Vec<Password> = candidates.filter_map(Password::parse_untrusted).collect();
        if passwords.is_empty() {
            return Err(AuthError::Denied(DenialReason::Malformed).into());
        }
        let key = EmailKey::from_text(email);
        let (found, attempt) = self.begin_attempt(&key, channel.device(), request).await?;
        if let Some(route) = self.directory_route(email, found.as_ref(), channel) {
            let login = DirectoryLogin { route: &route, name: email, password, channel, request, deadline };
            // The future is large, and most sign-ins do not need it.
            return Box::pin(self.check_directory_password(&login, attempt)).await;
        }
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
            (None, _) => self.reason_of_unknown_name(email, channel),
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
    ) -> Login {
        let creates_event = !matches!(channel, LoginChannel::Page { .. });
        let (sign_in, account, password, context) = (self.clone(), found.clone(), password.clone(), request.clone());
        // In its own task, because these are transactions, also of a GET request.
        let rehashed = run_to_completion(async move {
            sources.await;
            sign_in.record_sign_in(&account, creates_event, &context).await;
            sign_in.rehash(&account, &password).await
        });
        let rehashed = rehashed.await.flatten();
        Login {
            principal: principal_of_person(found.person.clone()),
            must_change_password: found.person.force_password_change,
            // The password matched, so there is a hash. An empty one matches no stored hash.
            credential: VerifiedCredential::Password(PasswordHash(
                rehashed.or_else(|| found.password_hash.clone()).unwrap_or_default(),
            )),
            provider_session_id: None,
            authenticated_at: None,
        }
    }
}
