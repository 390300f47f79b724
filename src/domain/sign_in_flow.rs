//! Sign-ins through an identity provider that redirects the browser.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::time::Timestamp;

/// The time within which the provider must redirect the browser back, in seconds.
pub const FLOW_SECONDS: i64 = 600;

/// A sign-in that a browser has begun.
#[derive(Clone, PartialEq, Eq)]
pub struct SignInFlow {
    /// The name of the provider.
    pub provider: String,
    /// The value that the ID token must repeat (OpenID Connect Core 1.0, section 2).
    pub nonce: String,
    /// The secret that redeems the code (RFC 7636, section 4.1).
    pub code_verifier: String,
    /// The page to open afterwards.
    pub next_path: String,
    /// The session whose user authenticates again; `None`: a sign-in.
    pub session_id: Option<Uuid>,
    pub created_at: Timestamp,
}

impl std::fmt::Debug for SignInFlow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignInFlow").field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// The SHA-256 of a text that identifies a flow or an assertion. A flow has 256 random bits, so one fast
/// hash is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextDigest([u8; 32]);

impl TextDigest {
    /// Hashes a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Returns the 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}
