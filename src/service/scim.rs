//! SCIM provisioning: an identity provider creates, changes, disables and deletes people.
//!
//! A client sees the people of its workspace that it provisioned, and those who are linked to its
//! provider. It never sees service accounts, never gives a role, and never takes over an account by
//! its e-mail address. It lifts only what a client disabled.

mod credentials;
mod users;

use std::sync::Arc;

use uuid::Uuid;

use crate::{
    cluster::Node,
    domain::{
        causes::Causes,
        event::RequestContext,
        external_identity::DIRECTORY_ISSUER,
        random::Random,
        scim::{ScimCredential, ScimProvider, credential_format},
        time::Clock,
    },
    service::{Directories, Mutations, ReadBudget, RedirectProviders, Result, Tokens},
    store::Store,
};
use tokenward_guard::token_format::BearerToken;
pub use users::{CreateScimUser, ScimChange, ScimUserPage};

/// Uses of a credential are recorded at most this often.
const USE_INTERVAL_SECONDS: i64 = 60;

/// The operations of provisioning clients and on their credentials. Cheap to clone.
#[derive(Clone)]
pub struct Scim {
    store: Store,
    node: Node,
    clock: Clock,
    random: Random,
    providers: Arc<[ScimProvider]>,
    /// Shares its limit of rejections per address.
    tokens: Tokens,
    mutations: Mutations,
    read_budget: ReadBudget,
}

/// An authenticated provisioning client and the context of its request.
#[derive(Clone, Debug)]
pub struct ScimClient {
    credential: ScimCredential,
    request: RequestContext,
}

impl ScimClient {
    /// Returns the credential.
    #[must_use]
    pub fn credential(&self) -> &ScimCredential {
        &self.credential
    }
}

impl Scim {
    /// Creates the service.
    #[must_use]
    pub fn new(
        (store, node, clock, random): (Store, Node, Clock, Random),
        (directories, redirects, tokens): (&Directories, &RedirectProviders, Tokens),
        mutations: Mutations,
        read_budget: ReadBudget,
    ) -> Self {
        let directories = directories.iter().map(|provider| (provider.name(), DIRECTORY_ISSUER));
        let redirects = redirects.iter().map(|provider| (provider.name(), provider.issuer()));
        let provider = |(name, issuer): (&str, &str)| ScimProvider { name: name.to_owned(), issuer: issuer.to_owned() };
        let providers = directories.chain(redirects).map(provider).collect();
        Self { store, node, clock, random, providers, tokens, mutations, read_budget }
    }

    /// Authenticates a provisioning client by its credential. Returns `None` for any other value. Each
    /// request looks the credential up, so a revoked one is rejected at once. Many rejections from one
    /// address are delayed, as those of tokens.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::service::Error::Unavailable) if the database is unreachable or too
    /// slow.
    pub async fn authenticate(&self, value: BearerToken<'_>, request: RequestContext) -> Result<Option<ScimClient>> {
        let Some(digest) = credential_format().parse_digest(value) else { return Ok(None) };
        let Some(credential) = self.store.find_scim_credential(&digest).await? else {
            self.tokens.delay_rejection(&request).await;
            return Ok(None);
        };
        self.record_use(&credential).await;
        Ok(Some(ScimClient { credential, request }))
    }

    /// Records the use of a credential. A failure is logged only, because the database may be
    /// read-only for a while.
    async fn record_use(&self, credential: &ScimCredential) {
        let now = self.clock.now();
        let not_before = now.plus_seconds(-USE_INTERVAL_SECONDS);
        if credential.last_used_at.is_some_and(|last| last >= not_before) {
            return;
        }
        if let Err(error) = self.store.record_scim_credential_use(credential.id, now, not_before).await {
            tracing::warn!(error = %Causes(&error), "failed to record the use of a SCIM credential");
        }
    }

    fn generate_id(&self) -> Uuid {
        crate::service::tokens::generate_id(self.clock.now(), &self.random)
    }
}
