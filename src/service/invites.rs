//! Invite links and reset links: single-use links with which a person sets the password of an account.
//!
//! Administrators and the operator create invite links, and [`mail`](super::mail) creates reset links. The person who opens a link has no credential, so
//! forms for unknown links count against the limit of failed logins per client address. The response
//! to a link that is unknown, used, expired or void is the same.

use std::{fmt, sync::Arc};

use crate::{
    domain::{
        ValidationError,
        authority::RequiredRole,
        event::{AuditContext, RequestContext},
        id::{PersonId, WorkspaceId},
        password_link::{LinkDigest, LinkKind, LinkValue},
        person::{Email, Person, PersonName},
        random::Random,
        time::{Clock, Timestamp},
    },
    service::{
        Error, Mutations, People, Result, SignIn,
        error::email_taken,
        login_throttle::LoginThrottle,
        people::{ActorKind, ensure_first_workspace, ensure_not_protected, role_over},
    },
    store::{self, FoundPasswordLink, InviteOutcome, NewPasswordLink, NewPerson, Store},
};
use tokenward_guard::Principal;

/// The operations on invite links.
#[derive(Clone)]
pub struct Invites {
    store: Store,
    clock: Clock,
    random: Random,
    people: People,
    throttle: LoginThrottle,
    mutations: Mutations,
    url: InviteUrl,
}

/// The URL that links begin with. It never depends on a request, whose `Host` the client chooses.
#[derive(Clone, Debug)]
pub struct InviteUrl {
    public_url: Arc<str>,
    reaches_other_machines: bool,
}

impl InviteUrl {
    /// Creates the URL. `reaches_other_machines` is false if other machines can connect but not by
    /// this URL, because none is configured.
    #[must_use]
    pub fn new(public_url: &str, reaches_other_machines: bool) -> Self {
        Self { public_url: public_url.into(), reaches_other_machines }
    }

    fn link(&self, value: &LinkValue) -> String {
        format!("{}/invite/{}", self.public_url, value.expose())
    }
}

/// A new invite link, which is shown once. `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct InviteLink {
    /// The secret URL.
    pub url: String,
    pub expires_at: Timestamp,
}

impl fmt::Debug for InviteLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InviteLink([hidden])")
    }
}

/// The unvalidated fields of a person who is added with an invite link instead of a password.
pub struct InvitePerson<'a> {
    pub email: &'a str,
    pub name: &'a str,
    pub is_admin: bool,
    pub is_platform_admin: bool,
}

/// The state of a person's invite link, as administrators see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteState {
    /// There is no valid link, and none is needed.
    None,
    /// The link is valid until this time.
    Valid(Timestamp),
    /// The person has no password and no valid link.
    Expired,
}

impl InviteState {
    fn new(person: &Person, expires_at: Option<Timestamp>, now: Timestamp) -> Self {
        match expires_at.filter(|end| now < *end) {
            Some(end) => Self::Valid(end),
            None if person.has_password => Self::None,
            None => Self::Expired,
        }
    }
}

/// The error of a request with a link.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The link is unknown, used, expired or void.
    #[error("the link is not valid")]
    Invalid,
    /// Too many unknown links or failed logins came from this address.
    #[error("too many failed attempts; retry in {seconds} s")]
    Throttled { seconds: u64 },
    #[error(transparent)]
    Service(#[from] Error),
}

impl From<store::Error> for LinkError {
    fn from(error: store::Error) -> Self {
        Self::Service(error.into())
    }
}

impl Invites {
    /// Creates the service. It shares the limits of `sign_in`.
    #[must_use]
    pub fn new(
        (store, clock, random): (Store, Clock, Random),
        people: People,
        sign_in: &SignIn,
        mutations: Mutations,
        url: InviteUrl,
    ) -> Self {
        Self { store, clock, random, people, throttle: sign_in.throttle(), mutations, url }
    }

    /// Returns whether links work on every machine that can connect to the service.
    #[must_use]
    pub fn reaches_other_machines(&self) -> bool {
        self.url.reaches_other_machines
    }

    /// Adds a person without a password, together with an invite link.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a field is not acceptable, [`Error::EmailTaken`],
    /// [`Error::WorkspaceNotFound`], [`Error::PlatformAdministratorOutsideFirstWorkspace`] for a
    /// platform administrator of another workspace than the first.
    pub async fn add_person(
        &self,
        initiator: ActorKind<'_>,
        workspace_id: WorkspaceId,
        request: InvitePerson<'_>,
    ) -> Result<(Person, InviteLink)> {
        // The holder of the link sets the password.
        initiator.ensure_may_set("invite", true)?;
        ensure_first_workspace(request.is_platform_admin, workspace_id)?;
        let (email, name) = (Email::parse(request.email)?, PersonName::parse(request.name)?);
        let mutation = initiator.mutation(&self.mutations, RequiredRole::Administrator);
        let (invite, link) = self.generate(mutation.context.at);
        let new = NewPerson {
            email,
            name,
            password_hash: None,
            invite: Some(invite),
            is_admin: request.is_admin,
            is_platform_admin: request.is_platform_admin,
            force_password_change: false,
        };
        let person = self.store.insert_person(workspace_id, &new, &mutation).await.map_err(email_taken)?;
        Ok((person.ok_or(Error::WorkspaceNotFound)?, link))
    }

    /// Creates an invite link for a person of a workspace, who may have a password. It stays valid
    /// until the link is used. An older link is void.
    ///
    /// # Errors
    /// [`Error::PersonNotFound`], [`Error::NotAdministrator`] if the caller is not an administrator,
    /// [`Error::CannotInviteSelf`], [`Error::ProtectedPerson`] for a platform administrator unless the
    /// caller is one, [`Error::PersonDisabled`].
    pub async fn create(
        &self,
        initiator: ActorKind<'_>,
        workspace_id: WorkspaceId,
        id: PersonId,
    ) -> Result<(Person, InviteLink)> {
        let person = self.store.find_person(workspace_id, id).await?.ok_or(Error::PersonNotFound)?;
        if person.is_service_account() {
            return Err(ValidationError::NotForServiceAccounts { field: "invite" }.into());
        }
        if let (Some(provider), false) = (&person.provider, person.has_password) {
            return Err(Error::PasswordOfProvider { provider: provider.clone() });
        }
        let role = match initiator {
            ActorKind::Operator => RequiredRole::Administrator,
            ActorKind::Person(caller) => {
                authorize_invite(caller, &person)?;
                role_over(caller, &person)
            }
        };
        let mutation = initiator.mutation(&self.mutations, role);
        let (invite, link) = self.generate(mutation.context.at);
        match self.store.insert_password_link(workspace_id, id, &invite, &mutation).await? {
            InviteOutcome::Created => Ok((person, link)),
            InviteOutcome::NotFound => Err(Error::PersonNotFound),
            InviteOutcome::Disabled => Err(Error::PersonDisabled),
            InviteOutcome::Linked => Err(Error::PasswordOfProvider { provider: "an identity provider".to_owned() }),
        }
    }

    fn generate(&self, now: Timestamp) -> (NewPasswordLink, InviteLink) {
        let (kind, value) = (LinkKind::Invite, LinkValue::generate(&self.random));
        let expires_at = kind.expires_at(now);
        (
            NewPasswordLink { kind, digest: value.digest(), expires_at },
            InviteLink { url: self.url.link(&value), expires_at },
        )
    }

    /// Returns the state of a person's invite link.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn state_of(&self, person: &Person) -> Result<InviteState> {
        let expires_at = self.store.find_link_expiry(person.id, LinkKind::Invite).await?;
        Ok(self.state(person, expires_at))
    }

    /// Returns the state of a person's invite link that ends at `expires_at`; `None`: no link.
    #[must_use]
    pub fn state(&self, person: &Person, expires_at: Option<Timestamp>) -> InviteState {
        InviteState::new(person, expires_at, self.clock.now())
    }

    /// Finds the account of a link. This does not use the link: programs that preview links request
    /// them as well. An unknown link is not charged to the client address, because any website can
    /// make a browser request it.
    ///
    /// # Errors
    /// [`LinkError::Invalid`].
    pub async fn find(&self, kind: LinkKind, value: &str) -> std::result::Result<FoundPasswordLink, LinkError> {
        match self.find_valid(kind, value).await {
            Ok((found, _)) => Ok(found),
            Err(error) => {
                self.throttle.tarpit().await;
                Err(error)
            }
        }
    }

    /// Sets the password of the account of a link. Afterwards the link is used, and the account's web
    /// sessions have ended.
    ///
    /// # Errors
    /// [`LinkError::Invalid`], [`LinkError::Throttled`] if too many unknown links came from the
    /// address, or [`Error::Invalid`] if the password is not acceptable; the link then stays valid.
    pub async fn redeem(
        &self,
        (kind, value): (LinkKind, &str),
        (password, repeated): (&str, &str),
        request: &RequestContext,
    ) -> std::result::Result<(), LinkError> {
        let (FoundPasswordLink { person, workspace_name }, digest) = self.find_charged(kind, value, request).await?;
        if password != repeated {
            return Err(Error::from(ValidationError::PasswordMismatch).into());
        }
        let words = [person.email.as_str(), person.name.as_str(), workspace_name.as_str()];
        let hash = self.people.hash_new_password(password, &words).await?;
        let context = AuditContext::for_link_holder(self.clock.now(), request.clone());
        let link = (kind, &digest);
        let is_redeemed = self.store.redeem_password_link(person.workspace_id, link, &hash, &context).await?;
        if is_redeemed { Ok(()) } else { Err(LinkError::Invalid) }
    }

    /// Finds a valid link. Others are charged to the client address.
    async fn find_charged(
        &self,
        kind: LinkKind,
        value: &str,
        request: &RequestContext,
    ) -> std::result::Result<(FoundPasswordLink, LinkDigest), LinkError> {
        let attempt = match self.throttle.begin(None, request) {
            Ok(attempt) => attempt,
            Err(seconds) => {
                self.throttle.tarpit().await;
                return Err(LinkError::Throttled { seconds });
            }
        };
        let found = self.find_valid(kind, value).await;
        if !matches!(found, Err(LinkError::Invalid)) {
            attempt.cancel();
        }
        found
    }

    async fn find_valid(
        &self,
        kind: LinkKind,
        value: &str,
    ) -> std::result::Result<(FoundPasswordLink, LinkDigest), LinkError> {
        let digest = LinkValue::parse(value).ok_or(LinkError::Invalid)?.digest();
        let found = self.store.find_password_link(kind, &digest, self.clock.now()).await?;
        Ok((found.ok_or(LinkError::Invalid)?, digest))
    }

    /// Purges expired links. Returns their number.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn purge_expired(&self) -> Result<u64> {
        Ok(self.store.purge_password_links(self.clock.now()).await?)
    }
}

/// Checks that the caller may set the password of `person` by a link: the rules for administrators
/// who set it directly. A token must not change the password of its owner, so no caller invites
/// themselves.
fn authorize_invite(caller: &Principal, person: &Person) -> Result<()> {
    if !caller.is_admin {
        return Err(Error::NotAdministrator);
    }
    if PersonId::of(caller) == person.id {
        return Err(Error::CannotInviteSelf);
    }
    ensure_not_protected(caller, person)
}
