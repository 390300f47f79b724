//! The HTTP client of outbound requests.

use std::{error::Error as _, fmt, sync::Arc, time::Duration};

use reqwest::{
    Client, StatusCode,
    header::{HeaderMap, HeaderName, HeaderValue},
    redirect,
};

use super::{
    AddressPolicy, InvalidOutboundUrl, OutboundUrl,
    resolver::{GuardedResolver, Lookup, ResolveError},
};

/// The time limit of a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const USER_AGENT: &str = concat!("Tokenward/", env!("CARGO_PKG_VERSION"));

/// A client that connects only to allowed addresses. Cheap to clone.
#[derive(Clone)]
pub struct OutboundClient {
    client: Client,
    policy: AddressPolicy,
}

/// A POST request with a JSON body.
pub struct OutboundRequest {
    pub url: OutboundUrl,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: String,
}

/// The cause of a request without a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    #[error("no response in time")]
    TimedOut,
    #[error("no connection, or the connection broke")]
    ConnectionFailed,
    #[error("the name has no address, or the resolver failed")]
    NameNotResolved,
    #[error("no address of the host may be connected to")]
    AddressNotAllowed,
}

impl OutboundClient {
    /// Creates a client whose requests take at most `timeout` each.
    ///
    /// # Errors
    /// [`reqwest::Error`] if the roots of the system cannot be loaded.
    pub fn new(policy: AddressPolicy, lookup: Lookup, timeout: Duration) -> Result<Self, reqwest::Error> {
        // The installation fails if a provider is installed already, and any provider is suitable.
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = Client::builder()
            .dns_resolver(Arc::new(GuardedResolver { policy, lookup }))
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            .timeout(timeout)
            .connect_timeout(CONNECT_TIMEOUT)
            // A kept connection may be closed by the receiver just when a request is written to it.
            .pool_max_idle_per_host(0)
            .user_agent(USER_AGENT)
            .build()?;
        Ok(Self { client, policy })
    }

    /// Parses a URL for requests of this client.
    ///
    /// # Errors
    /// [`InvalidOutboundUrl`] if a request to the URL would always fail.
    pub fn parse_url(&self, text: &str) -> Result<OutboundUrl, InvalidOutboundUrl> {
        OutboundUrl::parse(text, self.policy)
    }

    /// Sends a request and returns the status of the response. The body of the response is not read.
    ///
    /// # Errors
    /// [`OutboundError`] if there is no response.
    pub async fn post_json(&self, request: OutboundRequest) -> Result<StatusCode, OutboundError> {
        let OutboundRequest { url, headers, body } = request;
        // The resolver is not asked about literal addresses.
        if url.literal_address().is_some_and(|address| self.policy.check(address).is_err()) {
            return Err(OutboundError::AddressNotAllowed);
        }
        let headers: HeaderMap = headers.into_iter().collect();
        let request = self
            .client
            .post(url.to_url())
            .headers(headers)
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .body(body);
        // Dropping the response closes its connection.
        request.send().await.map(|response| response.status()).map_err(|error| classify(&error))
    }
}

impl fmt::Debug for OutboundClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboundClient").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// Finds the cause of a failed request. The text of the error is not used, because it has the URL.
fn classify(error: &reqwest::Error) -> OutboundError {
    let mut source = error.source();
    while let Some(cause) = source {
        match cause.downcast_ref::<ResolveError>() {
            Some(ResolveError::NotAllowed) => return OutboundError::AddressNotAllowed,
            Some(ResolveError::NotFound | ResolveError::Failed(_)) => return OutboundError::NameNotResolved,
            None => source = cause.source(),
        }
    }
    if error.is_timeout() { OutboundError::TimedOut } else { OutboundError::ConnectionFailed }
}
