//! Who asks a service for a mutation: the principal of a request and the credential that proved it.

use std::{ops::Deref, sync::Arc};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    domain::{
        authority::{Authority, Credential, Mutation, RequiredRole},
        event::Act,
        setting::Settings,
        time::Clock,
    },
    service::{request_context::act_of, sign_in::SignedIn},
};
use tokenward_guard::Principal;

/// The principal of a request together with the credential that proved it. Every mutation re-reads both inside its transaction.
#[derive(Clone, Debug)]
pub struct Actor {
    principal: Principal,
    credential: Credential,
}

impl Actor {
    /// The actor of a request that was authenticated by a token, or by the password that `proof` shows; `None` for neither.
    #[must_use]
    pub fn of(principal: Principal, proof: Option<&SignedIn>) -> Option<Self> {
        let credential = match (token_id(&principal), proof) {
            (Some(id), _) => Credential::Token(id),
            (None, Some(proof)) => Credential::Password(proof.password_hash.clone()),
            (None, None) => return None,
        };
        Some(Self { principal, credential })
    }

    /// The actor of a page, known by a web session.
    pub(super) fn by_session(principal: Principal, session_id: Uuid) -> Self {
        Self { principal, credential: Credential::Session(session_id) }
    }

    /// Who it is, without the credential.
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

/// The ID of the token that a principal presented.
pub(super) fn token_id(principal: &Principal) -> Option<Uuid> {
    principal.token().map(|token| token.id)
}

/// Turns actors into the mutations that the store authorizes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Mutations {
    clock: Clock,
    enabled_by_default: bool,
    /// Notified when a mutation has left rows to be removed.
    remains: Arc<Notify>,
}

impl Mutations {
    /// `defaults` are the settings of a workspace that has set none.
    #[must_use]
    pub fn new(clock: Clock, defaults: Settings) -> Self {
        Self { clock, enabled_by_default: defaults.enabled, remains: Arc::default() }
    }

    /// A mutation by `actor`, who must have `role` when it is committed.
    pub(super) fn by(&self, actor: &Actor, role: RequiredRole) -> Mutation {
        Mutation {
            act: act_of(actor, self.clock.now()),
            authority: Some(Authority {
                workspace_id: actor.workspace_id,
                person_id: actor.person_id,
                credential: actor.credential.clone(),
                role,
                enabled_by_default: self.enabled_by_default,
                clock: self.clock.clone(),
            }),
        }
    }

    /// A mutation by the operator, on the command line.
    pub(super) fn by_operator(&self) -> Mutation {
        Mutation::without_caller(Act::of_operator(self.clock.now()))
    }

    /// Has rows of revoked tokens and removed people and workspaces removed soon.
    pub(super) fn remove_remains(&self) {
        self.remains.notify_one();
    }

    /// Completes when there are rows to be removed.
    pub(super) async fn wait_for_remains(&self) {
        self.remains.notified().await;
    }
}
