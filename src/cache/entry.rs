//! What a check needs to know of a token, its person and its workspace: facts, never decisions.
//!
//! A token's facts point to its person's, and those to the workspace's, so that each stands in memory once. Where a person or
//! a workspace changes, the old facts are marked outdated: one store, and every token that points there is unknown again.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use uuid::Uuid;

use super::sharded::Place;
use crate::{
    domain::{person::TokenAccess, time::Timestamp},
    store::Found,
};
use tokenward_guard::Identity;

/// What is known of a token.
#[derive(Clone, Debug)]
pub struct CachedToken {
    pub token_id: Uuid,
    pub created_at: Timestamp,
    /// None: never expires.
    pub expires_at: Option<Timestamp>,
    pub person: Arc<CachedPerson>,
    /// Where the table holds it, if it does: there a use is noted.
    pub(crate) place: Option<Place>,
}

/// What is known of the person who holds a token.
#[derive(Debug)]
pub struct CachedPerson {
    pub holder: Arc<Identity>,
    pub is_disabled: bool,
    pub token_access: TokenAccess,
    pub workspace: Arc<CachedWorkspace>,
    pub(crate) outdated: AtomicBool,
    _weight: ByteAccount,
}

/// What is known of a workspace.
#[derive(Debug)]
pub struct CachedWorkspace {
    /// What it set its switch to, if it did.
    pub enabled: Option<bool>,
    pub(crate) outdated: AtomicBool,
}

impl CachedPerson {
    pub(crate) fn new(found: &Found, workspace: Arc<CachedWorkspace>, weight: ByteAccount) -> Self {
        let mut holder = Identity::new(found.person_id, found.workspace_id, found.email.clone());
        holder.name.clone_from(&found.name);
        holder.is_admin = found.is_admin;
        holder.is_platform_admin = found.is_admin && found.is_platform_admin;
        Self {
            holder: Arc::new(holder),
            is_disabled: found.is_disabled,
            token_access: found.token_access,
            workspace,
            outdated: AtomicBool::new(false),
            _weight: weight,
        }
    }

    /// Whether a read has found just these facts.
    pub(crate) fn is_as_found(&self, found: &Found) -> bool {
        let Identity { person_id, workspace_id, ref email, ref name, is_admin, is_platform_admin, .. } = *self.holder;
        (person_id, workspace_id, email, name) == (found.person_id, found.workspace_id, &found.email, &found.name)
            && (is_admin, is_platform_admin) == (found.is_admin, found.is_admin && found.is_platform_admin)
            && (self.is_disabled, self.token_access) == (found.is_disabled, found.token_access)
            && self.workspace.enabled == found.enabled
    }

    /// Whether nothing has changed, here or in the workspace, since these facts were read.
    pub(crate) fn is_current(&self) -> bool {
        !self.outdated.load(Ordering::Acquire) && !self.workspace.outdated.load(Ordering::Acquire)
    }
}

impl CachedWorkspace {
    pub(crate) fn new(found: &Found) -> Self {
        Self { enabled: found.enabled, outdated: AtomicBool::new(false) }
    }
}

/// How many bytes some facts take, counted in a total while they live.
#[derive(Debug)]
pub(crate) struct ByteAccount {
    bytes: usize,
    total: Arc<AtomicUsize>,
}

impl ByteAccount {
    pub(crate) fn new(bytes: usize, total: &Arc<AtomicUsize>) -> Self {
        total.fetch_add(bytes, Ordering::Relaxed);
        Self { bytes, total: Arc::clone(total) }
    }
}

impl Drop for ByteAccount {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
