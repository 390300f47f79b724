//! The requests of `tokenward login`.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, anyhow, bail, ensure};
use reqwest::{
    Response, StatusCode, Url,
    header::{ACCEPT, RETRY_AFTER},
    redirect,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::service_url::ServiceUrl;
use crate::{
    cli::{VERSION, output::printable},
    domain::{causes::Causes, token::Lifetime},
};

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const CLIENT_ID: &str = "tokenward";
/// The time limit of a request.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest response, in bytes.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;
/// The shortest time between two polls, whatever the service sends.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// The longest time between the first two polls, whatever the service sends.
const MAX_FIRST_INTERVAL: Duration = Duration::from_secs(60);
/// The longest user code, in bytes.
const MAX_USER_CODE_BYTES: usize = 64;
/// The longest text of an error, in characters.
const MAX_DESCRIPTION_CHARS: usize = 500;
/// The longest time for which codes are polled, whatever the service sends.
const MAX_EXPIRES_IN: Duration = Duration::from_secs(3_600);
/// The longest host name in the `User-Agent`.
const MAX_HOST_CHARS: usize = 64;

/// The HTTP client for one service.
pub(super) struct Client {
    http: reqwest::Client,
    begin: Url,
    token: Url,
}

/// A login that the service has begun.
pub(super) struct BegunLogin {
    pub(super) device_code: Zeroizing<String>,
    pub(super) user_code: String,
    pub(super) page: ServiceUrl,
    pub(super) expires_in: Duration,
    pub(super) interval: Duration,
}

/// A token that the service has created.
pub(super) struct IssuedToken {
    pub(super) value: Zeroizing<String>,
    /// `None`: never expires.
    pub(super) expires_in: Option<u64>,
}

/// The result of a poll.
pub(super) enum Poll {
    Issued(IssuedToken),
    Pending,
    SlowDown,
    /// The service limits requests, or is not available.
    RetryAfter(Duration),
    /// There was no response.
    NoResponse(String),
    /// A final error.
    Rejected {
        code: String,
        description: String,
    },
}

#[derive(Deserialize)]
struct BegunBody {
    device_code: Zeroizing<String>,
    user_code: String,
    verification_uri: String,
    expires_in: u64,
    /// RFC 8628, section 3.2: 5 if absent.
    interval: Option<u64>,
}

#[derive(Deserialize)]
struct TokenBody {
    access_token: Zeroizing<String>,
    expires_in: Option<u64>,
}

#[derive(Default, Deserialize)]
struct ErrorBody {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Client {
    /// Creates a client. TLS accepts the authorities in the file, or those of the system.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub(super) fn new(service: &ServiceUrl, ca_file: Option<&Path>) -> anyhow::Result<Self> {
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls_config(ca_file)?)
            .redirect(redirect::Policy::none())
            .referer(false)
            .timeout(TIMEOUT)
            // A kept connection may be closed by a proxy just when a request is written to it.
            .pool_max_idle_per_host(0)
            .user_agent(user_agent());
        if service.is_loopback() {
            builder = builder.no_proxy();
        }
        let http = builder.build().context("cannot create the HTTP client")?;
        let [begin, token] = ["/oauth2/device_authorization", "/oauth2/token"].map(|path| service.endpoint(path));
        Ok(Self { http, begin, token })
    }

    /// Begins a login.
    ///
    /// # Errors
    /// If the service cannot be reached, or rejects the request.
    pub(super) async fn begin(
        &self,
        description: &str,
        lifetime: Option<Lifetime>,
        scopes: &[String],
    ) -> anyhow::Result<BegunLogin> {
        let lifetime = lifetime.map(|lifetime| lifetime.as_seconds().to_string()).unwrap_or_default();
        let scope = scopes.join(" ");
        // An empty parameter counts as absent.
        let form = [("client_id", CLIENT_ID), ("description", description), ("lifetime", &lifetime), ("scope", &scope)];
        let response =
            self.send(&self.begin, &form).await.with_context(|| format!("no response from {}", self.begin))?;
        let status = response.status();
        let body = read(response).await?;
        if status != StatusCode::OK {
            let error = parse_error(&body);
            ensure!(!error.error.is_empty(), "{} responded with {status}; is it a Tokenward service?", self.begin);
            bail!("the service rejected the login ({}): {}", error.error, error.error_description);
        }
        let body: BegunBody = serde_json::from_slice(&body)
            .map_err(|_| anyhow!("{} responded with something else than RFC 8628 describes", self.begin))?;
        let page = body.verification_uri.parse();
        let page = page.map_err(|why: String| anyhow!("the service sent an unusable address of a page: {why}"))?;
        ensure!(body.user_code.len() <= MAX_USER_CODE_BYTES, "the service sent a user code that is too long");
        Ok(BegunLogin {
            device_code: body.device_code,
            user_code: body.user_code,
            page,
            expires_in: Duration::from_secs(body.expires_in).min(MAX_EXPIRES_IN),
            interval: Duration::from_secs(body.interval.unwrap_or(5)).clamp(MIN_INTERVAL, MAX_FIRST_INTERVAL),
        })
    }

    /// Polls once.
    pub(super) async fn poll(&self, device_code: &str) -> Poll {
        let form = [("grant_type", GRANT_TYPE), ("device_code", device_code), ("client_id", CLIENT_ID)];
        let response = match self.send(&self.token, &form).await {
            Ok(response) => response,
            Err(error) => return Poll::NoResponse(printable(&Causes(&error.without_url()).to_string())),
        };
        let (status, retry_after) = (response.status(), retry_after(&response));
        let body = match read(response).await {
            Ok(body) => body,
            Err(error) => return Poll::NoResponse(printable(&format!("{error:#}"))),
        };
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Poll::RetryAfter(retry_after);
        }
        if status.is_server_error() {
            return Poll::NoResponse(format!("the service responded with {status}"));
        }
        if status == StatusCode::OK {
            return parse_token(&body);
        }
        let error = parse_error(&body);
        match error.error.as_str() {
            "authorization_pending" => Poll::Pending,
            "slow_down" => Poll::SlowDown,
            "" => rejected("unexpected", &format!("the service responded with {status}")),
            code => rejected(code, &error.error_description),
        }
    }

    async fn send(&self, url: &Url, form: &[(&str, &str)]) -> Result<Response, reqwest::Error> {
        self.http.post(url.clone()).header(ACCEPT, "application/json").form(form).send().await
    }
}

fn rejected(code: &str, description: &str) -> Poll {
    Poll::Rejected { code: code.to_owned(), description: description.to_owned() }
}

/// Returns the token of a successful response.
fn parse_token(body: &[u8]) -> Poll {
    match serde_json::from_slice::<TokenBody>(body) {
        // The value is printed, so it must be one word without control characters.
        Ok(token)
            if !token.access_token.is_empty() && token.access_token.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            Poll::Issued(IssuedToken { value: token.access_token, expires_in: token.expires_in })
        }
        _ => rejected("unexpected", "the response has no token"),
    }
}

/// Returns the error in a response, with texts that can be printed; an empty one if there is none.
fn parse_error(body: &[u8]) -> ErrorBody {
    let error: ErrorBody = serde_json::from_slice(body).unwrap_or_default();
    let shorten = |text: &str| printable(&text.chars().take(MAX_DESCRIPTION_CHARS).collect::<String>());
    ErrorBody { error: shorten(&error.error), error_description: shorten(&error.error_description) }
}

/// Returns the delay that a response demands.
fn retry_after(response: &Response) -> Duration {
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(1))
}

/// Reads the body of a response, which may have a secret.
async fn read(mut response: Response) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let mut body = Zeroizing::new(Vec::with_capacity(MAX_RESPONSE_BYTES));
    while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        ensure!(body.len() + chunk.len() <= MAX_RESPONSE_BYTES, "the response is too long");
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Returns the TLS configuration: versions 1.2 and 1.3.
fn tls_config(ca_file: Option<&Path>) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Some(path) => {
            let unreadable = || format!("cannot read certificates from {}", path.display());
            for certificate in CertificateDer::pem_file_iter(path).with_context(unreadable)? {
                roots.add(certificate.with_context(unreadable)?).with_context(unreadable)?;
            }
            ensure!(!roots.is_empty(), "{} has no certificate", path.display());
        }
    }
    Ok(ClientConfig::builder_with_provider(std::sync::Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// Returns the `User-Agent`, which the person sees before approving: program, system and host name.
fn user_agent() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let is_name = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let host: String = host.chars().filter(is_name).take(MAX_HOST_CHARS).collect();
    let host = if host.is_empty() { host } else { format!("; {host}") };
    format!("tokenward/{VERSION} ({}{host})", std::env::consts::OS)
}
