//! Logout tokens (OpenID Connect Back-Channel Logout 1.0, section 2.4).

use std::time::SystemTime;

use crate::{Denial, claims::Claims};

/// The accepted `typ` of logout tokens, beside none at all.
pub(crate) const LOGOUT_TYPES: [&str; 2] = ["logout+jwt", "jwt"];

const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// A verified logout token. At least one of `subject` and `session_id` is present.
///
/// The caller accepts each `jti` once, and remembers it until `expires_at`, plus the minute of
/// leeway that verification allows.
#[derive(Clone, Debug)]
pub struct LogoutClaims {
    /// The issuer, which is the configured one.
    pub issuer: String,
    /// The person whose sessions end: the value of `sub`, even if the configured `subject_claim` is
    /// another one.
    pub subject: Option<String>,
    /// The session that ends.
    pub session_id: Option<String>,
    /// The unique ID of the token.
    pub jti: String,
    /// The time at which the token expires.
    pub expires_at: SystemTime,
}

impl LogoutClaims {
    /// Reads the claims of a logout token whose signature is verified.
    pub(crate) fn read(claims: &Claims, issuer: &str, client_id: &str, now: SystemTime) -> Result<Self, Denial> {
        let expires_at = claims.check(issuer, client_id, now)?;
        let event = claims.get("events").and_then(|events| events.get(LOGOUT_EVENT));
        if !event.is_some_and(serde_json::Value::is_object) {
            return Err(Denial::LogoutEvent);
        }
        // A nonce, even an empty one, marks an ID token.
        if claims.0.contains_key("nonce") {
            return Err(Denial::LogoutNonce);
        }
        let text = |name| claims.text(name).map(|text| text.map(str::to_owned));
        let (subject, session_id) = (text("sub")?, text("sid")?);
        if subject.is_none() && session_id.is_none() {
            return Err(Denial::LogoutSubject);
        }
        let jti = claims.required_text("jti")?.to_owned();
        Ok(Self { issuer: issuer.to_owned(), subject, session_id, jti, expires_at })
    }
}
