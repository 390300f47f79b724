//! The claims of a JWT whose signature is verified.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use crate::Denial;

/// The allowed difference between the clocks of the issuer and of this service.
pub(crate) const LEEWAY: Duration = Duration::from_secs(60);

/// The claims of a JWT whose signature is verified.
pub(crate) struct Claims(pub(crate) Map<String, Value>);

impl Claims {
    /// Returns a claim. `null` counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Returns a text. An empty one, and one with control characters, is an error.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Denial> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let text = value.as_str().filter(|text| is_text(text));
        text.map(Some).ok_or_else(|| Denial::invalid(name))
    }

    pub(crate) fn required_text(&self, name: &str) -> Result<&str, Denial> {
        self.text(name)?.ok_or_else(|| Denial::missing(name))
    }

    /// Returns a time in seconds since 1970 (RFC 7519, section 2), rounded down.
    pub(crate) fn time(&self, name: &str) -> Result<Option<SystemTime>, Denial> {
        let Some(value) = self.get(name) else { return Ok(None) };
        // The range excludes fractions beyond the precision of the number.
        let from_fraction = |seconds: f64| Duration::try_from_secs_f64(seconds.floor()).ok();
        let since_1970 = value.as_u64().map(Duration::from_secs).or_else(|| from_fraction(value.as_f64()?));
        let time = since_1970.and_then(|duration| SystemTime::UNIX_EPOCH.checked_add(duration));
        time.map(Some).ok_or_else(|| Denial::invalid(name))
    }

    pub(crate) fn required_time(&self, name: &str) -> Result<SystemTime, Denial> {
        self.time(name)?.ok_or_else(|| Denial::missing(name))
    }

    /// Checks `iss` byte for byte, that `aud` contains the audience, `exp`, `iat` and `nbf`. Returns
    /// the time in `exp`.
    pub(crate) fn check(&self, issuer: &str, audience: &str, now: SystemTime) -> Result<SystemTime, Denial> {
        if self.required_text("iss")? != issuer {
            return Err(Denial::Issuer);
        }
        if !self.audiences()?.contains(&audience) {
            return Err(Denial::Audience);
        }
        self.check_times(now)
    }

    /// Returns the text, or the texts of the list, in `aud`.
    pub(crate) fn audiences(&self) -> Result<Vec<&str>, Denial> {
        let audiences: Option<Vec<&str>> = match self.get("aud") {
            None => return Err(Denial::missing("aud")),
            Some(Value::String(audience)) => Some(vec![audience]),
            Some(Value::Array(list)) => list.iter().map(Value::as_str).collect(),
            Some(_) => None,
        };
        audiences.ok_or_else(|| Denial::invalid("aud"))
    }

    fn check_times(&self, now: SystemTime) -> Result<SystemTime, Denial> {
        let latest = now.checked_add(LEEWAY).unwrap_or(now);
        let expires_at = self.required_time("exp")?;
        if expires_at.checked_add(LEEWAY).is_some_and(|last| last <= now) {
            return Err(Denial::Expired);
        }
        if self.time("nbf")?.is_some_and(|start| start > latest) {
            return Err(Denial::NotYetValid);
        }
        if self.required_time("iat")? > latest {
            return Err(Denial::IssuedInFuture);
        }
        Ok(expires_at)
    }
}

/// Returns whether a text has characters, and no control characters.
pub(crate) fn is_text(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}
