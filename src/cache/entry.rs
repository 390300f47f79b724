//! Cached entries: what an auth check needs to know of a token, its owner and their workspace.
//!
//! Entries hold facts, never decisions. A token points to its owner, and the owner to the workspace,
//! so that each is in memory once. An invalidated owner or workspace makes all its tokens stale.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use uuid::Uuid;

use super::slot_ref::SlotRef;
use crate::{
    domain::{
        person::TokenAccess,
        reaffirmation::ProviderSignIn,
        time::Timestamp,
        token_limits::{AllowedNetworks, TokenLimits},
    },
    store::FoundToken,
};
use tokenward_guard::{Identity, Scopes};

/// A token, as read from the database.
#[derive(Clone, Debug)]
pub struct CachedToken {
    pub token_id: Uuid,
    pub created_at: Timestamp,
    /// When the token stops authenticating: its scheduled deletion or its expiry. `None`: never.
    pub ends_at: Option<Timestamp>,
    /// The token was replaced, and is deleted at `ends_at`.
    pub is_replaced: bool,
    /// Scopes and networks; `None`: the token has neither.
    pub limits: Option<Arc<CachedLimits>>,
    pub person: Arc<CachedPerson>,
    /// The slot in the cache, where uses are recorded; `None` if the token is not cached.
    pub(super) slot: Option<SlotRef>,
}

/// The limits of tokens. Tokens with equal limits share them.
#[derive(Debug)]
pub struct CachedLimits {
    pub limits: TokenLimits,
    _bytes: ByteAccount,
}

/// The owner of a token, as read from the database.
#[derive(Debug)]
pub struct CachedPerson {
    pub identity: Arc<Identity>,
    /// The identity without administrator rights, for tokens with scopes. The same as `identity` if the
    /// person has none.
    pub scoped_identity: Arc<Identity>,
    pub is_disabled: bool,
    pub token_access: TokenAccess,
    /// The last sign-in of a person who signs in through an identity provider only.
    pub provider_sign_in: Option<ProviderSignIn>,
    pub workspace: Arc<CachedWorkspace>,
    pub(super) invalidated: AtomicBool,
    _bytes: ByteAccount,
}

/// The workspace of an owner, as read from the database.
#[derive(Debug)]
pub struct CachedWorkspace {
    /// The workspace's own setting of the feature; `None` means the default.
    pub enabled: Option<bool>,
    pub(super) invalidated: AtomicBool,
}

/// Returns an identity without administrator rights.
fn without_admin_rights(identity: &Arc<Identity>) -> Arc<Identity> {
    if !identity.is_admin {
        return Arc::clone(identity);
    }
    let mut scoped = Identity::clone(identity);
    (scoped.is_admin, scoped.is_platform_admin) = (false, false);
    Arc::new(scoped)
}

impl CachedLimits {
    pub(super) fn new(limits: TokenLimits, bytes: ByteAccount) -> Self {
        Self { limits, _bytes: bytes }
    }
}

impl CachedToken {
    /// Returns the scopes of the token.
    #[must_use]
    pub fn scopes(&self) -> Scopes {
        self.limits.as_ref().map_or(Scopes::unrestricted(), |cached| cached.limits.scopes.clone())
    }

    /// Returns the networks from which the token authenticates.
    #[must_use]
    pub fn networks(&self) -> &AllowedNetworks {
        const ANY: &AllowedNetworks = &AllowedNetworks::any();
        self.limits.as_ref().map_or(ANY, |cached| &cached.limits.networks)
    }
}

impl CachedPerson {
    pub(super) fn new(row: &FoundToken, workspace: Arc<CachedWorkspace>, bytes: ByteAccount) -> Self {
        let mut identity = Identity::new(row.person_id.get(), row.workspace_id.get(), row.email.clone());
        identity.name.clone_from(&row.name);
        identity.is_admin = row.is_admin;
        identity.is_platform_admin = row.is_admin && row.is_platform_admin;
        let identity = Arc::new(identity);
        let scoped_identity = without_admin_rights(&identity);
        Self {
            identity,
            scoped_identity,
            is_disabled: row.is_disabled,
            token_access: row.token_access,
            provider_sign_in: row.provider_sign_in.clone(),
            workspace,
            invalidated: AtomicBool::new(false),
            _bytes: bytes,
        }
    }

    /// Returns `true` if this entry equals the person in `row`.
    pub(super) fn matches_row(&self, row: &FoundToken) -> bool {
        let Identity { person_id, workspace_id, ref email, ref name, is_admin, is_platform_admin, .. } = *self.identity;
        person_id == row.person_id.get()
            && workspace_id == row.workspace_id.get()
            && *email == row.email
            && *name == row.name
            && is_admin == row.is_admin
            && is_platform_admin == (row.is_admin && row.is_platform_admin)
            && self.is_disabled == row.is_disabled
            && self.token_access == row.token_access
            && self.provider_sign_in == row.provider_sign_in
            && self.workspace.enabled == row.enabled
    }

    /// Returns `true` if neither the person nor the workspace was invalidated.
    pub(super) fn is_current(&self) -> bool {
        !self.invalidated.load(Ordering::Acquire) && !self.workspace.invalidated.load(Ordering::Acquire)
    }
}

impl CachedWorkspace {
    pub(super) fn new(row: &FoundToken) -> Self {
        Self { enabled: row.enabled, invalidated: AtomicBool::new(false) }
    }
}

/// The size of an entry in bytes, included in a total for as long as the entry exists.
#[derive(Debug)]
pub(super) struct ByteAccount {
    bytes: usize,
    total: Arc<AtomicUsize>,
}

impl ByteAccount {
    pub(super) fn new(bytes: usize, total: &Arc<AtomicUsize>) -> Self {
        total.fetch_add(bytes, Ordering::Relaxed);
        Self { bytes, total: Arc::clone(total) }
    }
}

impl Drop for ByteAccount {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
