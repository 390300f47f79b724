//! Web sessions: who is signed in to the pages.

use uuid::Uuid;

use crate::{
    domain::{
        authority::{Mutation, RequiredRole},
        event::Act,
        person::Person,
        random::Random,
        session::{Lifetime, Session, SessionValue, UserAgent},
        time::Clock,
    },
    service::{
        Actor, Mutations, Refusal, Result,
        people::{protect, role_over},
        request_context,
        sign_in::{SignedIn, principal},
        tokens::new_id,
    },
    store::{NewSession, Store},
};

/// How exact `seen_at` is: a session that is used all the time is written once in this time, or in a quarter of the time for which
/// it may idle.
const SEEN_EVERY_SECONDS: i64 = 60;

/// The sessions of the pages.
#[derive(Clone)]
pub struct Sessions {
    store: Store,
    clock: Clock,
    random: Random,
    lifetime: Lifetime,
    mutations: Mutations,
}

/// Somebody who looks at a page.
#[derive(Clone, Debug)]
pub struct Visit {
    pub session: Session,
    pub person: Person,
    pub workspace_name: String,
    /// An act of weight must ask for the password again.
    pub needs_proof: bool,
}

impl Visit {
    /// The person as services know callers.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor::by_session(principal(self.person.clone()), self.session.id)
    }
}

impl Sessions {
    #[must_use]
    pub fn new(store: Store, clock: Clock, random: Random, lifetime: Lifetime, mutations: Mutations) -> Self {
        Self { store, clock, random, lifetime, mutations }
    }

    /// Begins a session for somebody who has just proven the password; the value is for the cookie alone. None where the
    /// password was changed or the account disabled in the meantime.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`].
    pub async fn begin(&self, who: &SignedIn, user_agent: UserAgent) -> Result<Option<SessionValue>> {
        let value = SessionValue::make(&self.random);
        let at = self.clock.now();
        let new = NewSession {
            id: new_id(at, &self.random),
            digest: value.digest(),
            workspace_id: who.principal.workspace_id,
            person_id: who.principal.person_id,
            email: who.principal.email.clone(),
            at,
            user_agent,
            origin: request_context::origin(),
        };
        let is_begun = self.store.begin_session(&new, &who.password_hash.0).await?;
        Ok(is_begun.then_some(value))
    }

    /// Finds whoever holds a session's value, and notes that the session is used. None for a value that no session has, for a
    /// session that is over, and for a disabled person.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`], which is not "signed out".
    pub async fn find(&self, value: &SessionValue) -> Result<Option<Visit>> {
        let Some(found) = self.store.find_session(&value.digest()).await? else { return Ok(None) };
        let now = self.clock.now();
        if found.person.is_disabled || found.session.is_over(now, self.lifetime) {
            return Ok(None);
        }
        let seen_every = SEEN_EVERY_SECONDS.min(self.lifetime.idle_seconds / 4);
        if now >= found.session.seen_at.plus_seconds(seen_every) {
            self.store.note_session(found.session.id, now).await?;
        }
        Ok(Some(Visit {
            needs_proof: found.session.needs_proof(now),
            session: found.session,
            person: found.person,
            workspace_name: found.workspace_name,
        }))
    }

    /// Gives a session another value, because the password was typed again. None where it has ended in the meantime.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`].
    pub async fn renew(&self, session: &Session) -> Result<Option<SessionValue>> {
        let value = SessionValue::make(&self.random);
        let is_renewed = self.store.renew_session(session.id, &value.digest(), self.clock.now()).await?;
        Ok(is_renewed.then_some(value))
    }

    /// A name for a form on a page, which says when it was made.
    #[must_use]
    pub fn new_form(&self) -> Uuid {
        new_id(self.clock.now(), &self.random)
    }

    /// Whether a form was made for this session: not before it began.
    #[must_use]
    pub fn is_form_of(&self, session: &Session, form: Uuid) -> bool {
        // A UUID of version 7 begins with 48 bits of milliseconds (RFC 9562, section 5.7); other kinds are none of ours.
        let made =
            (form.get_version_num() == 7).then(|| form.as_u128() >> 80).and_then(|made| i64::try_from(made).ok());
        // Another node, whose clock is a little ahead, may have made it.
        let latest = self.clock.now().plus_seconds(60);
        made.is_some_and(|made| (session.begun_at.as_millis()..=latest.as_millis()).contains(&made))
    }

    /// The sessions of a person that are not over, the latest used first.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`].
    pub async fn list(&self, person: &Person) -> Result<Vec<Session>> {
        let now = self.clock.now();
        let mut sessions = self.store.list_sessions(person.workspace_id, person.id).await?;
        sessions.retain(|session| !session.is_over(now, self.lifetime));
        Ok(sessions)
    }

    /// Signs a session out; returns whether there was one. The session is its own authorization.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`].
    pub async fn sign_out(&self, visit: &Visit) -> Result<bool> {
        let Visit { session, person, .. } = visit;
        let mutation = Mutation::without_caller(Act::of_service(self.clock.now()));
        Ok(self.store.end_session(person.workspace_id, person.id, session.id, &mutation).await?)
    }

    /// Ends one session of the actor; returns whether there was one.
    ///
    /// # Errors
    /// [`Refusal::CallerGone`].
    pub async fn end(&self, actor: &Actor, id: Uuid) -> Result<bool> {
        let mutation = self.mutations.by(actor, RequiredRole::Member);
        Ok(self.store.end_session(actor.workspace_id, actor.person_id, id, &mutation).await?)
    }

    /// Ends all sessions of the actor but one; returns how many.
    ///
    /// # Errors
    /// [`Refusal::CallerGone`].
    pub async fn end_others(&self, actor: &Actor, spared: Uuid) -> Result<u64> {
        let mutation = self.mutations.by(actor, RequiredRole::Member);
        Ok(self.store.end_sessions(actor.workspace_id, actor.person_id, Some(spared), &mutation).await?)
    }

    /// Ends all sessions of a person of the administrator's workspace; returns how many.
    ///
    /// # Errors
    /// [`Refusal::NotAdministrator`], [`Refusal::ProtectedPerson`].
    pub async fn end_all_of(&self, administrator: &Actor, person: &Person) -> Result<u64> {
        if !administrator.is_admin || administrator.workspace_id != person.workspace_id {
            return Err(Refusal::NotAdministrator);
        }
        protect(administrator, person)?;
        let mutation = self.mutations.by(administrator, role_over(administrator, person));
        Ok(self.store.end_sessions(person.workspace_id, person.id, None, &mutation).await?)
    }

    /// Removes sessions that are over; answers how many.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`].
    pub async fn remove_over(&self) -> Result<u64> {
        let now = self.clock.now();
        let Lifetime { idle_seconds, absolute_seconds } = self.lifetime;
        Ok(self
            .store
            .delete_sessions_over(now.plus_seconds(-absolute_seconds), now.plus_seconds(-idle_seconds))
            .await?)
    }
}
