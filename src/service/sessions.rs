//! Web sessions: the sign-in state of browsers.

mod drafts;

use std::net::IpAddr;

use uuid::Uuid;

use crate::{
    domain::{
        authority::{Mutation, RequiredRole},
        draft_key::DraftKey,
        event::{AuditContext, RequestContext},
        id::{PersonId, WorkspaceId},
        person::Person,
        random::Random,
        session::{Session, SessionLifetime, SessionValue, UserAgent},
        time::{Clock, Timestamp},
    },
    service::{
        Actor, Error, Login, Mutations, Result,
        people::{ensure_not_protected, role_over},
        sign_in::principal_of_person,
        tokens::generate_id,
    },
    store::{NewSession, Store},
};

/// The resolution of `last_seen_at`. The timestamp of a session in constant use is written once per
/// this interval, or once per quarter of the idle timeout if that is shorter.
const LAST_SEEN_INTERVAL_SECONDS: i64 = 60;

/// The time for which an ended session is kept. Its row has the key of form text that was submitted
/// after the end.
const ENDED_RETENTION_SECONDS: i64 = 86_400;

/// The operations on web sessions.
#[derive(Clone)]
pub struct Sessions {
    store: Store,
    clock: Clock,
    random: Random,
    lifetime: SessionLifetime,
    mutations: Mutations,
}

/// A valid session with its person.
#[derive(Clone, Debug)]
pub struct ActiveSession {
    pub session: Session,
    pub person: Person,
    pub workspace_name: String,
    /// When the session was validated.
    pub validated_at: Timestamp,
    /// A sensitive operation must ask for the password again.
    pub needs_reauth: bool,
}

impl ActiveSession {
    /// Returns the person as the caller of services.
    #[must_use]
    pub fn actor(&self, request: RequestContext) -> Actor {
        Actor::from_session(principal_of_person(self.person.clone()), self.session.id, request)
    }
}

impl Sessions {
    /// Creates the service.
    #[must_use]
    pub fn new(store: Store, clock: Clock, random: Random, lifetime: SessionLifetime, mutations: Mutations) -> Self {
        Self { store, clock, random, lifetime, mutations }
    }

    /// Creates a session after a login. Returns the value for the cookie, or `None` if the password
    /// was changed or the account disabled in the meantime.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn create(
        &self,
        login: &Login,
        user_agent: UserAgent,
        request: &RequestContext,
    ) -> Result<Option<SessionValue>> {
        let value = SessionValue::generate(&self.random);
        let at = self.clock.now();
        let new = NewSession {
            id: generate_id(at, &self.random),
            digest: value.digest(),
            workspace_id: WorkspaceId::of(&login.principal),
            person_id: PersonId::of(&login.principal),
            email: login.principal.email.clone(),
            created_at: at,
            provider_authenticated_at: login.authenticated_at.map(|authenticated_at| authenticated_at.min(at)),
            user_agent,
            draft_key: DraftKey::generate(&self.random),
            origin: request.clone(),
            provider_session_id: login.provider_session_id.clone(),
        };
        let is_created = self.store.insert_session(&new, &login.credential).await?;
        Ok(is_created.then_some(value))
    }

    /// Finds the session of a cookie value and records its use from a client address. Returns `None`
    /// for an unknown value, an expired session and a disabled person.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow. The caller must not treat
    /// it as signed out.
    pub async fn find(&self, value: &SessionValue, address: Option<IpAddr>) -> Result<Option<ActiveSession>> {
        let Some(found) = self.store.find_session(&value.digest()).await? else { return Ok(None) };
        let now = self.clock.now();
        if found.person.is_disabled || found.session.is_expired(now, self.lifetime) {
            return Ok(None);
        }
        let interval = LAST_SEEN_INTERVAL_SECONDS.min(self.lifetime.idle_timeout_seconds / 4);
        if now >= found.session.last_seen_at.plus_seconds(interval) {
            self.store.record_session_use(found.session.id, now, address).await?;
        }
        Ok(Some(ActiveSession {
            needs_reauth: found.session.needs_reauth(now),
            session: found.session,
            person: found.person,
            workspace_name: found.workspace_name,
            validated_at: now,
        }))
    }

    /// Replaces the cookie value of a session after a re-authentication. Returns `None` if the
    /// session has ended.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn rotate(&self, session: &Session) -> Result<Option<SessionValue>> {
        let value = SessionValue::generate(&self.random);
        let is_rotated = self.store.rotate_session(session.id, &value.digest(), self.clock.now()).await?;
        Ok(is_rotated.then_some(value))
    }

    /// Generates an ID for a form on a page. The ID contains its creation time.
    #[must_use]
    pub fn generate_form_id(&self) -> Uuid {
        generate_id(self.clock.now(), &self.random)
    }

    /// Returns whether a form ID was generated after the session was created.
    #[must_use]
    pub fn is_form_for(&self, session: &Session, form_id: Uuid) -> bool {
        // A version 7 UUID starts with 48 bits of milliseconds (RFC 9562, section 5.7). Form IDs
        // have no other version.
        let created_at = (form_id.get_version_num() == 7)
            .then(|| form_id.as_u128() >> 80)
            .and_then(|created_at| i64::try_from(created_at).ok());
        // The clock of the node that generated the ID may be ahead.
        let latest = self.clock.now().plus_seconds(60);
        created_at.is_some_and(|created_at| (session.created_at.as_millis()..=latest.as_millis()).contains(&created_at))
    }

    /// Lists the valid sessions of a person, the most recently used first.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn list(&self, person: &Person) -> Result<Vec<Session>> {
        let now = self.clock.now();
        let mut sessions = self.store.list_sessions(person.workspace_id, person.id).await?;
        sessions.retain(|session| !session.is_expired(now, self.lifetime));
        Ok(sessions)
    }

    /// Signs a session out, authorized by the session itself. Returns whether it still existed.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn sign_out(&self, active: &ActiveSession) -> Result<bool> {
        let ActiveSession { session, person, .. } = active;
        let mutation = Mutation::without_caller(AuditContext::for_system(self.clock.now()));
        Ok(self.store.delete_session(person.workspace_id, person.id, session.id, &mutation).await?)
    }

    /// Ends one session of the actor. Returns whether it existed.
    ///
    /// # Errors
    /// [`Error::CallerRevoked`] if the account or credential of the actor was revoked.
    pub async fn end(&self, actor: &Actor, id: Uuid) -> Result<bool> {
        let mutation = self.mutations.by_actor(actor, RequiredRole::Member);
        Ok(self.store.delete_session(WorkspaceId::of(actor), PersonId::of(actor), id, &mutation).await?)
    }

    /// Ends all sessions of the actor except `kept`. Returns their number.
    ///
    /// # Errors
    /// [`Error::CallerRevoked`] if the account or credential of the actor was revoked.
    pub async fn end_others(&self, actor: &Actor, kept: Uuid) -> Result<u64> {
        let mutation = self.mutations.by_actor(actor, RequiredRole::Member);
        Ok(self.store.delete_sessions(WorkspaceId::of(actor), PersonId::of(actor), Some(kept), &mutation).await?)
    }

    /// Ends all sessions of a person of the administrator's workspace. Returns their number.
    ///
    /// # Errors
    /// [`Error::NotAdministrator`] if the caller is not an administrator of that workspace,
    /// [`Error::ProtectedPerson`] for a platform administrator unless the caller is one.
    pub async fn end_all(&self, administrator: &Actor, person: &Person) -> Result<u64> {
        if !administrator.is_admin || WorkspaceId::of(administrator) != person.workspace_id {
            return Err(Error::NotAdministrator);
        }
        ensure_not_protected(administrator, person)?;
        let mutation = self.mutations.by_actor(administrator, role_over(administrator, person));
        Ok(self.store.delete_sessions(person.workspace_id, person.id, None, &mutation).await?)
    }

    /// Purges sessions that ended a day ago or earlier. Returns their number.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn purge_expired(&self) -> Result<u64> {
        let now = self.clock.now().plus_seconds(-ENDED_RETENTION_SECONDS);
        let SessionLifetime { idle_timeout_seconds: idle_seconds, max_age_seconds: absolute_seconds } = self.lifetime;
        Ok(self.store.purge_sessions(now.plus_seconds(-absolute_seconds), now.plus_seconds(-idle_seconds)).await?)
    }
}
