//! The JWT that is exchanged: its identity and its validity.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::domain::{id::WorkspaceId, sign_in_flow::TextDigest, time::Timestamp};

/// The maximum length of a subject token, in bytes.
pub const MAX_SUBJECT_TOKEN_BYTES: usize = 16 * 1024;
/// The maximum time between `iat` and `exp`, in seconds.
const MAX_VALIDITY_SECONDS: i64 = 86_400;
/// The time for which an accepted JWT is remembered after its `exp`, in seconds. The clocks of the
/// issuer and of the nodes may differ.
const REMEMBERED_SECONDS: i64 = 3_600;
/// The longest subject in an event, in characters.
const MAX_SUBJECT_CHARS: usize = 255;

/// A verified JWT, as the exchange records it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// The digest that identifies the JWT among those of its issuer.
    pub id: TextDigest,
    /// Until when the JWT must be remembered as used.
    pub remembered_until: Timestamp,
    /// The claim `sub`, shortened.
    pub subject: Option<String>,
}

/// A verified JWT that is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAssertion {
    #[error("the token is valid for longer than 24 hours (exp - iat); request one with a shorter lifetime")]
    ValidForTooLong,
    #[error("the claim jti must be a text")]
    Identifier,
}

impl Assertion {
    /// Reads the claims of a verified JWT. `key_owner` is the workspace whose stored keys have verified it; `None`:
    /// the keys were found by discovery. Those that the stored keys of a workspace verify are distinct from all
    /// others, so that the keys of one workspace use up no JWT of another's.
    ///
    /// # Errors
    /// [`InvalidAssertion`] if the JWT is valid for more than 24 hours, or its `jti` is no text.
    pub fn read(
        token: &str,
        claims: &Map<String, Value>,
        key_owner: Option<WorkspaceId>,
    ) -> Result<Self, InvalidAssertion> {
        let seconds = |name: &str| claims.get(name).and_then(Value::as_f64).unwrap_or_default();
        #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and a verified JWT has times near now")]
        let [issued_at, expires_at] = [seconds("iat").floor() as i64, seconds("exp").ceil() as i64];
        if expires_at.saturating_sub(issued_at) > MAX_VALIDITY_SECONDS {
            return Err(InvalidAssertion::ValidForTooLong);
        }
        let identifier = match claims.get("jti") {
            Some(Value::String(id)) if !id.is_empty() => format!("jti {id}"),
            // Without the signature: some algorithms have several valid ones for a text.
            None | Some(Value::Null) => format!("jwt {}", token.rsplit_once('.').map_or(token, |(text, _)| text)),
            Some(_) => return Err(InvalidAssertion::Identifier),
        };
        let source = key_owner.map(|workspace| workspace.to_string()).unwrap_or_default();
        let subject = claims.get("sub").and_then(Value::as_str);
        Ok(Self {
            id: TextDigest::of(&format!("exchange\n{source}\n{identifier}")),
            remembered_until: Timestamp::from_millis(
                expires_at.saturating_add(REMEMBERED_SECONDS).saturating_mul(1_000),
            ),
            subject: subject.map(|subject| subject.chars().take(MAX_SUBJECT_CHARS).collect()),
        })
    }
}

/// The longest issuer of a rule, in bytes.
const MAX_ISSUER_BYTES: usize = 1_024;

#[derive(Deserialize)]
struct Issuer {
    iss: String,
}

/// Returns the claim `iss` of a JWT that is not verified yet, to find the keys that verify it.
#[must_use]
pub fn unverified_issuer(token: &str) -> Option<String> {
    let payload = token.split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    // An object with two `iss` is an error.
    let issuer = serde_json::from_slice(&payload).ok().map(|Issuer { iss }| iss)?;
    // No rule has another one, and PostgreSQL rejects U+0000.
    let is_possible = issuer.len() <= MAX_ISSUER_BYTES && issuer.bytes().all(|byte| byte.is_ascii_graphic());
    is_possible.then_some(issuer)
}
