//! Auth checks for reverse proxies (forward auth, Envoy `ext_authz`) and services (OAuth 2.0
//! introspection).
//!
//! All of them use the verification of the token service: same rules, same result, same `lastUsed`.
//! Responses never contain the reason of a denial.

mod batch;
mod counters;
mod denied;
mod device_authorization;
mod device_grant;
mod dispatch;
pub mod envoy_messages;
mod envoy_service;
mod ext_authz;
mod forward_auth;
pub(crate) mod grpc;
mod grpc_stream;
mod identity_headers;
mod introspection;
mod latency;
mod metadata;
mod oauth;
mod outcome;
mod requirements;
mod revocation;
mod token_endpoint;
mod token_exchange;
mod token_form;

use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{app::App, config::Config};
pub(crate) use counters::AuthCheckCounters;
pub(crate) use dispatch::{AuthChecks, CheckRequestInfo};
pub use ext_authz::ExtAuthz;
pub(crate) use oauth::{OAuthError, OAuthErrorBody};
pub(crate) use outcome::{CachedCheck, CheckOutcome};

/// The OpenAPI description of the auth checks. The pipeline serves them outside the router.
#[derive(OpenApi)]
#[openapi(
    paths(
        forward_auth::check,
        forward_auth::check_requirements,
        batch::check_batch,
        introspection::introspect,
        revocation::revoke,
        device_authorization::begin,
        token_endpoint::create_token,
        metadata::metadata
    ),
    components(schemas(OAuthErrorBody))
)]
struct AuthCheckApi;

/// Returns the operations of this module for the OpenAPI document.
pub(crate) fn openapi_document() -> utoipa::openapi::OpenApi {
    AuthCheckApi::openapi()
}

/// Returns the routes of the OAuth 2.0 endpoints that the router serves: revocation, device authorization, grants
/// and metadata.
pub fn oauth_routes(config: &Config) -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(revocation::routes())
        .merge(device_authorization::routes())
        .merge(token_endpoint::routes())
        .merge(metadata::routes(config))
}
