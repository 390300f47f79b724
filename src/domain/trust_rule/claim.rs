//! Names of claims in conditions.

use std::fmt;

use serde_json::{Map, Value};

use super::InvalidTrustRule;

/// The maximum length of a claim name, in bytes.
const MAX_BYTES: usize = 255;
/// The claims that every exchange checks by itself.
const CHECKED_CLAIMS: [&str; 6] = ["iss", "aud", "exp", "nbf", "iat", "jti"];

/// The name of a claim, or a JSON pointer (RFC 6901) to a member of one, which begins with a slash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClaimName(String);

impl ClaimName {
    /// Validates a name.
    ///
    /// # Errors
    /// [`InvalidTrustRule::Claim`] for an empty or long name, one with control characters or with a
    /// wrong escape, and for a claim that every exchange checks.
    pub fn parse(text: &str) -> Result<Self, InvalidTrustRule> {
        let error = || InvalidTrustRule::Claim { claim: text.chars().take(MAX_BYTES).collect() };
        let is_text = !text.is_empty() && text.len() <= MAX_BYTES && !text.chars().any(char::is_control);
        let name = Self(text.to_owned());
        if !is_text || name.path().is_none_or(|path| path.iter().any(String::is_empty)) {
            return Err(error());
        }
        let first = name.path().and_then(|path| path.into_iter().next()).unwrap_or_default();
        if CHECKED_CLAIMS.contains(&first.as_str()) {
            return Err(InvalidTrustRule::CheckedClaim { claim: first });
        }
        Ok(name)
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Finds the value among the claims of a JWT. A pointer leads through objects only: the position in
    /// a list says nothing about a value.
    #[must_use]
    pub fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let path = self.path()?;
        let (last, parents) = path.split_last()?;
        let object = parents.iter().try_fold(claims, |object, name| object.get(name)?.as_object())?;
        object.get(last)
    }

    /// Returns the names of the members that lead to the value; `None` for a wrong escape.
    fn path(&self) -> Option<Vec<String>> {
        let Some(pointer) = self.0.strip_prefix('/') else { return Some(vec![self.0.clone()]) };
        pointer.split('/').map(unescape).collect()
    }
}

impl fmt::Display for ClaimName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Resolves `~1` (slash) and `~0` (tilde).
fn unescape(part: &str) -> Option<String> {
    let mut name = String::with_capacity(part.len());
    let mut characters = part.chars();
    while let Some(character) = characters.next() {
        name.push(match character {
            '~' => match characters.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            other => other,
        });
    }
    Some(name)
}
