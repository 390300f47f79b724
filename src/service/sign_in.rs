//! Signing in by e-mail and password.

use std::time::Duration;

use crate::{
    domain::{
        authority::PasswordHash,
        event::Action,
        password::Password,
        person::{EmailKey, Person},
        time::Clock,
        workspace,
    },
    guard::{Cause, Denied, Holder, Principal},
    service::{
        act::{self, act_of},
        password::{Busy, Hasher, Place},
        refusals::{Refusals, Refused},
        throttle::{Closed, Throttle},
    },
    store::{self, PersonWithHash, Store},
};

/// How exact `lastLoginTime` is: a script that sends its password with each request writes once in this time.
const NOTED_EVERY_SECONDS: i64 = 60;

/// How long whoever is one too many waits for the answer: one that came at once would be asked for again at once, and a flood of those
/// costs checks of tokens the processor.
const BUSY_FOR: Duration = Duration::from_secs(1);
/// The same for an address that has had too many wrong passwords.
const SLOWED_BY: Duration = Duration::from_millis(100);

/// The door that takes passwords.
#[derive(Clone)]
pub struct SignIn {
    store: Store,
    clock: Clock,
    hasher: Hasher,
    throttle: Throttle,
    refusals: Refusals,
}

/// By what way a password comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// With a request: an event tells of it.
    Request,
    /// On a page, which has events of its own.
    Page,
}

/// Nobody is signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSignedIn {
    #[error(transparent)]
    Denied(#[from] Denied),
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
    pub fn new(store: Store, refusals: Refusals, clock: Clock, hasher: Hasher, wrong_per_address: u32) -> Self {
        let throttle = Throttle::new(store.clone(), clock.clone(), wrong_per_address);
        Self { store, refusals, clock, hasher, throttle }
    }

    /// Gives up the memory that signing in takes, unless somebody did since this was called last.
    pub fn rest(&self) {
        self.hasher.release_if_idle();
    }

    /// Signs somebody in. Unknown e-mail, wrong password and disabled account take the same time and are told apart only
    /// in the cause, for the log.
    ///
    /// # Errors
    /// [`Denied::Invalid`], [`Denied::Unavailable`] where store or hasher could not answer, [`NotSignedIn::Throttled`].
    pub async fn by_password(&self, email: &str, password: &str, via: Via) -> Result<SignedIn, NotSignedIn> {
        // What no account can have is refused before it costs anything; that tells nothing about any account.
        let password = Password::presented(password).ok_or(Denied::Invalid(Cause::Shape))?;
        let key = EmailKey::of(email);
        // Each account's e-mail has one, however it is spelled: without it there is nothing to guess, and nothing to write down.
        let counted = key.as_str().contains('@').then(|| key.digest());
        let Ok(place) = self.hasher.place() else {
            tokio::time::sleep(BUSY_FOR).await;
            return Err(Denied::Unavailable.into());
        };
        let attempt = match self.throttle.begin(counted, act::origin().address).await {
            Err(Closed::Wait(seconds)) => {
                self.note_throttled(&key).await;
                return Err(NotSignedIn::Throttled { seconds });
            }
            Err(Closed::WaitAddress(seconds)) => {
                self.note_refusal(Action::PasswordThrottled, None, Cause::Throttled);
                tokio::time::sleep(SLOWED_BY).await;
                return Err(NotSignedIn::Throttled { seconds });
            }
            begun => begun?,
        };
        let (found, right) = match self.look(&key, &password, place).await {
            Ok(looked) => looked,
            Err(denied) => {
                attempt.was_not_judged();
                return Err(denied.into());
            }
        };
        let refused = match &found {
            None => Some(Cause::UnknownEmail),
            Some(_) if !right => Some(Cause::WrongPassword),
            Some(found) if found.person.is_disabled => Some(Cause::PersonDisabled),
            Some(_) => None,
        };
        let (None, Some(found)) = (refused, &found) else {
            // Counted for all three: whether tries are counted must not tell them apart.
            attempt.was_wrong().await.map_err(unavailable)?;
            let refused = refused.unwrap_or(Cause::UnknownEmail);
            self.note_refusal(Action::PasswordRefused, found.as_ref().map(|found| &found.person), refused);
            return Err(Denied::Invalid(refused).into());
        };
        attempt.was_right().await;
        let rehashed = self.note(found, &password, via).await;
        let must_change_password = found.person.force_password_change;
        let password_hash = PasswordHash(rehashed.unwrap_or_else(|| found.password_hash.clone()));
        Ok(SignedIn { principal: principal(found.person.clone()), must_change_password, password_hash })
    }

    /// How many seconds somebody must wait because of wrong passwords, if at all.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`](crate::service::Refusal::Unavailable).
    pub async fn wait(&self, email: &str) -> crate::service::Result<Option<u64>> {
        Ok(self.throttle.wait(&EmailKey::of(email).digest()).await?)
    }

    /// Forgets wrong passwords that are a day old; answers for how many e-mails.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`](crate::service::Refusal::Unavailable).
    pub async fn forget_tries(&self) -> crate::service::Result<u64> {
        Ok(self.throttle.forget().await?)
    }

    /// Whose e-mail it is, and whether the password is right.
    async fn look(
        &self,
        key: &EmailKey,
        password: &Password,
        place: Place,
    ) -> Result<(Option<PersonWithHash>, bool), Denied> {
        let found = self.store.find_person_by_email(key).await.map_err(unavailable)?;
        let stored = found.as_ref().map(|found| found.password_hash.as_str());
        let right = self.hasher.verify(password, stored, place).await.map_err(|Busy| Denied::Unavailable)?;
        Ok((found, right))
    }

    /// Notes that a password was not looked at; where the store does not say whose it would have been, of nobody.
    async fn note_throttled(&self, key: &EmailKey) {
        let found = self.store.find_person_by_email(key).await.ok().flatten();
        self.note_refusal(Action::PasswordThrottled, found.as_ref().map(|found| &found.person), Cause::Throttled);
    }

    /// Notes who was refused. An e-mail that nobody has is not written down: people type passwords there.
    fn note_refusal(&self, action: Action, person: Option<&Person>, cause: Cause) {
        let origin = act::origin();
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

    /// Writes down the sign-in, and hashes the password anew where the cost has changed; gives the new hash. Neither is worth
    /// failing for.
    async fn note(&self, found: &PersonWithHash, password: &Password, via: Via) -> Option<String> {
        let id = found.person.id;
        let now = self.clock.now();
        let (act, not_before) = (act_of(&principal(found.person.clone()), now), now.plus_seconds(-NOTED_EVERY_SECONDS));
        if let Err(error) = self.store.note_sign_in(&found.person, &act, not_before, via == Via::Request).await {
            tracing::warn!(person.id = id, error = ?anyhow::Error::from(error), "the sign-in could not be noted");
        }
        if !self.hasher.is_outdated(&found.password_hash) {
            return None;
        }
        let new = self.hasher.hash(password).await.ok()?;
        match self.store.replace_password_hash(id, &found.password_hash, &new).await {
            Ok(is_replaced) => is_replaced.then_some(new),
            Err(error) => {
                tracing::warn!(person.id = id, error = ?anyhow::Error::from(error), "the password could not be hashed anew");
                None
            }
        }
    }
}

impl From<Closed> for NotSignedIn {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::Wait(seconds) | Closed::WaitAddress(seconds) => Self::Throttled { seconds },
            Closed::Unavailable(error) => unavailable(error).into(),
        }
    }
}

fn unavailable(error: store::Error) -> Denied {
    tracing::warn!(error = ?anyhow::Error::from(error), "a sign-in could not be checked");
    Denied::Unavailable
}

/// The caller whom a password, or a session that one began, proves.
pub(super) fn principal(person: Person) -> Principal {
    let holder = Holder {
        person_id: person.id,
        workspace_id: person.workspace_id,
        is_admin: person.is_admin,
        is_platform_admin: person.manages_workspaces(),
        email: person.email,
        name: person.name,
    };
    Principal::new(holder, None)
}
