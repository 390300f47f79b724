//! An issuer with a discovery document: its endpoints and its keys.

use std::{sync::Arc, time::Duration};

use crate::{
    AddressRule, Denial, Endpoint, Error, SettingsError, Unavailable, UnavailableCause,
    cache::{Cached, MonotonicClock},
    claims::Claims,
    crypto,
    fetch::{Fetcher, UrlRule},
    jwk::KeySet,
    jwt::{Failure, Header},
    metadata::Metadata,
    settings::parse_issuer,
    tls::Authorities,
};

/// An issuer with a discovery document.
pub(crate) struct Provider {
    issuer: String,
    rule: UrlRule,
    fetcher: Fetcher,
    metadata: Cached<Metadata>,
    keys: Cached<KeySet>,
}

impl Provider {
    /// Creates an issuer. Does not connect.
    ///
    /// # Errors
    /// A [`SettingsError`] if the issuer is not a URL of the allowed form, or if there are no
    /// certificate authorities.
    pub(crate) fn new(
        issuer: &str,
        authorities: Authorities<'_>,
        addresses: AddressRule,
        timeout: Duration,
        clock: MonotonicClock,
    ) -> Result<Self, SettingsError> {
        crypto::install()?;
        let url = parse_issuer(issuer)?;
        Ok(Self {
            issuer: issuer.to_owned(),
            rule: UrlRule::for_issuer(&url),
            fetcher: Fetcher::new(&url, authorities, addresses, timeout)?,
            metadata: Cached::new(clock.clone()),
            keys: Cached::new(clock),
        })
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(crate) fn fetcher(&self) -> &Fetcher {
        &self.fetcher
    }

    /// Returns the discovery document.
    pub(crate) async fn metadata(&self) -> Result<Arc<Metadata>, Unavailable> {
        self.metadata.get(async || self.load_metadata().await).await
    }

    /// Verifies the signature of a JWT and returns its claims. `types` are the accepted values of
    /// `typ` in lower case; it may also be absent. A JWT whose key is unknown loads the keys again.
    pub(crate) async fn verify_signature(&self, token: &str, types: &[&str]) -> Result<Claims, Error> {
        let header = Header::parse(token, types)?;
        let keys = self.keys.get(async || self.load_keys().await).await?;
        let denial = match header.verify(token, &keys) {
            Ok(claims) => return Ok(claims),
            Err(Failure::Denied(denial)) => return Err(denial.into()),
            Err(Failure::NoKey(denial)) => denial,
        };
        let Some(keys) = self.keys.refresh(&keys, async || self.load_keys().await).await? else {
            return Err(denial.into());
        };
        Ok(header.verify(token, &keys).map_err(Denial::from)?)
    }

    async fn load_metadata(&self) -> Result<Metadata, Unavailable> {
        let load = async {
            let document = self.fetcher.get(&Metadata::url(&self.issuer)?).await?;
            Metadata::parse(&document, &self.issuer, self.rule)
        };
        load.await.map_err(|cause| self.unavailable(Endpoint::Discovery, cause))
    }

    async fn load_keys(&self) -> Result<KeySet, Unavailable> {
        let metadata = self.metadata().await?;
        let document = self.fetcher.get(&metadata.jwks_uri).await;
        let keys = document.and_then(|document| KeySet::parse(&document).ok_or(UnavailableCause::InvalidDocument));
        keys.map_err(|cause| self.unavailable(Endpoint::Keys, cause))
    }

    /// Returns the error for a part of this provider.
    pub(crate) fn unavailable(&self, endpoint: Endpoint, cause: UnavailableCause) -> Unavailable {
        Unavailable { issuer: self.issuer.clone(), endpoint, cause }
    }
}
