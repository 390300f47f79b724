//! Parsing of the `Authorization` header.

use std::fmt;

use http::{HeaderMap, header::AUTHORIZATION};

use crate::token_format::BearerToken;

/// The credential in the `Authorization` header of a request.
#[derive(Debug)]
pub enum Credential<'h> {
    /// The header is absent, or has another scheme.
    Missing,
    /// Scheme `Bearer` with a token of valid syntax (RFC 6750, section 2.1).
    Bearer(BearerToken<'h>),
    /// Scheme `Bearer` with text that cannot be a token.
    InvalidBearer,
    /// Scheme `Basic` (RFC 7617), not yet decoded.
    Basic(BasicCredential<'h>),
}

/// An `Authorization` header without a single meaning: two fields, or a comma in a bearer token. Proxies disagree about which part of such
/// a header counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Authorization header is malformed")]
pub struct MalformedHeader;

/// The base64 text after the `Basic` scheme (RFC 7617). Its `Debug` output hides it.
pub struct BasicCredential<'h>(&'h str);

impl BasicCredential<'_> {
    /// Returns the base64 text, which encodes a password.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0
    }
}

impl fmt::Debug for BasicCredential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BasicCredential([hidden])")
    }
}

impl<'h> Credential<'h> {
    /// Parses the header. Schemes are case-insensitive (RFC 9110, section 11.1) and followed by one or more spaces.
    ///
    /// # Errors
    /// [`MalformedHeader`] if there are two `Authorization` fields, or a comma in a bearer token.
    pub fn from_headers(headers: &'h HeaderMap) -> Result<Self, MalformedHeader> {
        let mut fields = headers.get_all(AUTHORIZATION).iter();
        let Some(field) = fields.next() else { return Ok(Self::Missing) };
        if fields.next().is_some() {
            return Err(MalformedHeader);
        }
        let Ok(text) = field.to_str() else { return Ok(Self::InvalidBearer) };
        let (scheme, value) = text.split_once(' ').unwrap_or((text, ""));
        let value = value.trim_start_matches(' ');
        if scheme.eq_ignore_ascii_case("bearer") {
            if value.contains(',') {
                return Err(MalformedHeader);
            }
            return Ok(BearerToken::parse(value).map_or(Self::InvalidBearer, Self::Bearer));
        }
        if scheme.eq_ignore_ascii_case("basic") {
            return Ok(Self::Basic(BasicCredential(value)));
        }
        Ok(Self::Missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[&'static str]) -> String {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(AUTHORIZATION, http::HeaderValue::from_static(field));
        }
        match Credential::from_headers(&headers) {
            Ok(Credential::Bearer(token)) => format!("bearer {}", token.expose()),
            Ok(Credential::Basic(basic)) => format!("basic {}", basic.expose()),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn schemes_match_in_any_case_with_any_spaces() {
        assert_eq!(read(&["Bearer abc"]), "bearer abc");
        assert_eq!(read(&["bEARER    abc"]), "bearer abc");
        assert_eq!(read(&["BASIC  eDp5"]), "basic eDp5");
    }

    #[test]
    fn absent_empty_and_other_schemes_are_no_credential() {
        assert_eq!(read(&[]), "Ok(Missing)");
        assert_eq!(read(&[""]), "Ok(Missing)");
        assert_eq!(read(&["Digest username=x"]), "Ok(Missing)");
    }

    #[test]
    fn two_fields_or_a_comma_are_malformed() {
        assert_eq!(read(&["Bearer abc", "Bearer abc"]), "Err(MalformedHeader)");
        assert_eq!(read(&["Bearer abc,def"]), "Err(MalformedHeader)");
        assert_eq!(read(&["Bearer abc, Bearer def"]), "Err(MalformedHeader)");
    }

    #[test]
    fn a_bearer_outside_the_grammar_is_invalid() {
        for wrong in ["Bearer", "Bearer ", "Bearer a b", "Bearer abc "] {
            assert_eq!(read(&[wrong]), "Ok(InvalidBearer)", "{wrong}");
        }
    }
}
