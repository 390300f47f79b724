//! Invalidations: the changes after which cached tokens are stale.

use super::id::{PersonId, WorkspaceId};
use tokenward_guard::token_format::TokenDigest;

/// The first 16 bytes of a token's digest. Nodes identify a token by it in cluster messages. It is
/// not a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestPrefix(pub [u8; 16]);

impl DigestPrefix {
    /// Returns whether a digest starts with this prefix.
    #[must_use]
    pub fn is_prefix_of(&self, digest: &TokenDigest) -> bool {
        digest.as_bytes().starts_with(&self.0)
    }
}

/// A committed change, by the cached entries that it makes stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalidation {
    /// A token was deleted or changed.
    Token(TokenDigest),
    /// A token was deleted or changed by another node.
    TokenPrefix(DigestPrefix),
    /// A person, or all tokens of a person.
    Person(PersonId),
    /// A workspace or its settings.
    Workspace(WorkspaceId),
    /// Any row may have changed.
    Everything,
}
