//! The HTTP client of requests to a provider, and the URLs that it connects to.

use std::{sync::Arc, time::Duration};

use reqwest::{RequestBuilder, Response, StatusCode, redirect};
use url::{Host, Url};
use zeroize::Zeroizing;

use crate::{
    AddressRule, SettingsError, UnavailableCause,
    addresses::ResolveError,
    tls::{self, Authorities},
};

/// The longest response, in bytes.
pub(crate) const MAX_RESPONSE_BYTES: usize = 256 * 1024;
/// The time limit of a request, from the name look-up to the end of the body.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

const USER_AGENT: &str = concat!("Tokenward/", env!("CARGO_PKG_VERSION"));

/// The URLs that are connected to, or that a browser is sent to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UrlRule {
    allows_loopback_http: bool,
}

impl UrlRule {
    /// Returns the rule for an issuer and its endpoints: `https`, and `http` on loopback hosts if the
    /// issuer itself is there.
    pub(crate) fn for_issuer(issuer: &Url) -> Self {
        Self { allows_loopback_http: issuer.scheme() == "http" }
    }

    pub(crate) fn allows(self, url: &Url) -> bool {
        let has_user = !url.username().is_empty() || url.password().is_some();
        let is_allowed = match url.scheme() {
            "https" => true,
            "http" => self.allows_loopback_http && is_loopback(url),
            _ => false,
        };
        is_allowed && !has_user && url.fragment().is_none()
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// A client without redirects and proxies, with limits of time and size. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Fetcher {
    client: reqwest::Client,
    addresses: AddressRule,
    timeout: Duration,
}

/// A response with its whole body, which may have tokens.
pub(crate) struct Fetched {
    pub(crate) status: StatusCode,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Fetcher {
    /// Creates a client for the URLs of an issuer.
    ///
    /// # Errors
    /// A [`SettingsError`] if there is no authority, or the file is unreadable.
    pub(crate) fn new(
        issuer: &Url,
        authorities: Authorities<'_>,
        addresses: AddressRule,
        timeout: Duration,
    ) -> Result<Self, SettingsError> {
        let config = tls::client_config(authorities, issuer.scheme() == "https")?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            .dns_resolver(Arc::new(addresses.clone()))
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            .timeout(timeout)
            // A kept connection may be closed by the provider just when a request is written to it.
            .pool_max_idle_per_host(0)
            .user_agent(USER_AGENT)
            .build()
            .map_err(SettingsError::Http)?;
        Ok(Self { client, addresses, timeout })
    }

    /// Requests a document. Any status but 200 is an error.
    pub(crate) async fn get(&self, url: &Url) -> Result<Zeroizing<Vec<u8>>, UnavailableCause> {
        let Fetched { status, body } = self.send(self.client.get(url.clone())).await?;
        if status == StatusCode::OK { Ok(body) } else { Err(UnavailableCause::Status { status: status.as_u16() }) }
    }

    /// Starts a POST request for [`send`](Self::send).
    pub(crate) fn post(&self, url: &Url) -> RequestBuilder {
        self.client.post(url.clone())
    }

    /// Sends a request. Redirects, 429 and errors of the server are errors here.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Fetched, UnavailableCause> {
        let request = request.header(reqwest::header::ACCEPT, "application/json");
        let request = request.build().map_err(|error| self.classify(error))?;
        if !self.addresses.allows_literal(request.url()) {
            return Err(UnavailableCause::AddressNotAllowed);
        }
        let response = self.client.execute(request).await.map_err(|error| self.classify(error))?;
        let status = response.status();
        if status.is_redirection() {
            return Err(UnavailableCause::Redirect { status: status.as_u16() });
        }
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(UnavailableCause::Status { status: status.as_u16() });
        }
        let body = self.read(response).await?;
        Ok(Fetched { status, body })
    }

    /// Reads a body in pieces, up to the limit.
    async fn read(&self, mut response: Response) -> Result<Zeroizing<Vec<u8>>, UnavailableCause> {
        // The whole capacity at once: growing would leave copies of tokens in memory.
        let mut body = Zeroizing::new(Vec::with_capacity(MAX_RESPONSE_BYTES));
        while let Some(piece) = response.chunk().await.map_err(|error| self.classify(error))? {
            if body.len() + piece.len() > MAX_RESPONSE_BYTES {
                return Err(UnavailableCause::TooLarge { limit: MAX_RESPONSE_BYTES });
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    fn classify(&self, error: reqwest::Error) -> UnavailableCause {
        if error.is_timeout() {
            return UnavailableCause::TimedOut { limit: self.timeout };
        }
        if let Some(ResolveError::NotAllowed) = find_cause(&error) {
            return UnavailableCause::AddressNotAllowed;
        }
        match find_cause(&error) {
            Some(cause @ rustls::Error::InvalidCertificate(_)) => UnavailableCause::Certificate(cause.clone()),
            _ => UnavailableCause::Connection(Arc::new(error.without_url())),
        }
    }
}

/// Finds an error of a type among the causes of another one.
fn find_cause<'e, E: std::error::Error + 'static>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e E> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    // The source of an I/O error skips the error that it wraps.
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(wrapped) => find_cause(wrapped),
        None => find_cause(error.source()?),
    }
}
