//! Forms of the OAuth 2.0 endpoints with several parameters.

use std::borrow::Cow;

use axum::http::HeaderMap;

use super::oauth::{self, OAuthError};

/// The only client that is known: clients are not registered.
const CLIENT_ID: &str = "tokenward";

/// The parameters of a form. Unknown ones are ignored, and empty ones are absent (RFC 6749, section 3.2).
pub(super) struct OAuthForm<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> OAuthForm<'a> {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// [`OAuthError::InvalidRequest`] if it is not a form.
    pub(super) fn parse(headers: &HeaderMap, body: &'a [u8]) -> Result<Self, OAuthError> {
        oauth::check_form(headers, body)?;
        Ok(Self(form_urlencoded::parse(body).collect()))
    }

    /// Returns the value of a parameter; `None` if it is absent.
    ///
    /// # Errors
    /// [`OAuthError::InvalidRequest`] if it is repeated.
    pub(super) fn find(&self, name: &str) -> Result<Option<&str>, OAuthError> {
        let mut values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_ref());
        match (values.next(), values.next()) {
            (value, None) => Ok(value.filter(|value| !value.is_empty())),
            (_, Some(_)) => Err(OAuthError::InvalidRequest("A parameter must not be repeated.")),
        }
    }

    /// Returns the value of a parameter.
    ///
    /// # Errors
    /// [`OAuthError::InvalidRequest`] if it is absent or repeated.
    pub(super) fn required(&self, name: &'static str) -> Result<&str, OAuthError> {
        self.find(name)?.ok_or(match name {
            "grant_type" => OAuthError::InvalidRequest("The form must contain the parameter grant_type."),
            _ => OAuthError::InvalidRequest("The form lacks a parameter of this grant type."),
        })
    }

    /// Checks the parameter `client_id`, which may be absent.
    ///
    /// # Errors
    /// `invalid_client` if it has another value than `tokenward`.
    pub(super) fn check_client(&self) -> Result<(), OAuthError> {
        match self.find("client_id")? {
            None | Some(CLIENT_ID) => Ok(()),
            Some(_) => Err(OAuthError::grant("invalid_client", "client_id must be tokenward; or leave it out.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, header::CONTENT_TYPE};

    use super::*;

    fn headers() -> HeaderMap {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        HeaderMap::from_iter([(CONTENT_TYPE, form)])
    }

    #[test]
    fn an_empty_parameter_is_absent_and_a_repeated_one_is_rejected() {
        let headers = headers();
        let form = OAuthForm::parse(&headers, b"a=1&b=&c=1&c=2&d=x+y%3D").unwrap();
        assert_eq!(form.find("a").unwrap(), Some("1"));
        assert_eq!(form.find("b").unwrap(), None);
        assert_eq!(form.find("none").unwrap(), None);
        assert_eq!(form.find("d").unwrap(), Some("x y="));
        assert!(form.find("c").is_err() && form.required("b").is_err());
        assert!(OAuthForm::parse(&HeaderMap::new(), b"a=1").is_err());
    }

    #[test]
    fn another_client_is_unknown() {
        let headers = headers();
        let check = |body: &'static [u8]| OAuthForm::parse(&headers, body).unwrap().check_client();
        assert!(check(b"").is_ok() && check(b"client_id=tokenward").is_ok());
        assert!(check(b"client_id=other").is_err());
    }
}
