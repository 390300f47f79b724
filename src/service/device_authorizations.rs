//! Device authorizations (RFC 8628): a program without a browser begins one, a signed-in person decides
//! on a page, and a later poll of the program creates the token.
//!
//! Approval creates nothing. The transaction of the poll checks the session that approved, the person and
//! all rules for new tokens, so nothing that was revoked in between has an effect.

mod counters;
mod limits;
mod poll;

use std::sync::Arc;

use tokenward_guard::Scopes;
use uuid::Uuid;

use crate::{
    domain::{
        ValidationError,
        authority::{RequiredRole, VerifiedCredential},
        device_authorization::{
            DeviceAuthorization, DeviceCode, DeviceState, EXPIRES_IN_SECONDS, POLL_INTERVAL_SECONDS, Reviewer, UserCode,
        },
        event::RequestContext,
        id::{PersonId, WorkspaceId},
        person::Person,
        random::Random,
        setting::Settings,
        time::Clock,
        token::{Description, IssueError, IssuePolicy, Lifetime},
        token_limits::{AllowedNetworks, TokenLimits},
    },
    service::{Actor, Error, Mutations, Result, Tokens, tokens::generate_id},
    store::{DeviceInsertion, NewDeviceAuthorization, Store},
};
pub use counters::DeviceCounters;
use limits::Limits;
pub use poll::DevicePoll;

/// The maximum number of authorizations that have not expired. There are 25.6 billion user codes, so a
/// guess meets one of them in one of 500,000 cases.
const MAX_OUTSTANDING: i64 = 50_000;
/// The tries to find a user code that no authorization has.
const USER_CODE_TRIES: u32 = 5;
/// The time for which an expired authorization is kept, so that its program gets the right error.
const EXPIRED_RETENTION_SECONDS: i64 = 600;

/// The operations on device authorizations.
#[derive(Clone)]
pub struct DeviceAuthorizations {
    store: Store,
    clock: Clock,
    random: Random,
    tokens: Tokens,
    mutations: Mutations,
    verification_uri: Arc<str>,
    limits: Limits,
    counters: DeviceCounters,
}

/// The token that a program asks for.
#[derive(Clone, Debug)]
pub struct DeviceRequest {
    pub description: Description,
    /// `None`: 30 days, or the maximum of the workspace if it is shorter.
    pub lifetime: Option<Lifetime>,
    pub scopes: Scopes,
}

/// A device authorization that has begun.
#[derive(Clone, Debug)]
pub struct BegunDeviceAuthorization {
    pub device_code: DeviceCode,
    pub user_code: UserCode,
    /// The URL of the page on which a person enters the user code.
    pub verification_uri: Arc<str>,
    pub expires_in_seconds: i64,
    pub interval_seconds: i64,
}

/// A device authorization as the person decides about it.
#[derive(Clone, Debug)]
pub struct DeviceReview {
    pub authorization: DeviceAuthorization,
    /// The lifetime of the token.
    pub lifetime: Lifetime,
    /// The reason why the person cannot approve.
    pub obstacle: Option<ReviewObstacle>,
}

/// The reason why a person cannot approve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReviewObstacle {
    /// The person may not create tokens.
    NotAllowed,
    /// The workspace does not allow such a token.
    Invalid(ValidationError),
}

impl DeviceAuthorizations {
    /// Creates the service. `public_url` is the URL of the pages; it never depends on a request.
    #[must_use]
    pub fn new(
        (store, clock, random): (Store, Clock, Random),
        tokens: Tokens,
        mutations: Mutations,
        public_url: &str,
    ) -> Self {
        let (limits, counters) = (Limits::new(), DeviceCounters::default());
        let verification_uri = format!("{public_url}/device").into();
        Self { store, clock, random, tokens, mutations, verification_uri, limits, counters }
    }

    /// Returns how often each limit was exceeded since the start: requests and polls, and guesses of codes.
    #[must_use]
    pub fn rate_limit_rejections(&self) -> [(&'static str, u64); 2] {
        self.limits.rejections()
    }

    /// Returns the counters of results.
    #[must_use]
    pub fn counters(&self) -> &DeviceCounters {
        &self.counters
    }

    /// Begins a device authorization for a program, which has no credential.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if the address sends too many requests, or too many authorizations have not
    /// expired.
    pub async fn begin(&self, request: DeviceRequest, context: &RequestContext) -> Result<BegunDeviceAuthorization> {
        let now = self.clock.now();
        self.limits.requests.acquire(context, now)?;
        let device_code = DeviceCode::generate(&self.random);
        let mut new = NewDeviceAuthorization {
            id: generate_id(now, &self.random),
            device_digest: device_code.digest(),
            user_code_digest: device_code.digest(),
            description: request.description.into_string(),
            lifetime: request.lifetime,
            scopes: request.scopes,
            address: context.unshared_client_ip().map(|address| address.to_string()),
            user_agent: context.user_agent.as_str().to_owned(),
            created_at: now,
            expires_at: now.plus_seconds(EXPIRES_IN_SECONDS),
        };
        for _ in 0..USER_CODE_TRIES {
            let user_code = UserCode::generate(&self.random);
            new.user_code_digest = user_code.digest();
            match self.store.insert_device_authorization(&new, MAX_OUTSTANDING).await? {
                DeviceInsertion::Inserted => {
                    self.counters.record("begun");
                    return Ok(BegunDeviceAuthorization {
                        device_code,
                        user_code,
                        verification_uri: self.verification_uri.clone(),
                        expires_in_seconds: EXPIRES_IN_SECONDS,
                        interval_seconds: POLL_INTERVAL_SECONDS,
                    });
                }
                DeviceInsertion::UserCodeTaken => {}
                DeviceInsertion::TooMany => break,
            }
        }
        tracing::warn!("rejected a device authorization: too many of them have not expired");
        Err(Error::RateLimited { retry_after_millis: 60_000 })
    }

    /// Assigns the authorization with the typed user code to the caller's session, and returns its ID.
    /// `None`: no authorization with this code can be decided.
    ///
    /// # Errors
    /// [`Error::RateLimited`] after too many wrong codes of the person or the address.
    pub async fn enter_code(&self, caller: &Actor, typed: &str) -> Result<Option<Uuid>> {
        let guess = self.limits.count_guess(PersonId::of(caller), caller.request(), self.clock.now())?;
        let claimed = match (UserCode::parse(typed), reviewer(caller)) {
            (Some(code), Some(reviewer)) => {
                let mutation = self.mutations.by_actor(caller, RequiredRole::Member);
                self.store.claim_device_authorization(&code.digest(), reviewer, &mutation).await?
            }
            _ => None,
        };
        match claimed {
            Some(_) => self.limits.refund(&guess),
            None => self.counters.record("wrong_code"),
        }
        Ok(claimed)
    }

    /// Returns an authorization for the person to decide. `None`: there is none in this session.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn review(&self, caller: &Actor, id: Uuid) -> Result<Option<DeviceReview>> {
        let Some(reviewer) = reviewer(caller) else { return Ok(None) };
        let Some(authorization) = self.store.find_device_authorization(id, reviewer).await? else { return Ok(None) };
        let is_open = matches!(authorization.state, DeviceState::Pending | DeviceState::Approved);
        if is_open && authorization.is_expired(self.clock.now()) {
            return Ok(None);
        }
        let person = self.store.find_person(reviewer.workspace_id, reviewer.person_id).await?;
        let person = person.ok_or(Error::CallerRevoked)?;
        let (lifetime, obstacle) = match self.tokens.check_may_issue(&person).await {
            Ok(settings) => {
                let lifetime = authorization.lifetime_within(settings.max_lifetime_days);
                (lifetime, obstacle(&person, settings, lifetime, &authorization.scopes))
            }
            Err(Error::FeatureOff | Error::TokenAccessDisabled | Error::TokenCreationRestricted) => {
                (authorization.lifetime_within(None), Some(ReviewObstacle::NotAllowed))
            }
            Err(error) => return Err(error),
        };
        Ok(Some(DeviceReview { authorization, lifetime, obstacle }))
    }

    /// Approves the authorization with the lifetime of the review, or denies it. Returns false if it cannot
    /// be decided any more.
    ///
    /// # Errors
    /// [`Error::CallerRevoked`] if the session has ended.
    pub async fn decide(&self, caller: &Actor, review: &DeviceReview, approve: bool) -> Result<bool> {
        let Some(reviewer) = reviewer(caller) else { return Ok(false) };
        let approved = approve.then_some(review.lifetime);
        let mutation = self.mutations.by_actor(caller, RequiredRole::Member);
        let decided = self.store.decide_device_authorization(&review.authorization, approved, reviewer, &mutation);
        let is_decided = decided.await?;
        if is_decided {
            self.counters.record(if approve { "approved" } else { "denied" });
        }
        Ok(is_decided)
    }

    /// Deletes authorizations that expired some time ago. Returns their number.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn purge_expired(&self) -> Result<u64> {
        let expired_by = self.clock.now().plus_seconds(-EXPIRED_RETENTION_SECONDS);
        Ok(self.store.purge_device_authorizations(expired_by).await?)
    }
}

/// Returns the reason why the workspace does not allow the token.
fn obstacle(person: &Person, settings: Settings, lifetime: Lifetime, scopes: &Scopes) -> Option<ReviewObstacle> {
    let Person { is_admin, is_disabled, token_access, .. } = *person;
    let policy = IssuePolicy { is_service_account: false, is_admin, is_disabled, token_access, settings };
    let limits = TokenLimits { scopes: scopes.clone(), networks: AllowedNetworks::any() };
    match policy.check_lifetime(lifetime).and_then(|()| policy.check_limits(&limits, &[])) {
        Ok(()) => None,
        Err(IssueError::Lifetime(invalid) | IssueError::Limits(invalid)) => Some(ReviewObstacle::Invalid(invalid)),
        Err(_) => Some(ReviewObstacle::NotAllowed),
    }
}

/// Returns the session of a caller on the pages.
fn reviewer(caller: &Actor) -> Option<Reviewer> {
    let VerifiedCredential::Session(session_id) = *caller.credential() else { return None };
    Some(Reviewer { workspace_id: WorkspaceId::of(caller), person_id: PersonId::of(caller), session_id })
}
