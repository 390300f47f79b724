//! Signing in by e-mail and password.

use std::time::Duration;

use crate::{
    domain::{
        authority::PasswordHash,
        event::Action,
        password::Password,
        person::{EmailKey, Person},
        random::Random,
        source::DeviceValue,
        time::Clock,
        workspace,
    },
    service::{
        denied_attempts::{Refusals, Refused},
        login_throttle::{Closed, Throttle, Try},
        password::Hasher,
        request_context::{self, act_of},
    },
    store::{self, PersonWithHash, Store},
};
use tokenward_guard::{AuthError, DenialReason, Identity, Principal};

/// How exact `lastLoginTime` is: a script that sends its password with each request writes once in this time.
const NOTED_EVERY_SECONDS: i64 = 60;

/// How long the response is delayed where too many passwords wait to be hashed: a client that got it at once would ask again at once,
/// and a flood of those costs checks of tokens the processor.
const BUSY_FOR: Duration = Duration::from_secs(1);

/// The door that takes passwords.
#[derive(Clone)]
pub struct SignIn {
    store: Store,
    clock: Clock,
    random: Random,
    hasher: Hasher,
    throttle: Throttle,
    refusals: Refusals,
}

/// By what way a password comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via<'a> {
    /// With a request: an event tells of it.
    Request,
    /// With a request of an OAuth 2.0 client, which may have encoded its password (RFC 6749, section 2.3.1).
    OAuthClient {
        /// The other form of the password, tried where the first is wrong. Both are one try.
        other: Option<&'a str>,
    },
    /// On a page, which has events of its own.
    Page {
        /// The value of the browser's long-lived cookie.
        device: Option<&'a DeviceValue>,
    },
}

impl<'a> Via<'a> {
    fn other(self) -> Option<&'a str> {
        if let Self::OAuthClient { other } = self { other } else { None }
    }

    fn device(self) -> Option<&'a DeviceValue> {
        if let Self::Page { device } = self { device } else { None }
    }
}

/// Nobody is signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSignedIn {
    #[error(transparent)]
    Denied(#[from] AuthError),
    /// Too many wrong passwords came before, for an account or for none; how many seconds to wait. The password was not looked at.
    #[error("too many wrong passwords; the next one in {seconds} s")]
    Throttled { seconds: u64 },
}

/// Somebody who proved the password.
#[derive(Clone, Debug)]
pub struct SignedIn {
    pub principal: Principal,
    /// Nothing but changing the password is open.
    pub must_change_password: bool,
    /// Argon2id of the password that was proven: while it is the person's, the proof holds.
    pub(super) password_hash: PasswordHash,
}

impl SignIn {
    #[must_use]
    pub fn new(
        store: Store,
        refusals: Refusals,
        (clock, random): (Clock, Random),
        hasher: Hasher,
        wrong_per_address: u32,
    ) -> Self {
        let throttle = Throttle::new(store.clone(), clock.clone(), wrong_per_address);
        Self { store, refusals, clock, random, hasher, throttle }
    }

    /// Makes a value for the long-lived cookie of a browser that has none.
    #[must_use]
    pub fn new_device(&self) -> DeviceValue {
        DeviceValue::make(&self.random)
    }

    /// Returns how many passwords were hashed since the start, and how many wait to be hashed or are being hashed.
    #[must_use]
    pub fn hashing(&self) -> (u64, usize) {
        self.hasher.counts()
    }

    /// Keeps any hash from starting until the guard is dropped. For tests, which need a moment that lasts.
    #[doc(hidden)]
    pub async fn hold_hashing(&self) -> impl Drop + use<> {
        self.hasher.hold().await
    }

    /// Gives up the memory that signing in takes, unless somebody did since this was called last.
    pub fn rest(&self) {
        self.hasher.release_if_idle();
    }

    /// Signs somebody in. Unknown e-mail, wrong password and disabled account take the same time and are told apart only
    /// in the cause, for the log.
    ///
    /// # Errors
    /// [`AuthError::Denied`], [`AuthError::Unavailable`] where store or hasher could not answer, [`NotSignedIn::Throttled`].
    pub async fn by_password(&self, email: &str, password: &str, via: Via<'_>) -> Result<SignedIn, NotSignedIn> {
        // What no account can have is refused before it costs anything; that tells nothing about any account.
        let typed = [Some(password), via.other()].into_iter().flatten();
        let passwords: Vec<Password> = typed.filter_map(Password::presented).collect();
        if passwords.is_empty() {
            return Err(AuthError::Denied(DenialReason::Malformed).into());
        }
        let key = EmailKey::of(email);
        let (found, attempt) = self.admit(&key, via.device()).await?;
        // Not before: a try that is rejected unread must not keep others from being hashed.
        let Ok(place) = self.hasher.place() else {
            attempt.was_not_judged();
            tokio::time::sleep(BUSY_FOR).await;
            return Err(AuthError::Unavailable.into());
        };
        let stored = found.as_ref().map(|found| found.password_hash.as_str());
        let Ok(right) = self.hasher.verify_any(&passwords, stored, place).await else {
            attempt.was_not_judged();
            return Err(AuthError::Unavailable.into());
        };
        let refused = match (&found, right) {
            (None, _) => DenialReason::UnknownEmail,
            (Some(_), None) => DenialReason::WrongPassword,
            (Some(found), Some(_)) if found.person.is_disabled => DenialReason::PersonDisabled,
            (Some(found), Some(right)) => {
                attempt.was_right().await;
                return Ok(self.signed_in(found, &passwords[right], via).await);
            }
        };
        // Counted for all three: whether tries are counted must not tell them apart.
        attempt.was_wrong().await.map_err(unavailable)?;
        self.note_refusal(Action::PasswordRefused, found.as_ref().map(|found| &found.person), refused);
        Err(AuthError::Denied(refused).into())
    }

    /// Finds the account, and lets the password be looked at unless too many wrong ones came before.
    async fn admit(
        &self,
        key: &EmailKey,
        device: Option<&DeviceValue>,
    ) -> Result<(Option<PersonWithHash>, Try<'_>), NotSignedIn> {
        let origin = request_context::origin();
        // Each account's e-mail has an @, however it is spelled: without it there is nothing to guess, and nothing to write down.
        let counted = key.as_str().contains('@').then(|| key.digest());
        let turn = match self.throttle.enter(counted, &origin) {
            Ok(turn) => turn.queue().await,
            Err(seconds) => {
                self.note_refusal(Action::PasswordThrottled, None, DenialReason::Throttled);
                self.throttle.slow_down().await;
                return Err(NotSignedIn::Throttled { seconds });
            }
        };
        let found = match self.store.find_person_by_email(key).await {
            Ok(found) => found,
            Err(error) => {
                turn.was_not_judged();
                return Err(unavailable(error).into());
            }
        };
        match turn.judge(found.as_ref().map(|found| found.person.id), &origin, device).await {
            Ok(attempt) => Ok((found, attempt)),
            Err(Closed::Unavailable(error)) => Err(unavailable(error).into()),
            Err(Closed::Wait(seconds)) => {
                let person = found.as_ref().map(|found| &found.person);
                self.note_refusal(Action::PasswordThrottled, person, DenialReason::Throttled);
                // No budget of an address bounds these.
                if origin.is_shared {
                    self.throttle.slow_down().await;
                }
                Err(NotSignedIn::Throttled { seconds })
            }
        }
    }

    async fn signed_in(&self, found: &PersonWithHash, password: &Password, via: Via<'_>) -> SignedIn {
        self.note(found, !matches!(via, Via::Page { .. })).await;
        let rehashed = self.rehash(found, password).await;
        SignedIn {
            principal: principal(found.person.clone()),
            must_change_password: found.person.force_password_change,
            password_hash: PasswordHash(rehashed.unwrap_or_else(|| found.password_hash.clone())),
        }
    }

    /// How many seconds the next sign-in of a person must wait because of wrong passwords, if at all: wherever it comes from, or from
    /// one of the places that the account knows.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`](crate::service::Refusal::Unavailable).
    pub async fn wait(&self, person: &Person) -> crate::service::Result<Option<u64>> {
        Ok(self.throttle.wait(&EmailKey::of(&person.email).digest(), person.id).await?)
    }

    /// Forgets wrong passwords that are a day old, and where accounts signed in from long ago; answers for how many e-mails.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`](crate::service::Refusal::Unavailable).
    pub async fn forget_tries(&self) -> crate::service::Result<u64> {
        Ok(self.throttle.forget().await?)
    }

    /// Notes who was refused. An e-mail that nobody has is not written down: people type passwords there.
    fn note_refusal(&self, action: Action, person: Option<&Person>, cause: DenialReason) {
        let origin = request_context::origin();
        let refused = Refused {
            workspace_id: person.map_or(workspace::FIRST, |person| person.workspace_id),
            action,
            person_id: person.map(|person| person.id),
            target: person.map(|person| person.id.to_string()).unwrap_or_default(),
            label: person.map_or_else(|| "nobody who is known".to_owned(), |person| person.email.clone()),
            cause: cause.to_string(),
            address: origin.address,
        };
        self.refusals.note(refused, origin);
    }

    /// Writes down the sign-in. Not worth failing for.
    async fn note(&self, found: &PersonWithHash, is_told: bool) {
        let now = self.clock.now();
        let (act, not_before) = (act_of(&principal(found.person.clone()), now), now.plus_seconds(-NOTED_EVERY_SECONDS));
        if let Err(error) = self.store.note_sign_in(&found.person, &act, not_before, is_told).await {
            tracing::warn!(person.id = found.person.id, error = ?anyhow::Error::from(error), "the sign-in could not be noted");
        }
    }

    /// Hashes the password again where the cost has changed. Returns the hash that is stored now, where it is another than the one that
    /// was found. Not worth failing for.
    async fn rehash(&self, found: &PersonWithHash, password: &Password) -> Option<String> {
        if !self.hasher.is_outdated(&found.password_hash) {
            return None;
        }
        let id = found.person.id;
        let new = self.hasher.hash(password).await.ok()?;
        match self.store.replace_password_hash(id, &found.password_hash, &new).await {
            Ok(true) => Some(new),
            Ok(false) => self.hash_of_another(&found.person, password).await,
            Err(error) => {
                tracing::warn!(person.id = id, error = ?anyhow::Error::from(error), "the password could not be hashed anew");
                None
            }
        }
    }

    /// Another sign-in has hashed the password at the same moment: its hash is the one that proves it now. Where it is the hash of
    /// another password, nothing does.
    async fn hash_of_another(&self, person: &Person, password: &Password) -> Option<String> {
        let present = self.store.find_person_by_email(&EmailKey::of(&person.email)).await.ok()??;
        let present = Some(present).filter(|present| present.person.id == person.id)?.password_hash;
        let place = self.hasher.place().ok()?;
        let is_right = self.hasher.verify(password, Some(&present), place).await.ok()?;
        is_right.then_some(present)
    }
}

fn unavailable(error: store::Error) -> AuthError {
    tracing::warn!(error = ?anyhow::Error::from(error), "a sign-in could not be checked");
    AuthError::Unavailable
}

/// The caller whom a password, or a session that one began, proves.
pub(super) fn principal(person: Person) -> Principal {
    let is_platform_admin = person.manages_workspaces();
    let mut identity = Identity::new(person.id, person.workspace_id, person.email);
    identity.name = person.name;
    identity.is_admin = person.is_admin;
    identity.is_platform_admin = is_platform_admin;
    Principal::new(identity, None)
}
