//! Sign-in with the password of a directory.
//!
//! The order matters: a local account is never looked up in a directory, a directory is asked about a
//! password only after the attempt was counted, and an account is found by the directory's identifier,
//! never by its e-mail address.

mod account;
mod attempts;
mod route;

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};

use super::{LoginChannel, SignIn, SignInError, records::log_unavailable};
use crate::{
    cluster::Node,
    directory::{DirectoryError, Lookup},
    domain::{
        causes::Causes,
        directory::{DirectoryDenial, DirectoryPerson, EntryState},
        event::{Action, RequestContext},
        external_identity::DIRECTORY_ISSUER,
        person::EmailKey,
    },
    service::{
        Directories, Login, completion::run_to_completion, directories::DirectoryProvider, login_throttle::LoginAttempt,
    },
    store::FoundIdentity,
};
use attempts::CountedAttempt;
pub(super) use route::DirectoryRoute;
use tokenward_guard::{
    AuthError, DenialReason,
    token_format::{Prefix, TokenFormat},
};
use zeroize::Zeroizing;

/// The parts of a sign-in through a directory, besides those of every sign-in.
#[derive(Clone)]
pub struct DirectorySignIn {
    pub directories: Directories,
    pub node: Node,
    pub token_format: TokenFormat,
    /// The time for all questions of one sign-in. It is shorter than the time limit of a request, so
    /// that a directory that does not respond has a response of its own.
    pub time_limit: Duration,
}

/// The parts of one attempt.
pub(super) struct DirectoryLogin<'a> {
    pub(super) route: &'a DirectoryRoute,
    pub(super) name: &'a str,
    pub(super) password: &'a str,
    pub(super) channel: LoginChannel<'a>,
    pub(super) request: &'a RequestContext,
    /// The end of [`DirectorySignIn::time_limit`].
    pub(super) deadline: Instant,
}

impl SignIn {
    /// Authenticates by the password of a directory.
    pub(super) async fn check_directory_password(
        &self,
        login: &DirectoryLogin<'_>,
        attempt: LoginAttempt<'_>,
    ) -> Result<Login, SignInError> {
        // Tokens sent as passwords would lock the account in the directory.
        if is_token_shaped(&self.directory.token_format, login.password) {
            self.spend_hash_time(login.password).await;
            return Err(self.deny(login, None, DenialReason::Malformed));
        }
        let provider = login.route.provider();
        // A directory that is slow must not delay local accounts. Its attempts are counted instead.
        let attempt = attempt.leave_queue();
        let entry = match self.find_entry(login).await {
            Ok(entry) => entry,
            Err(error) => {
                attempt.cancel();
                return Err(error);
            }
        };
        let entry = match entry {
            Ok(entry) => entry,
            Err(reason) => {
                self.count_unknown_name(login).await?;
                self.spend_hash_time(login.password).await;
                return Err(self.deny(login, None, reason));
            }
        };
        let found = self.store.find_identity(provider.name(), DIRECTORY_ISSUER, &entry.subject).await;
        let found = found.map_err(|error| log_unavailable(&error))?;
        if found.as_ref().is_some_and(|found| found.person.has_password) {
            self.count_attempt(login, &entry, found.as_ref()).await?;
            self.spend_hash_time(login.password).await;
            return Err(self.deny(login, found.as_ref(), DenialReason::WrongPassword));
        }
        let counted = self.count_attempt(login, &entry, found.as_ref()).await?;
        let password = Zeroizing::new(login.password.to_owned());
        let asked = run_to_completion(self.clone().ask_directory(provider.clone(), entry.clone(), password, counted));
        let limit = self.directory.time_limit;
        let asked = async { asked.await.unwrap_or(Err(DirectoryError::Timeout { limit })) };
        let (checked, ()) = tokio::join!(self.in_time(login, asked), self.spend_hash_time(login.password));
        match checked {
            Ok(Ok(())) => {
                attempt.cancel();
                self.admit(login, &entry, found).await
            }
            Ok(Err(denial)) => {
                // slapd reports an account that an administrator has locked like one that wrong passwords
                // have locked.
                let is_disabled = denial == DirectoryDenial::LockedOut && entry.state == EntryState::Disabled;
                let denial = if is_disabled { DirectoryDenial::Disabled } else { denial };
                Err(self.deny_password(login, found.as_ref(), denial).await)
            }
            Err(error) => {
                attempt.cancel();
                Err(directory_unavailable(provider, &error))
            }
        }
    }

    /// Waits for a directory until the deadline of the sign-in.
    async fn in_time<T>(
        &self,
        login: &DirectoryLogin<'_>,
        question: impl Future<Output = Result<T, DirectoryError>>,
    ) -> Result<T, DirectoryError> {
        let timed_out = |_| Err(DirectoryError::Timeout { limit: self.directory.time_limit });
        timeout_at(login.deadline, question).await.unwrap_or_else(timed_out)
    }

    /// Asks the directory about a counted attempt, and settles the count. This runs to completion even
    /// if the client disconnects: the directory counts the password all the same, and an attempt that
    /// it did not judge must not count.
    async fn ask_directory(
        self,
        provider: Arc<DirectoryProvider>,
        entry: DirectoryPerson,
        password: Zeroizing<String>,
        counted: CountedAttempt,
    ) -> Result<Result<(), DirectoryDenial>, DirectoryError> {
        let checked = provider.directory.check_password(&entry, &password).await;
        match &checked {
            Ok(Ok(())) => self.reset_attempts(&counted).await,
            Ok(Err(DirectoryDenial::LockedOut)) => self.block_attempts(&counted).await,
            Ok(Err(_)) => {}
            // The directory may have counted this password.
            Err(DirectoryError::NoVerdict(_)) => {}
            Err(_) => self.refund_attempt(&counted).await,
        }
        checked
    }

    /// Finds the entry of the linked person or of the typed name, or the reason why there is none. Two
    /// entries are as good as none.
    async fn find_entry(
        &self,
        login: &DirectoryLogin<'_>,
    ) -> Result<Result<DirectoryPerson, DenialReason>, SignInError> {
        let unavailable = |error: DirectoryError| directory_unavailable(login.route.provider(), &error);
        match login.route {
            DirectoryRoute::Linked { provider, person } => {
                let identities = self.store.list_identities_of(person.id).await;
                let identities = identities.map_err(|error| log_unavailable(&error))?;
                let identity = identities.into_iter().find(|identity| identity.provider == provider.name());
                let Some(identity) = identity else { return Ok(Err(DenialReason::NotInDirectory)) };
                let found = self.in_time(login, provider.directory.find_by_subject(&identity.subject)).await;
                Ok(found.map_err(unavailable)?.ok_or(DenialReason::NotInDirectory))
            }
            DirectoryRoute::Search { provider, login: name } => {
                let found = self.in_time(login, provider.directory.find_by_login(name)).await;
                match found.map_err(unavailable)? {
                    Lookup::One(entry) => Ok(Ok(entry)),
                    Lookup::None => Ok(Err(DenialReason::UnknownEmail)),
                    Lookup::Several => {
                        tracing::warn!(
                            provider = provider.name(),
                            "rejected a sign-in: several entries of the directory have this name"
                        );
                        Ok(Err(DenialReason::AmbiguousName))
                    }
                }
            }
        }
    }

    /// Takes as long as the check of a local password, so that the time does not tell which accounts
    /// are local.
    async fn spend_hash_time(&self, password: &str) {
        let Some(password) = crate::domain::password::Password::parse_untrusted(password) else { return };
        if let Ok(permit) = self.hasher.reserve() {
            let _ = self.hasher.verify(&password, None, permit).await;
        }
    }

    /// Records a rejected password and returns its error.
    async fn deny_password(
        &self,
        login: &DirectoryLogin<'_>,
        found: Option<&FoundIdentity>,
        denial: DirectoryDenial,
    ) -> SignInError {
        tracing::info!(
            provider = login.route.provider().name(),
            cause = denial_name(denial),
            "a directory denied a sign-in"
        );
        let reason = match denial {
            DirectoryDenial::WrongPassword => DenialReason::WrongPassword,
            DirectoryDenial::PasswordExpired => DenialReason::PasswordExpired,
            DirectoryDenial::Unknown => DenialReason::NotInDirectory,
            DirectoryDenial::Disabled => DenialReason::PersonDisabled,
            DirectoryDenial::AccountExpired => DenialReason::AccountExpired,
            DirectoryDenial::LockedOut => DenialReason::LockedInDirectory,
        };
        // The directory has disabled the entry. Its tokens end now, not with the next sync.
        if let (DirectoryDenial::Disabled | DirectoryDenial::AccountExpired, Some(found)) = (denial, found) {
            self.disable_by_directory(login, found, denial_name(denial)).await;
        }
        let error = self.deny(login, found, reason);
        if denial == DirectoryDenial::PasswordExpired { SignInError::DirectoryPasswordExpired } else { error }
    }

    /// Records and logs a rejected sign-in and returns its error.
    fn deny(&self, login: &DirectoryLogin<'_>, found: Option<&FoundIdentity>, reason: DenialReason) -> SignInError {
        let person = match (found, login.route) {
            (Some(found), _) => Some(&found.person),
            (None, DirectoryRoute::Linked { person, .. }) => Some(person),
            (None, DirectoryRoute::Search { .. }) => None,
        };
        self.record_denied(Action::LoginFailed, person, reason, login.request);
        AuthError::Denied(reason).into()
    }
}

/// Returns the name of a denial in logs and events.
const fn denial_name(denial: DirectoryDenial) -> &'static str {
    match denial {
        DirectoryDenial::WrongPassword => "wrong_password",
        DirectoryDenial::Unknown => "unknown",
        DirectoryDenial::Disabled => "disabled",
        DirectoryDenial::PasswordExpired => "password_expired",
        DirectoryDenial::AccountExpired => "account_expired",
        DirectoryDenial::LockedOut => "locked_out",
    }
}

/// Returns whether a password looks like a token value, complete or not.
fn is_token_shaped(format: &TokenFormat, password: &str) -> bool {
    const MIN_CHARS: usize = 32;
    let password = password.trim();
    let has_prefix = |prefix: &Prefix| password.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.starts_with('_'));
    password.len() >= MIN_CHARS && format.prefixes().any(has_prefix)
}

/// Logs an error of a directory. It is never the answer to a password.
fn directory_unavailable(provider: &DirectoryProvider, error: &DirectoryError) -> SignInError {
    tracing::warn!(provider = provider.name(), error = %Causes(error), "failed to check a password at a directory");
    SignInError::DirectoryUnavailable
}

/// Returns the key that all spellings of a typed name share.
fn name_key(name: &str) -> String {
    EmailKey::from_text(name).as_str().to_owned()
}
