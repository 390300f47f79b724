//! `GET /.well-known/oauth-authorization-server` (RFC 8414): authorization server metadata.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::token_endpoint::GRANT_TYPES;
use crate::{app::App, config::Config, http::json::Json};

pub(super) fn routes(config: &Config) -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(metadata)).with_state(config.public_url())
}

/// The OAuth 2.0 endpoints and their authentication methods. There is no authorization endpoint: tokens are
/// created through the API, on the pages, or by a grant without one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OAuthMetadata)]
struct Metadata {
    issuer: String,
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: [&'static str; 2],
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: [&'static str; 1],
    device_authorization_endpoint: String,
    token_endpoint: String,
    token_endpoint_auth_methods_supported: [&'static str; 1],
    response_types_supported: [&'static str; 0],
    grant_types_supported: &'static [&'static str],
}

/// Get the OAuth 2.0 metadata (RFC 8414)
///
/// The endpoints that create, introspect and revoke tokens and begin device authorizations, and how clients
/// authenticate there.
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", operation_id = "getOAuthMetadata", tag = "oauth2", security(()),
    responses((status = 200, description = "The metadata", body = Metadata)))]
async fn metadata(State(issuer): State<String>) -> Json<Metadata> {
    Json(Metadata {
        introspection_endpoint: format!("{issuer}/oauth2/introspect"),
        introspection_endpoint_auth_methods_supported: ["client_secret_basic", "bearer"],
        revocation_endpoint: format!("{issuer}/oauth2/revoke"),
        revocation_endpoint_auth_methods_supported: ["none"],
        device_authorization_endpoint: format!("{issuer}/oauth2/device_authorization"),
        token_endpoint: format!("{issuer}/oauth2/token"),
        token_endpoint_auth_methods_supported: ["none"],
        response_types_supported: [],
        grant_types_supported: &GRANT_TYPES,
        issuer,
    })
}
