//! `GET /.well-known/oauth-authorization-server` (RFC 8414): where the endpoints are and what they accept.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{app::App, config::Delegate};

pub(super) fn routes(config: &Delegate) -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(metadata)).with_state(config.issuer().to_owned())
}

/// Where the endpoints are and what they accept. There is no authorization endpoint and no grant: tokens are made by the API.
#[derive(Debug, Serialize, ToSchema)]
struct Metadata {
    issuer: String,
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: [&'static str; 2],
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: [&'static str; 1],
    response_types_supported: [&'static str; 0],
    grant_types_supported: [&'static str; 0],
}

/// Find the OAuth 2.0 endpoints (RFC 8414)
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", operation_id = "getOAuthMetadata", tag = "oauth2", security(()),
    responses((status = 200, description = "Where they are", body = Metadata)))]
async fn metadata(State(issuer): State<String>) -> Json<Metadata> {
    Json(Metadata {
        introspection_endpoint: format!("{issuer}/oauth2/introspect"),
        introspection_endpoint_auth_methods_supported: ["client_secret_basic", "bearer"],
        revocation_endpoint: format!("{issuer}/oauth2/revoke"),
        revocation_endpoint_auth_methods_supported: ["none"],
        response_types_supported: [],
        grant_types_supported: [],
        issuer,
    })
}
