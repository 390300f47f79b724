//! `envoy.service.auth.v3.Authorization/Check`: auth checks by Envoy over gRPC, on a listener of
//! its own.
//!
//! An allowed request gets the identity headers by overwrite, and the client's spellings of them
//! are removed. A denied request gets the 401 or 403 of the API. A check that could not be
//! performed is the gRPC status `UNAVAILABLE`, never a denial, so that Envoy's `failure_mode_allow`
//! decides. The requirements come from the filter's context extension `require`, which only the
//! operator sets.

use std::net::IpAddr;

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::AUTHORIZATION},
    response::IntoResponse as _,
};
use tokio::time::Instant;
use tonic::{Code, Status};

use super::{
    counters::{AuthCheckCounters, Endpoint},
    denied::Denied,
    envoy_messages::{
        self, CheckRequest, CheckResponse, DeniedHttpResponse, HeaderAppendAction, HeaderValue as EnvoyHeader,
        HeaderValueOption, HttpResponse, HttpStatus, OkHttpResponse,
    },
    identity_headers,
    requirements::{self, ParseRequirementsError},
};
use crate::{
    app::App,
    config::Config,
    domain::event::RequestContext,
    http::{
        ApiError,
        authenticate::{Authenticator, record_principal},
        client_ip::{self, PeerAddr, TrustedProxies},
        token_headers,
    },
    service::{DeniedAttemptLog, Error},
};
use tokenward_guard::{Principal, Requirements};

/// The context extension that contains the requirements.
const REQUIRE_EXTENSION: &str = "require";

/// The gRPC service of Envoy's auth checks.
#[derive(Clone)]
pub struct ExtAuthz {
    authenticator: Authenticator,
    denied_attempts: DeniedAttemptLog,
    counters: AuthCheckCounters,
    trusted_proxies: TrustedProxies,
}

impl ExtAuthz {
    /// Creates the gRPC service.
    #[must_use]
    pub fn new(app: &App, config: &Config) -> Self {
        Self::with_counters(app, config, AuthCheckCounters::default())
    }

    /// Creates the gRPC service with the counters of the node.
    pub(super) fn with_counters(app: &App, config: &Config, counters: AuthCheckCounters) -> Self {
        Self {
            authenticator: Authenticator::new(app).for_auth_checks(config.forward_auth.allow_basic),
            denied_attempts: app.denied_attempts().clone(),
            counters,
            trusted_proxies: TrustedProxies::new(&config.listen.trusted_proxies, config.listen.forwarded_header),
        }
    }

    /// Checks a request.
    ///
    /// # Errors
    /// Returns `UNAVAILABLE` if the check could not be performed.
    pub async fn check(&self, request: CheckRequest) -> Result<CheckResponse, Status> {
        let started = Instant::now();
        let context = self.client_context(&request);
        let span = tracing::info_span!(
            "ext_authz",
            person.id = tracing::field::Empty,
            token.id = tracing::field::Empty,
            client.address = context.client_ip.map(tracing::field::display),
        );
        let check = self.authorize(&request, &context);
        let outcome = tracing::Instrument::instrument(check, span.clone()).await;
        let status = outcome.as_ref().map_or_else(|denied| denied.error.status(), |_| StatusCode::OK);
        self.counters.record(Endpoint::ExtAuthz, status, started.elapsed());
        if let Err(Denied { error, .. }) = &outcome
            && !error.status().is_server_error()
        {
            self.denied_attempts.record_auth_check("ext_authz", error.cause().as_deref().unwrap_or("not permitted"));
        }
        let _inside = span.enter();
        match outcome {
            Ok(caller) => {
                tracing::debug!("allowed");
                Ok(allow_response(&caller, &request))
            }
            Err(Denied { error, .. }) if error.status().is_server_error() => {
                tracing::warn!(error = error.details(), "failed to perform a check");
                Err(Status::unavailable(error.details()))
            }
            Err(denied) => {
                tracing::debug!(error = denied.error.details(), "denied");
                Ok(deny_response(denied))
            }
        }
    }

    /// Returns the context with the client address: the source that Envoy reports or, if that is a
    /// trusted proxy, the client that the proxy names. Only Envoy reaches this port.
    fn client_context(&self, request: &CheckRequest) -> RequestContext {
        let source = request.attributes.as_ref().and_then(|attributes| attributes.source.as_ref()?.address.as_ref());
        let socket = source.and_then(|address| address.socket_address.as_ref());
        let Some(source) = socket.and_then(|socket| socket.address.parse::<IpAddr>().ok()) else {
            return RequestContext::default();
        };
        let source = source.to_canonical();
        let mut headers = forwarding_headers(request);
        // Envoy may append the source. A field with that address alone was not sent by a proxy.
        if !self.trusted_proxies.contains(source) && client_ip::names_only(&headers, source) {
            headers.clear();
        }
        self.trusted_proxies.client_context(Some(PeerAddr(source)), &headers)
    }

    /// Authenticates the caller and checks the requirements of the filter.
    async fn authorize(&self, request: &CheckRequest, context: &RequestContext) -> Result<Principal, Denied<ApiError>> {
        let authenticated = self.authenticator.authenticate(&authorization_headers(request), context).await;
        let caller = authenticated.map_err(ApiError::for_proxy)?.into_principal().map_err(ApiError::from)?;
        record_principal(&caller);
        let extensions = request.attributes.as_ref().map(|attributes| &attributes.context_extensions);
        let requirements = match extensions.and_then(|extensions| extensions.get(REQUIRE_EXTENSION)) {
            None => Requirements::default(),
            Some(text) => requirements::parse(text).map_err(|ParseRequirementsError| {
                tracing::warn!(requirements = ?text, "denied a check with invalid requirements");
                Denied::of(&caller, Error::InvalidRequirement.into())
            })?,
        };
        requirements::check(&requirements, caller)
    }
}

/// Returns the fields in which proxies name the client.
fn forwarding_headers(request: &CheckRequest) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in client_headers(request) {
        let name = ["x-forwarded-for", "forwarded"].into_iter().find(|known| name.eq_ignore_ascii_case(known));
        if let (Some(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    headers
}

/// Returns all `Authorization` fields of the client, from every encoding. Several fields are
/// rejected, as over HTTP. Envoy itself joins two fields with a comma, which no credential
/// contains.
fn authorization_headers(request: &CheckRequest) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (_, value) in client_headers(request).filter(|(name, _)| name.eq_ignore_ascii_case(AUTHORIZATION.as_str())) {
        // An invalid header value is not a credential, but it counts as a field.
        headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap_or(HeaderValue::from_static("Bearer ,")));
    }
    headers
}

/// Returns the client's headers. Envoy sends them as text with lower-case names or, if so
/// configured, as raw bytes.
fn client_headers(request: &CheckRequest) -> impl Iterator<Item = (&str, &[u8])> {
    let http = request.attributes.as_ref().and_then(|attributes| attributes.request.as_ref()?.http.as_ref());
    let text = http.into_iter().flat_map(|http| &http.headers).map(|(name, value)| (name.as_str(), value.as_bytes()));
    let raw = http.into_iter().filter_map(|http| http.header_map.as_ref()).flat_map(|map| &map.headers);
    text.chain(raw.flat_map(|header| {
        // An entry has one value. An entry with text and raw bytes counts as two fields.
        let (text, raw) = (header.value.as_bytes(), header.raw_value.as_slice());
        let values = if raw.is_empty() { [Some(text), None] } else { [Some(raw), (!text.is_empty()).then_some(text)] };
        values.into_iter().flatten().map(|value| (header.key.as_str(), value))
    }))
}

/// Returns the response to an allowed request: identity headers, and lookalikes to remove.
fn allow_response(caller: &Principal, request: &CheckRequest) -> CheckResponse {
    let identity = identity_headers::HEADERS.into_iter().zip(identity_headers::header_texts(caller));
    let lookalikes = client_headers(request).map(|(name, _)| name);
    let lookalikes = lookalikes
        .filter(|name| identity_headers::resembles_identity_header(name) && !identity_headers::HEADERS.contains(name));
    let ok = OkHttpResponse {
        headers: identity.map(|(name, value)| overwrite_header(name, &value)).collect(),
        headers_to_remove: lookalikes.map(str::to_owned).collect(),
        response_headers_to_add: sunset_header(caller).into_iter().collect(),
    };
    check_response(Code::Ok, HttpResponse::OkResponse(ok))
}

/// Returns the header that announces the deletion of a replaced token to the client.
fn sunset_header(caller: &Principal) -> Option<HeaderValueOption> {
    let sunset = token_headers::sunset(caller.token()?)?;
    Some(header_option(
        token_headers::SUNSET.as_str(),
        sunset.to_str().ok()?,
        HeaderAppendAction::OverwriteIfExistsOrAdd,
    ))
}

/// Returns the response to a denied request: status, headers and body of the API error.
fn deny_response(denied: Denied<ApiError>) -> CheckResponse {
    let status = denied.error.status();
    let mut body = serde_json::to_string(&denied.error.body()).unwrap_or_default();
    body.push('\n');
    let response = denied.into_response();
    let headers = response.headers().iter().filter_map(|(name, value)| {
        let action = HeaderAppendAction::AppendIfExistsOrAdd;
        Some(header_option(name.as_str(), value.to_str().ok()?, action))
    });
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: i32::from(status.as_u16()) }),
        headers: headers.collect(),
        body,
    };
    let code = if status == StatusCode::UNAUTHORIZED { Code::Unauthenticated } else { Code::PermissionDenied };
    check_response(code, HttpResponse::DeniedResponse(denied))
}

fn check_response(code: Code, response: HttpResponse) -> CheckResponse {
    CheckResponse { status: Some(envoy_messages::Status { code: code as i32 }), http_response: Some(response) }
}

fn overwrite_header(name: &str, value: &str) -> HeaderValueOption {
    header_option(name, value, HeaderAppendAction::OverwriteIfExistsOrAdd)
}

fn header_option(name: &str, value: &str, action: HeaderAppendAction) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(EnvoyHeader { key: name.to_owned(), value: value.to_owned(), ..EnvoyHeader::default() }),
        append_action: action as i32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth_check::envoy_messages::{AttributeContext, HeaderMap as EnvoyHeaderMap, HttpRequest, Request};
    use tokenward_guard::Credential;

    /// Builds a check request with header fields as text and as entries of the header map (name,
    /// value, raw value).
    fn check_request(text: &[(&str, &str)], map: &[(&str, &str, &[u8])]) -> CheckRequest {
        let headers = text.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let entries = map.iter().map(|(key, value, raw)| EnvoyHeader {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
            raw_value: raw.to_vec(),
        });
        let http = HttpRequest {
            headers: headers.collect(),
            header_map: (!map.is_empty()).then(|| EnvoyHeaderMap { headers: entries.collect() }),
        };
        let request = Request { http: Some(http) };
        CheckRequest { attributes: Some(AttributeContext { request: Some(request), ..AttributeContext::default() }) }
    }

    fn describe_credential(request: &CheckRequest) -> String {
        match Credential::from_headers(&authorization_headers(request)) {
            Ok(Credential::Bearer(presented)) => format!("bearer {}", presented.expose()),
            Ok(Credential::Basic(_)) => "basic".to_owned(),
            Ok(Credential::InvalidBearer) => "bad".to_owned(),
            Ok(Credential::Missing) => "missing".to_owned(),
            Err(malformed) => format!("{malformed:?}"),
        }
    }

    #[test]
    fn one_authorization_header_is_read_from_every_encoding() {
        let bearer = "Bearer abc";
        for request in [
            check_request(&[("authorization", bearer), ("x", "y")], &[]),
            check_request(&[("Authorization", bearer)], &[]),
            check_request(&[], &[("authorization", bearer, b"")]),
            check_request(&[], &[("authorization", "", bearer.as_bytes()), ("x", "", b"y")]),
            check_request(&[("x", "y")], &[("AUTHORIZATION", "", bearer.as_bytes())]),
        ] {
            assert_eq!(describe_credential(&request), "bearer abc", "{request:?}");
        }
        assert_eq!(describe_credential(&check_request(&[], &[])), "missing");
        assert_eq!(describe_credential(&CheckRequest::default()), "missing");
    }

    /// Sends every pair of values in every encoding of two fields.
    #[test]
    fn several_authorization_headers_are_malformed() {
        let values = ["Bearer abc", "Bearer def", "Basic eDp5", "Digest x", "nonsense"];
        for (first, second) in values.iter().flat_map(|first| values.map(|second| (*first, second))) {
            let [a, b] = [first.as_bytes(), second.as_bytes()];
            for request in [
                check_request(&[], &[("authorization", "", a), ("authorization", "", b)]),
                check_request(&[], &[("authorization", first, b""), ("authorization", second, b"")]),
                check_request(&[], &[("authorization", first, b""), ("authorization", "", b)]),
                check_request(&[], &[("authorization", "", a), ("x", "", b"y"), ("Authorization", "", b)]),
                check_request(&[], &[("authorization", first, b)]),
                check_request(&[("authorization", first)], &[("authorization", "", b)]),
                check_request(&[("authorization", first)], &[("authorization", second, b"")]),
                check_request(&[("authorization", first), ("Authorization", second)], &[]),
            ] {
                assert_eq!(describe_credential(&request), "MalformedHeader", "{request:?}");
            }
        }
        // An empty field is a field.
        assert_eq!(
            describe_credential(&check_request(
                &[],
                &[("authorization", "", b"Bearer abc"), ("authorization", "", b"")]
            )),
            "MalformedHeader"
        );
        // Envoy joins two fields like this.
        assert_eq!(
            describe_credential(&check_request(&[("authorization", "Bearer abc,Bearer def")], &[])),
            "MalformedHeader"
        );
        assert_eq!(
            describe_credential(&check_request(&[], &[("authorization", "", b"Bearer abc\n")])),
            "MalformedHeader"
        );
    }
}
