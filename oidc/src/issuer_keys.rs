//! The keys of an issuer, and the verification of its JWTs.

use std::{fmt, path::Path, sync::Arc, time::SystemTime};

use serde_json::{Map, Value};

use crate::{
    AddressRule, Denial, Error, SettingsError, cache::MonotonicClock, crypto, fetch::TIMEOUT, jwk::KeySet, jwt::Header,
    provider::Provider, tls::Authorities,
};

/// The `typ` of ordinary JWTs, beside none at all.
const JWT_TYPES: [&str; 1] = ["jwt"];

/// The keys of an issuer. Cheap to clone; clones share what was loaded.
///
/// Keys that are found by discovery are kept for an hour. A JWT with an unknown key ID loads them
/// again, at most once a minute.
#[derive(Clone)]
pub struct IssuerKeys(Source);

#[derive(Clone)]
enum Source {
    Static(Arc<KeySet>),
    Discovered(Arc<Provider>),
}

/// The statements that a JWT must make.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The issuer (`iss`), compared byte for byte.
    pub issuer: &'a str,
    /// The audience: the text in `aud`, or a member of the list there.
    pub audience: &'a str,
}

impl IssuerKeys {
    /// Creates the keys of an issuer that has a discovery document. Does not connect. `ca_file` is a
    /// PEM file with certificate authorities that are accepted beside those of the system.
    ///
    /// # Errors
    /// A [`SettingsError`] if the issuer is not an `https` URL (`http` for loopback hosts), or if
    /// there are no certificate authorities.
    pub fn discovered(issuer: &str, ca_file: Option<&Path>, addresses: AddressRule) -> Result<Self, SettingsError> {
        let authorities = ca_file.map_or(Authorities::System, Authorities::SystemAndFile);
        let provider = Provider::new(issuer, authorities, addresses, TIMEOUT, MonotonicClock::system())?;
        Ok(Self(Source::Discovered(Arc::new(provider))))
    }

    /// Creates the keys of an issuer from a JWKS (RFC 7517, section 5).
    ///
    /// # Errors
    /// [`SettingsError::KeySet`] if the text is not a JWKS.
    pub fn from_jwks(document: &str) -> Result<Self, SettingsError> {
        crypto::install()?;
        let keys = KeySet::parse(document.as_bytes()).ok_or(SettingsError::KeySet)?;
        Ok(Self(Source::Static(Arc::new(keys))))
    }

    /// Verifies a JWT: signature, `iss`, `aud`, `exp`, `iat`, and `nbf` if present. Clocks may differ
    /// by a minute. Returns all claims.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the keys cannot be loaded, [`Error::Denied`] if the JWT is not
    /// accepted.
    pub async fn verify(
        &self,
        token: &str,
        expected: &Expected<'_>,
        now: SystemTime,
    ) -> Result<Map<String, Value>, Error> {
        let claims = match &self.0 {
            Source::Static(keys) => Header::parse(token, &JWT_TYPES)?.verify(token, keys).map_err(Denial::from)?,
            Source::Discovered(provider) => provider.verify_signature(token, &JWT_TYPES).await?,
        };
        claims.check(expected.issuer, expected.audience, now)?;
        Ok(claims.0)
    }
}

impl fmt::Debug for IssuerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let issuer = match &self.0 {
            Source::Discovered(provider) => Some(provider.issuer()),
            Source::Static(_) => None,
        };
        f.debug_struct("IssuerKeys").field("issuer", &issuer).finish_non_exhaustive()
    }
}
