//! `envoy.service.auth.v3.Authorization/Check`: Envoy asks by gRPC, on a listener of its own.
//!
//! Allowed: our identity headers, by overwrite, and the client's spellings of them removed. AuthError: the 401 or 403 of the API.
//! A check that could not be made is the gRPC status `UNAVAILABLE`, so that Envoy's `failure_mode_allow` decides; never a
//! denial. The requirements come from the filter's context extension `require`, which only the operator writes.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header::AUTHORIZATION},
    response::IntoResponse as _,
};
use envoy_types::{
    ext_authz::v3::pb::{
        Authorization, AuthorizationServer, CheckRequest, CheckResponse, DeniedHttpResponse, HeaderAppendAction,
        HeaderValue as EnvoyHeader, HeaderValueOption, HttpResponse, HttpStatus, OkHttpResponse,
    },
    pb::{envoy::config::core::v3::address::Address as EnvoyAddress, google::rpc},
};
use tonic::{Code, Request, Response, Status, async_trait};

use super::{
    identity_headers,
    requirements::{self, Unknown},
};
use crate::{
    app::App,
    config::Delegate,
    domain::event::Origin,
    http::{
        ApiError,
        authenticate::{Doors, note_in_log},
    },
    service::{Refusal, Refusals, request_context},
};
use tokenward_guard::{Principal, Requirements};

/// The context extension that holds the requirements.
const REQUIRE: &str = "require";

/// The gRPC service.
#[derive(Clone)]
pub struct ExtAuthz {
    doors: Doors,
    refusals: Refusals,
}

impl ExtAuthz {
    /// The checks of a running service.
    #[must_use]
    pub fn new(app: &App, config: &Delegate) -> Self {
        Self { doors: Doors::new(app).with_passwords(config.basic), refusals: app.refusals().clone() }
    }

    /// The same, to be added to a gRPC server.
    #[must_use]
    pub fn server(app: &App, config: &Delegate) -> AuthorizationServer<Self> {
        AuthorizationServer::new(Self::new(app, config))
    }

    async fn decide(&self, request: &CheckRequest) -> Result<Principal, ApiError> {
        let caller = self.doors.admit_for_proxy(&authorization(request)).await?.caller()?;
        note_in_log(&caller);
        let extensions = request.attributes.as_ref().map(|attributes| &attributes.context_extensions);
        let requirements = match extensions.and_then(|extensions| extensions.get(REQUIRE)) {
            None => Requirements::default(),
            Some(text) => requirements::parse(text).map_err(|Unknown| {
                tracing::warn!(requirements = ?text, "Envoy asks for what is no requirement: nobody is let in");
                Refusal::UnknownRequirement
            })?,
        };
        if requirements.are_met_by(&caller) { Ok(caller) } else { Err(Refusal::RequirementsNotMet.into()) }
    }
}

#[async_trait]
impl Authorization for ExtAuthz {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let request = request.into_inner();
        let span =
            tracing::info_span!("ext_authz", person.id = tracing::field::Empty, token.id = tracing::field::Empty);
        let decided = request_context::from(origin(&request), self.decide(&request));
        let outcome = tracing::Instrument::instrument(decided, span.clone()).await;
        if let Err(error) = &outcome
            && !error.status().is_server_error()
        {
            self.refusals.note_check("ext_authz", error.cause().as_deref().unwrap_or("not permitted"));
        }
        let _inside = span.enter();
        match outcome {
            Ok(caller) => {
                tracing::debug!("allowed");
                Ok(Response::new(allow(&caller, &request)))
            }
            Err(error) if error.status().is_server_error() => {
                tracing::warn!(error = error.details(), "a check could not be made");
                Err(Status::unavailable(error.details()))
            }
            Err(error) => {
                tracing::debug!(error = error.details(), "denied");
                Ok(Response::new(deny(error)))
            }
        }
    }
}

/// The client, as Envoy knows it: Envoy alone reaches this port, and it decides whom it takes for the client.
fn origin(request: &CheckRequest) -> Origin {
    let peer = request.attributes.as_ref().and_then(|attributes| attributes.source.as_ref()?.address.as_ref());
    let address = match peer.and_then(|address| address.address.as_ref()) {
        Some(EnvoyAddress::SocketAddress(socket)) => socket.address.parse().ok(),
        _ => None,
    };
    Origin { address, ..Origin::default() }
}

/// Every `Authorization` of the client, however it is transmitted: of several none counts, as in a request by HTTP. Envoy itself joins
/// two fields with a comma, which no credential has.
fn authorization(request: &CheckRequest) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (_, value) in client_headers(request).filter(|(name, _)| name.eq_ignore_ascii_case(AUTHORIZATION.as_str())) {
        // What is no header value is no credential either, but it was there.
        headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap_or(HeaderValue::from_static("Bearer ,")));
    }
    headers
}

/// The client's headers. Envoy sends them as text with names in lower case, or, where so configured, as raw bytes.
fn client_headers(request: &CheckRequest) -> impl Iterator<Item = (&str, &[u8])> {
    let http = request.attributes.as_ref().and_then(|attributes| attributes.request.as_ref()?.http.as_ref());
    let text = http.into_iter().flat_map(|http| &http.headers).map(|(name, value)| (name.as_str(), value.as_bytes()));
    let raw = http.into_iter().filter_map(|http| http.header_map.as_ref()).flat_map(|map| &map.headers);
    text.chain(raw.flat_map(|header| {
        // One entry has one value; an entry with both says two things.
        let (text, raw) = (header.value.as_bytes(), header.raw_value.as_slice());
        let values = if raw.is_empty() { [Some(text), None] } else { [Some(raw), (!text.is_empty()).then_some(text)] };
        values.into_iter().flatten().map(|value| (header.key.as_str(), value))
    }))
}

fn allow(caller: &Principal, request: &CheckRequest) -> CheckResponse {
    let ours = identity_headers::HEADERS.into_iter().zip(identity_headers::values(caller));
    let spoofed = client_headers(request).map(|(name, _)| name);
    let spoofed =
        spoofed.filter(|name| identity_headers::resembles_ours(name) && !identity_headers::HEADERS.contains(name));
    let ok = OkHttpResponse {
        headers: ours.map(|(name, value)| overwrite(name, &value)).collect(),
        headers_to_remove: spoofed.map(str::to_owned).collect(),
        ..OkHttpResponse::default()
    };
    answer(Code::Ok, HttpResponse::OkResponse(ok))
}

fn deny(error: ApiError) -> CheckResponse {
    let status = error.status();
    let body = serde_json::to_string(&error.body()).unwrap_or_default();
    let response = error.into_response();
    let headers = response.headers().iter().filter_map(|(name, value)| {
        let action = HeaderAppendAction::AppendIfExistsOrAdd;
        Some(header(name.as_str(), value.to_str().ok()?, action))
    });
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: i32::from(status.as_u16()) }),
        headers: headers.collect(),
        body,
    };
    let code = if status == StatusCode::UNAUTHORIZED { Code::Unauthenticated } else { Code::PermissionDenied };
    answer(code, HttpResponse::DeniedResponse(denied))
}

fn answer(code: Code, response: HttpResponse) -> CheckResponse {
    CheckResponse {
        status: Some(rpc::Status { code: code as i32, ..rpc::Status::default() }),
        http_response: Some(response),
        ..CheckResponse::default()
    }
}

fn overwrite(name: &str, value: &str) -> HeaderValueOption {
    header(name, value, HeaderAppendAction::OverwriteIfExistsOrAdd)
}

fn header(name: &str, value: &str, action: HeaderAppendAction) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(EnvoyHeader { key: name.to_owned(), value: value.to_owned(), ..EnvoyHeader::default() }),
        append_action: action as i32,
        ..HeaderValueOption::default()
    }
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::{
        config::core::v3::HeaderMap as EnvoyHeaderMap,
        service::auth::v3::{AttributeContext, attribute_context},
    };

    use super::*;
    use tokenward_guard::Credential;

    /// A check whose client sent these fields: as text, and as entries of the header map (name, value, raw value).
    fn check(text: &[(&str, &str)], map: &[(&str, &str, &[u8])]) -> CheckRequest {
        let headers = text.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let entries = map.iter().map(|(key, value, raw)| EnvoyHeader {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
            raw_value: raw.to_vec(),
        });
        let http = attribute_context::HttpRequest {
            headers: headers.collect(),
            header_map: (!map.is_empty()).then(|| EnvoyHeaderMap { headers: entries.collect() }),
            ..attribute_context::HttpRequest::default()
        };
        let request = attribute_context::Request { http: Some(http), ..attribute_context::Request::default() };
        CheckRequest { attributes: Some(AttributeContext { request: Some(request), ..AttributeContext::default() }) }
    }

    fn read(request: &CheckRequest) -> String {
        match Credential::from_headers(&authorization(request)) {
            Ok(Credential::Bearer(presented)) => format!("bearer {}", presented.expose()),
            Ok(Credential::Basic(_)) => "basic".to_owned(),
            Ok(Credential::InvalidBearer) => "bad".to_owned(),
            Ok(Credential::Missing) => "missing".to_owned(),
            Err(malformed) => format!("{malformed:?}"),
        }
    }

    #[test]
    fn one_authorization_is_read_however_it_is_transmitted() {
        let good = "Bearer abc";
        for request in [
            check(&[("authorization", good), ("x", "y")], &[]),
            check(&[("Authorization", good)], &[]),
            check(&[], &[("authorization", good, b"")]),
            check(&[], &[("authorization", "", good.as_bytes()), ("x", "", b"y")]),
            check(&[("x", "y")], &[("AUTHORIZATION", "", good.as_bytes())]),
        ] {
            assert_eq!(read(&request), "bearer abc", "{request:?}");
        }
        assert_eq!(read(&check(&[], &[])), "missing");
        assert_eq!(read(&CheckRequest::default()), "missing");
    }

    /// Every way to transmit two fields, with every pair of values: none of them counts.
    #[test]
    fn of_several_none_counts() {
        let values = ["Bearer abc", "Bearer def", "Basic eDp5", "Digest x", "nonsense"];
        for (first, second) in values.iter().flat_map(|first| values.map(|second| (*first, second))) {
            let [a, b] = [first.as_bytes(), second.as_bytes()];
            for request in [
                check(&[], &[("authorization", "", a), ("authorization", "", b)]),
                check(&[], &[("authorization", first, b""), ("authorization", second, b"")]),
                check(&[], &[("authorization", first, b""), ("authorization", "", b)]),
                check(&[], &[("authorization", "", a), ("x", "", b"y"), ("Authorization", "", b)]),
                check(&[], &[("authorization", first, b)]),
                check(&[("authorization", first)], &[("authorization", "", b)]),
                check(&[("authorization", first)], &[("authorization", second, b"")]),
                check(&[("authorization", first), ("Authorization", second)], &[]),
            ] {
                assert_eq!(read(&request), "Malformed", "{request:?}");
            }
        }
        // An empty field is a field.
        assert_eq!(read(&check(&[], &[("authorization", "", b"Bearer abc"), ("authorization", "", b"")])), "Malformed");
        // What Envoy makes of two fields.
        assert_eq!(read(&check(&[("authorization", "Bearer abc,Bearer def")], &[])), "Malformed");
        assert_eq!(read(&check(&[], &[("authorization", "", b"Bearer abc\n")])), "Malformed");
    }
}
