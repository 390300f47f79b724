//! Reading the `Authorization` header: strictly, and nothing else of the request.

use std::fmt;

use http::{HeaderMap, header::AUTHORIZATION};

use crate::value::Presented;

/// What the `Authorization` header of a request says.
#[derive(Debug)]
pub enum Credential<'h> {
    /// No header, or one of a scheme that is not ours.
    Missing,
    /// `Bearer` with something that may be a token.
    Bearer(Presented<'h>),
    /// `Bearer` with something that cannot be one.
    BadBearer,
    /// `Basic`, still encoded.
    Basic(BasicCredential<'h>),
}

/// A request whose credential no rule allows: two `Authorization` fields, or a comma in a bearer. Proxies disagree about
/// which part of it counts, so nobody may rely on either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// What follows the `Basic` scheme (RFC 7617), not yet decoded.
pub struct BasicCredential<'h>(&'h str);

impl BasicCredential<'_> {
    /// The base64 text.
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
    /// Reads the header. Schemes match in any case (RFC 9110, section 11.1), with one or more spaces behind.
    ///
    /// # Errors
    /// [`Malformed`], which is a refusal of its own kind: 401 with `error="invalid_request"`.
    pub fn read(headers: &'h HeaderMap) -> Result<Self, Malformed> {
        let mut fields = headers.get_all(AUTHORIZATION).iter();
        let Some(field) = fields.next() else { return Ok(Self::Missing) };
        if fields.next().is_some() {
            return Err(Malformed);
        }
        let Ok(text) = field.to_str() else { return Ok(Self::BadBearer) };
        let (scheme, value) = text.split_once(' ').unwrap_or((text, ""));
        let value = value.trim_start_matches(' ');
        if scheme.eq_ignore_ascii_case("bearer") {
            if value.contains(',') {
                return Err(Malformed);
            }
            return Ok(Presented::parse(value).map_or(Self::BadBearer, Self::Bearer));
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
        match Credential::read(&headers) {
            Ok(Credential::Bearer(presented)) => format!("bearer {}", presented.expose()),
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
    fn absent_empty_and_foreign_schemes_are_no_credential() {
        assert_eq!(read(&[]), "Ok(Missing)");
        assert_eq!(read(&[""]), "Ok(Missing)");
        assert_eq!(read(&["Digest username=x"]), "Ok(Missing)");
    }

    #[test]
    fn two_fields_or_a_comma_are_malformed() {
        assert_eq!(read(&["Bearer abc", "Bearer abc"]), "Err(Malformed)");
        assert_eq!(read(&["Bearer abc,def"]), "Err(Malformed)");
        assert_eq!(read(&["Bearer abc, Bearer def"]), "Err(Malformed)");
    }

    #[test]
    fn a_bearer_outside_the_grammar_is_bad_and_nothing_is_guessed() {
        for wrong in ["Bearer", "Bearer ", "Bearer a b", "Bearer abc "] {
            assert_eq!(read(&[wrong]), "Ok(BadBearer)", "{wrong}");
        }
    }
}
