//! Sign-ins through an identity provider that redirects the browser.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::time::Timestamp;

/// The time within which the provider must redirect the browser back, in seconds.
pub const FLOW_SECONDS: i64 = 600;

/// The time within which the browser must follow the redirect after the response of a SAML provider, in seconds.
pub const RESPONSE_SECONDS: i64 = 60;

/// A sign-in that a browser has begun.
#[derive(Clone, PartialEq, Eq)]
pub struct SignInFlow {
    /// The name of the provider.
    pub provider: String,
    /// The value that the ID token must repeat (OpenID Connect Core 1.0, section 2). Empty for SAML.
    pub nonce: String,
    /// The secret that redeems the code (RFC 7636, section 4.1). Empty for SAML.
    pub code_verifier: String,
    /// The page to open afterwards.
    pub next_path: String,
    pub purpose: FlowPurpose,
    pub created_at: Timestamp,
}

/// The reason why a browser goes to a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowPurpose {
    /// A person signs in.
    SignIn,
    /// The user of this session authenticates again.
    Confirmation(Uuid),
    /// The user of this session links the account at the provider.
    Link(Uuid),
}

impl FlowPurpose {
    /// Returns the session that must be the one of the browser; `None`: a sign-in.
    #[must_use]
    pub fn session_id(self) -> Option<Uuid> {
        match self {
            Self::SignIn => None,
            Self::Confirmation(id) | Self::Link(id) => Some(id),
        }
    }
}

impl std::fmt::Debug for SignInFlow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignInFlow").field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// A response of a SAML provider whose browser is not known yet.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceivedResponse {
    /// The XML document, as it was received.
    pub document: Vec<u8>,
    pub received_at: Timestamp,
}

/// Shows no claim about the person.
impl std::fmt::Debug for ReceivedResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceivedResponse").field("received_at", &self.received_at).finish_non_exhaustive()
    }
}

/// The SHA-256 of a text that identifies a flow or an assertion. A flow has at least 160 random bits, so one fast
/// hash is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
