//! `envoy.service.auth.v3.Authorization/Check`: Envoy asks by gRPC, on a listener of its own.
//!
//! Allowed: our identity headers, by overwrite, and the client's spellings of them removed. Denied: the 401 or 403 of the API.
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
    identity,
    requirements::{self, Unknown},
};
use crate::{
    app::App,
    config::Delegate,
    domain::event::Origin,
    entry::{
        ApiError,
        doors::{Doors, note_in_log},
    },
    guard::{Principal, Requirements},
    service::{Refusal, Refusals, act},
};

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
        let decided = act::from(origin(&request), self.decide(&request));
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

/// The client's `Authorization`. Envoy joins two fields with a comma, which no credential has.
fn authorization(request: &CheckRequest) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(value) =
        client_headers(request).find_map(|(name, value)| (name == AUTHORIZATION.as_str()).then_some(value))
    {
        // What is no header value is no credential either, but it was there.
        headers.insert(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap_or(HeaderValue::from_static("Bearer ,")));
    }
    headers
}

/// The client's headers, names in lower case. Envoy sends them as text, or, where so configured, as raw bytes.
fn client_headers(request: &CheckRequest) -> impl Iterator<Item = (&str, &[u8])> {
    let http = request.attributes.as_ref().and_then(|attributes| attributes.request.as_ref()?.http.as_ref());
    let text = http.into_iter().flat_map(|http| &http.headers).map(|(name, value)| (name.as_str(), value.as_bytes()));
    let raw = http.into_iter().filter_map(|http| http.header_map.as_ref()).flat_map(|map| &map.headers);
    text.chain(raw.map(|header| {
        let value = if header.raw_value.is_empty() { header.value.as_bytes() } else { &header.raw_value };
        (header.key.as_str(), value)
    }))
}

fn allow(caller: &Principal, request: &CheckRequest) -> CheckResponse {
    let ours = identity::HEADERS.into_iter().zip(identity::values(caller));
    let spoofed = client_headers(request).map(|(name, _)| name);
    let spoofed = spoofed.filter(|name| identity::resembles_ours(name) && !identity::HEADERS.contains(name));
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
