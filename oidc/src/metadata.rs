//! The discovery document of a provider (OpenID Connect Discovery 1.0, section 3).

use serde::Deserialize;
use url::Url;

use crate::{UnavailableCause, fetch::UrlRule};

/// The longest issuer in an error text, in characters.
const MAX_SHOWN_CHARS: usize = 200;

/// The parts of a discovery document that the relying party uses.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) jwks_uri: Url,
    authorization_endpoint: Option<Url>,
    token_endpoint: Option<Url>,
    pub(crate) end_session_endpoint: Option<Url>,
    /// `None` stands for `client_secret_basic` alone.
    client_authentication: Option<Vec<String>>,
    /// The callback has the parameter `iss` (RFC 9207).
    pub(crate) sends_issuer_parameter: bool,
}

/// The place of the client secret in a request (RFC 6749, section 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecretPlace {
    /// The header `Authorization`.
    Basic,
    /// The form.
    Post,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    end_session_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    authorization_response_iss_parameter_supported: Option<bool>,
}

impl Metadata {
    /// Returns the URL of the document: a trailing slash of the issuer is left out.
    pub(crate) fn url(issuer: &str) -> Result<Url, UnavailableCause> {
        let issuer = issuer.strip_suffix('/').unwrap_or(issuer);
        Url::parse(&format!("{issuer}/.well-known/openid-configuration"))
            .map_err(|_| UnavailableCause::EndpointUrl { name: "issuer" })
    }

    /// Parses a document. Its issuer must be the configured one, byte for byte.
    pub(crate) fn parse(document: &[u8], issuer: &str, rule: UrlRule) -> Result<Self, UnavailableCause> {
        let document: Document = serde_json::from_slice(document).map_err(|_| UnavailableCause::InvalidDocument)?;
        if document.issuer != issuer {
            let found = document.issuer.chars().take(MAX_SHOWN_CHARS).collect();
            return Err(UnavailableCause::IssuerDiffers { found });
        }
        let parse = |name: &'static str, url: Option<String>| {
            let Some(url) = url else { return Ok(None) };
            let url = Url::parse(&url).ok().filter(|url| rule.allows(url));
            url.map(Some).ok_or(UnavailableCause::EndpointUrl { name })
        };
        Ok(Self {
            jwks_uri: required("jwks_uri", parse("jwks_uri", Some(document.jwks_uri))?.as_ref())?.clone(),
            authorization_endpoint: parse("authorization_endpoint", document.authorization_endpoint)?,
            token_endpoint: parse("token_endpoint", document.token_endpoint)?,
            end_session_endpoint: parse("end_session_endpoint", document.end_session_endpoint)?,
            client_authentication: document.token_endpoint_auth_methods_supported,
            sends_issuer_parameter: document.authorization_response_iss_parameter_supported == Some(true),
        })
    }

    pub(crate) fn authorization_endpoint(&self) -> Result<&Url, UnavailableCause> {
        required("authorization_endpoint", self.authorization_endpoint.as_ref())
    }

    pub(crate) fn token_endpoint(&self) -> Result<&Url, UnavailableCause> {
        required("token_endpoint", self.token_endpoint.as_ref())
    }

    /// Returns the place where the provider expects the client secret, preferably the header.
    pub(crate) fn secret_place(&self) -> Result<SecretPlace, UnavailableCause> {
        let Some(methods) = &self.client_authentication else { return Ok(SecretPlace::Basic) };
        let supports = |name: &str| methods.iter().any(|method| method == name);
        if supports("client_secret_basic") {
            Ok(SecretPlace::Basic)
        } else if supports("client_secret_post") {
            Ok(SecretPlace::Post)
        } else {
            Err(UnavailableCause::ClientAuthentication)
        }
    }
}

fn required<'a>(name: &'static str, url: Option<&'a Url>) -> Result<&'a Url, UnavailableCause> {
    url.ok_or(UnavailableCause::EndpointMissing { name })
}
