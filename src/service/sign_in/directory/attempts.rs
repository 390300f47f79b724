//! Counts of wrong passwords, so that no attempt here locks an account in the directory.

use super::{DirectoryLogin, DirectoryRoute, SignIn, SignInError, name_key};
use crate::{
    domain::{
        causes::Causes,
        directory::DirectoryPerson,
        directory_attempts::{AttemptDigest, AttemptPlace, LOCKED_OUT_SECONDS, WINDOW_SECONDS},
        event::Action,
    },
    service::sign_in::records::log_unavailable,
    store::{self, FoundIdentity},
};
use tokenward_guard::DenialReason;

/// An attempt that was counted before its password goes to the directory.
pub(super) struct CountedAttempt {
    digest: AttemptDigest,
    /// The counters of all places.
    all: [AttemptDigest; 2],
}

impl SignIn {
    /// Counts an attempt for the entry that was found, whatever its name was spelled like.
    ///
    /// # Errors
    /// [`SignInError::Throttled`] if the directory must not be asked any more.
    pub(super) async fn count_attempt(
        &self,
        login: &DirectoryLogin<'_>,
        entry: &DirectoryPerson,
        found: Option<&FoundIdentity>,
    ) -> Result<CountedAttempt, SignInError> {
        let is_known = match found {
            Some(found) => {
                let known = self.throttle.is_known_source(found.person.id, login.request, login.channel.device()).await;
                known.map_err(|error| log_unavailable(&error))?
            }
            None => false,
        };
        let place = if is_known { AttemptPlace::Known } else { AttemptPlace::Unknown };
        let provider = login.route.provider();
        let digest_of = |place| AttemptDigest::of_entry(provider.name(), &entry.subject, place);
        let digest = digest_of(place);
        self.count(login, &digest, place.limit(provider.lockout_guard), found).await?;
        Ok(CountedAttempt { digest, all: AttemptPlace::ALL.map(digest_of) })
    }

    /// Counts an attempt for a name without an entry, with the same limit, so that the limit does not
    /// tell which names exist.
    ///
    /// # Errors
    /// [`SignInError::Throttled`] after too many attempts.
    pub(super) async fn count_unknown_name(&self, login: &DirectoryLogin<'_>) -> Result<(), SignInError> {
        let provider = login.route.provider();
        let name = match login.route {
            DirectoryRoute::Search { login, .. } => login,
            DirectoryRoute::Linked { .. } => login.name,
        };
        let name = format!("name:{}", name_key(name));
        let place = AttemptPlace::Unknown;
        let digest = AttemptDigest::of_entry(provider.name(), &name, place);
        self.count(login, &digest, place.limit(provider.lockout_guard), None).await
    }

    async fn count(
        &self,
        login: &DirectoryLogin<'_>,
        digest: &AttemptDigest,
        limit: u32,
        found: Option<&FoundIdentity>,
    ) -> Result<(), SignInError> {
        let now = self.clock.now();
        let window_ends_at = now.plus_seconds(WINDOW_SECONDS);
        let counted = self.store.count_directory_attempt(digest, limit, now, window_ends_at).await;
        let (attempts, window_ends_at) = counted.map_err(|error| log_unavailable(&error))?;
        if attempts <= limit {
            return Ok(());
        }
        let millis = window_ends_at.as_millis() - now.as_millis();
        let seconds = u64::try_from(millis).unwrap_or(0).div_ceil(1_000).max(1);
        let person = found.map(|found| &found.person);
        self.record_denied(Action::LoginThrottled, person, DenialReason::Throttled, login.request);
        self.throttle.tarpit().await;
        Err(SignInError::Throttled { seconds })
    }

    /// Forgets the attempts from the place of a correct password.
    pub(super) async fn reset_attempts(&self, counted: &CountedAttempt) {
        log_error(self.store.reset_directory_attempts(&counted.digest).await);
    }

    /// Takes an attempt back that the directory did not judge.
    pub(super) async fn refund_attempt(&self, counted: &CountedAttempt) {
        log_error(self.store.refund_directory_attempt(&counted.digest).await);
    }

    /// Rejects attempts from all places for a while, because the directory has locked the account.
    pub(super) async fn block_attempts(&self, counted: &CountedAttempt) {
        let until = self.clock.now().plus_seconds(LOCKED_OUT_SECONDS);
        for digest in &counted.all {
            log_error(self.store.block_directory_attempts(digest, until).await);
        }
    }
}

fn log_error(result: store::Result<()>) {
    if let Err(error) = result {
        tracing::warn!(error = %Causes(&error), "failed to update the attempts at a directory");
    }
}
