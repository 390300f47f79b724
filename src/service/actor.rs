//! The authenticated caller of a mutation, and the mutations that the store authorizes.

use std::{ops::Deref, sync::Arc};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    domain::{
        authority::{Authority, Mutation, RequiredRole, VerifiedCredential},
        event::{AuditContext, RequestContext},
        id::{PersonId, WorkspaceId},
        setting::Settings,
        time::{Clock, Timestamp},
    },
    service::Login,
};
use tokenward_guard::Principal;

/// The principal of a request with the credential that authenticated it, and the context of the
/// request. The transaction of a mutation re-reads the first two.
#[derive(Clone, Debug)]
pub struct Actor {
    principal: Principal,
    credential: VerifiedCredential,
    request: RequestContext,
}

impl Actor {
    /// Returns the actor of a request authenticated by a token or by the password of `login`, or
    /// `None` without either credential.
    #[must_use]
    pub fn from_principal(principal: Principal, login: Option<&Login>, request: RequestContext) -> Option<Self> {
        let credential = match (token_id(&principal), login) {
            (Some(id), _) => VerifiedCredential::Token(id),
            (None, Some(login)) => login.credential.clone(),
            (None, None) => return None,
        };
        Some(Self { principal, credential, request })
    }

    /// Returns the actor of a page request, authenticated by a web session.
    pub(super) fn from_session(principal: Principal, session_id: Uuid, request: RequestContext) -> Self {
        Self { principal, credential: VerifiedCredential::Session(session_id), request }
    }

    /// Returns the credential that authenticated the caller.
    pub(super) fn credential(&self) -> &VerifiedCredential {
        &self.credential
    }

    /// Returns the context of the request.
    #[must_use]
    pub fn request(&self) -> &RequestContext {
        &self.request
    }

    /// Returns the caller without the credential.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }
}

impl Deref for Actor {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.principal
    }
}

/// Returns the ID of the token that the principal presented.
pub(super) fn token_id(principal: &Principal) -> Option<Uuid> {
    principal.token().map(|token| token.id)
}

/// Returns the audit context of an operation by `caller` at the time `at`.
pub(super) fn audit_context(caller: &Principal, at: Timestamp, request: &RequestContext) -> AuditContext {
    AuditContext {
        at,
        actor_id: Some(PersonId::of(caller)),
        actor_name: caller.email.clone(),
        token_id: token_id(caller),
        request: request.clone(),
    }
}

/// Builds the mutations that the store authorizes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Mutations {
    clock: Clock,
    enabled_by_default: bool,
    /// Notified when a mutation has left rows to purge.
    purge_needed: Arc<Notify>,
}

impl Mutations {
    /// Creates a builder. `defaults` are the settings of a workspace that has set none.
    #[must_use]
    pub fn new(clock: Clock, defaults: &Settings) -> Self {
        Self { clock, enabled_by_default: defaults.enabled, purge_needed: Arc::default() }
    }

    /// Returns a mutation by `actor`, who must have `role` when the transaction commits.
    pub(super) fn by_actor(&self, actor: &Actor, role: RequiredRole) -> Mutation {
        Mutation {
            context: audit_context(actor, self.clock.now(), &actor.request),
            authority: Some(Authority {
                workspace_id: WorkspaceId::of(actor),
                person_id: PersonId::of(actor),
                credential: actor.credential.clone(),
                role,
                enabled_by_default: self.enabled_by_default,
                clock: self.clock.clone(),
            }),
        }
    }

    /// Returns a mutation by the operator at the command line.
    pub(super) fn by_operator(&self) -> Mutation {
        Mutation::without_caller(AuditContext::for_operator(self.clock.now()))
    }

    /// Wakes the purge of revoked tokens and removed people and workspaces.
    pub(super) fn schedule_purge(&self) {
        self.purge_needed.notify_one();
    }

    /// Waits until there are rows to purge.
    pub(super) async fn wait_for_purge(&self) {
        self.purge_needed.notified().await;
    }
}
