//! Sign-in by e-mail address and password, and through identity providers.

mod channel;
mod check;
mod directory;
mod external_account;
mod openid_connect;
mod provider;
mod records;
mod rehash;
mod saml;

use crate::{
    domain::{
        event::RequestContext,
        person::{EmailKey, Person},
        random::Random,
        source::DeviceValue,
        time::Clock,
    },
    service::{
        Login, denied_attempts::DeniedAttemptLog, login_throttle::LoginThrottle, password::Hasher,
        sign_in_counters::SignInCounters,
    },
    store::Store,
};
use tokenward_guard::{AuthError, DenialReason, Identity, Principal};

pub use channel::LoginChannel;
pub use directory::DirectorySignIn;
pub use provider::{
    BegunSignIn, BrowserState, Callback, CompletedSignIn, FailedSignIn, LinkRefusal, ProviderSignIn,
    ProviderSignInError,
};

/// The entry point of sign-ins.
#[derive(Clone)]
pub struct SignIn {
    store: Store,
    clock: Clock,
    random: Random,
    hasher: Hasher,
    throttle: LoginThrottle,
    denied_attempts: DeniedAttemptLog,
    directory: DirectorySignIn,
    provider: ProviderSignIn,
    counters: SignInCounters,
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
    /// The directory of the account did not respond, so the password was not checked.
    #[error("the directory did not respond; retry")]
    DirectoryUnavailable,
    /// The password is correct, but the directory wants a new one first.
    #[error("the password has expired; change it where you sign in to your computer")]
    DirectoryPasswordExpired,
}

impl SignInError {
    /// Returns the name of the error in the metrics.
    const fn label(&self) -> &'static str {
        match self {
            Self::Throttled { .. } | Self::Denied(AuthError::Denied(DenialReason::Throttled)) => "throttled",
            Self::Denied(AuthError::Denied(DenialReason::UnknownEmail)) => "unknown_email",
            Self::Denied(AuthError::Denied(DenialReason::WrongPassword)) => "wrong_password",
            Self::Denied(AuthError::Denied(DenialReason::PersonDisabled)) => "disabled",
            Self::Denied(AuthError::Denied(DenialReason::DomainNotAccepted)) => "domain_not_accepted",
            Self::Denied(AuthError::Denied(DenialReason::NotInAllowedGroup)) => "not_in_group",
            Self::Denied(AuthError::Denied(
                DenialReason::NotInDirectory
                | DenialReason::AmbiguousName
                | DenialReason::NoAccount
                | DenialReason::NoEmailAddress
                | DenialReason::EmailTaken
                | DenialReason::LocalPassword,
            )) => "no_account",
            Self::Denied(AuthError::Denied(DenialReason::AccountExpired)) => "account_expired",
            Self::Denied(AuthError::Denied(DenialReason::LockedInDirectory)) => "locked",
            Self::Denied(AuthError::Unavailable) | Self::DirectoryUnavailable => "unavailable",
            Self::DirectoryPasswordExpired => "password_expired",
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
        (directory, provider): (DirectorySignIn, ProviderSignIn),
        max_failures_per_address: u32,
    ) -> Self {
        let throttle = LoginThrottle::new(store.clone(), clock.clone(), max_failures_per_address);
        let counters = SignInCounters::default();
        Self { store, denied_attempts, clock, random, hasher, throttle, directory, provider, counters }
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

    /// Returns whether the passwords of directories are accepted through a channel.
    #[must_use]
    pub fn asks_directories(&self, channel: LoginChannel<'_>) -> bool {
        !self.directory.directories.is_empty() && channel.accepts_directories()
    }

    /// Returns the throttle, for the other entry points of clients without a credential.
    pub(super) fn throttle(&self) -> LoginThrottle {
        self.throttle.clone()
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
    ) -> Result<Login, SignInError> {
        let result = self.check_password(email, password, channel, request).await;
        self.counters.record(channel.entry_point(), result.as_ref().map_or_else(SignInError::label, |_| "success"));
        result
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
