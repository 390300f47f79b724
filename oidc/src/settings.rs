//! The settings of a client.

use std::path::PathBuf;

use url::Url;

use crate::{Secret, fetch::UrlRule};

/// The settings of this service as a client of one OpenID provider.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// The issuer, byte for byte as the provider spells it. `https`, or `http` on a loopback host.
    pub issuer: String,
    /// The client ID at the provider.
    pub client_id: String,
    /// The client secret. A client without one is public and proves itself by PKCE alone.
    pub client_secret: Option<Secret>,
    /// The scopes besides `openid`, which is always requested.
    pub scopes: Vec<String>,
    /// The claim that identifies a person, for instance `sub`.
    pub subject_claim: String,
    /// The claim that lists the groups: a name, or a JSON pointer (RFC 6901), which begins with `/`.
    pub groups_claim: String,
    /// A PEM file with the accepted certificate authorities. By default the roots of the system.
    pub ca_file: Option<PathBuf>,
    /// The URL of the callback.
    pub redirect_uri: String,
    /// The URL to which the provider returns after a sign-out.
    pub post_logout_redirect_uri: String,
}

impl ClientSettings {
    /// Checks everything but the certificate authorities.
    pub(crate) fn validate(&self) -> Result<(), SettingsError> {
        parse_issuer(&self.issuer)?;
        for (name, value) in [
            ("client_id", &self.client_id),
            ("subject_claim", &self.subject_claim),
            ("groups_claim", &self.groups_claim),
        ] {
            if value.is_empty() {
                return Err(SettingsError::Empty { name });
            }
        }
        if self.client_secret.as_ref().is_some_and(|secret| secret.expose().is_empty()) {
            return Err(SettingsError::Empty { name: "client_secret" });
        }
        // RFC 6749, section 3.3.
        let is_scope_byte = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if let Some(scope) = self.scopes.iter().find(|scope| scope.is_empty() || !scope.bytes().all(is_scope_byte)) {
            return Err(SettingsError::Scope { scope: scope.clone() });
        }
        for (name, url) in
            [("redirect_uri", &self.redirect_uri), ("post_logout_redirect_uri", &self.post_logout_redirect_uri)]
        {
            let is_http = |url: Url| matches!(url.scheme(), "https" | "http") && url.fragment().is_none();
            if !Url::parse(url).is_ok_and(is_http) {
                return Err(SettingsError::RedirectUri { name, url: url.clone() });
            }
        }
        Ok(())
    }
}

/// Parses an issuer (OpenID Connect Discovery 1.0, section 3).
pub(crate) fn parse_issuer(issuer: &str) -> Result<Url, SettingsError> {
    let error = || SettingsError::Issuer { issuer: issuer.to_owned() };
    let url = Url::parse(issuer).map_err(|_| error())?;
    let is_plain = url.query().is_none() && url.fragment().is_none();
    if is_plain && UrlRule::for_issuer(&url).allows(&url) { Ok(url) } else { Err(error()) }
}

/// Settings that no client can work with. Each text states the remedy.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The issuer is not a URL of the allowed form.
    #[error(
        "issuer is {issuer:?}; it must be an https:// URL without user name, query and fragment (http:// for a loopback host only)"
    )]
    Issuer {
        /// The issuer.
        issuer: String,
    },
    /// A setting is empty.
    #[error("{name} is empty; set it, or leave it out")]
    Empty {
        /// The name of the setting.
        name: &'static str,
    },
    /// A scope has characters that are not allowed (RFC 6749, section 3.3).
    #[error("scopes has {scope:?}; a scope is printable ASCII without space, \" and \\")]
    Scope {
        /// The scope.
        scope: String,
    },
    /// A URL of this service is not a URL.
    #[error("{name} is {url:?}; it must be an https:// or http:// URL without fragment")]
    RedirectUri {
        /// The name of the setting.
        name: &'static str,
        /// The URL.
        url: String,
    },
    /// The file of certificate authorities is unreadable.
    #[error("cannot read ca_file {}; it must be a PEM file that the service may read", path.display())]
    CaFile {
        /// The path of the file.
        path: PathBuf,
        /// The cause.
        source: rustls::pki_types::pem::Error,
    },
    /// A certificate of the file is not one of an authority.
    #[error("a certificate in ca_file {} cannot be used; it must be one of a certificate authority", path.display())]
    CaCertificate {
        /// The path of the file.
        path: PathBuf,
        /// The cause.
        source: rustls::Error,
    },
    /// There is no certificate authority.
    #[error("no certificate authority was found; set ca_file, or install the certificates of the system")]
    NoRoots,
    /// The TLS configuration cannot be built.
    #[error("cannot configure TLS")]
    Tls(#[source] rustls::Error),
    /// The HTTP client cannot be built.
    #[error("cannot create the HTTP client")]
    Http(#[source] reqwest::Error),
    /// A static key set is not one (RFC 7517, section 5).
    #[error("the key set is not a JSON object with a list `keys`; give it a JWKS (RFC 7517)")]
    KeySet,
    /// Another library of this process has installed its own cryptography for JWTs.
    #[error("another crypto provider of jsonwebtoken is installed in this process; remove it")]
    CryptoProvider,
}
