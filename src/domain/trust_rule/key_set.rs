//! Key sets that an administrator stores, for issuers that this service cannot reach.

use serde_json::Value;

use super::{InvalidTrustRule, MAX_KEY_SET_BYTES};

/// The public keys of an issuer (RFC 7517, section 5), as JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticKeySet(String);

/// The members of a JWK that are secret (RFC 7518, section 6).
const SECRET_MEMBERS: [&str; 3] = ["d", "k", "oth"];

impl StaticKeySet {
    /// The maximum number of keys.
    const MAX_KEYS: usize = 20;

    /// Validates a key set.
    ///
    /// # Errors
    /// [`InvalidTrustRule::KeySet`] if it is none, or too large, [`InvalidTrustRule::PrivateKey`] if a key
    /// is not public.
    pub fn parse(document: &Value) -> Result<Self, InvalidTrustRule> {
        let keys = document.get("keys").and_then(Value::as_array).ok_or(InvalidTrustRule::KeySet)?;
        let text = document.to_string();
        let is_valid = (1..=Self::MAX_KEYS).contains(&keys.len())
            && text.len() <= MAX_KEY_SET_BYTES
            && keys.iter().all(|key| key.get("kty").is_some_and(Value::is_string));
        if !is_valid {
            return Err(InvalidTrustRule::KeySet);
        }
        let is_secret = |key: &Value| SECRET_MEMBERS.iter().any(|name| key.get(name).is_some());
        if keys.iter().any(is_secret) { Err(InvalidTrustRule::PrivateKey) } else { Ok(Self(text)) }
    }

    /// Wraps the stored text.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// Returns the JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
