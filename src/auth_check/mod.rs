//! Others ask us: reverse proxies by forward auth and by Envoy's gRPC, services in any language by OAuth 2.0 introspection.
//!
//! All of them rest on the one verification of the tokens service: same rules, same outcome, same `lastUsed`. None of them
//! tells an outsider why.

mod ext_authz;
pub(crate) mod fast_path;
mod forward_auth;
pub(crate) mod grpc;
mod grpc_stream;
mod identity_headers;
mod introspection;
mod metadata;
mod oauth;
mod requirements;
mod revocation;

use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{app::App, config::Delegate};
pub use ext_authz::ExtAuthz;
pub use forward_auth::ForwardAuth;
pub use introspection::{Introspection, PATH as INTROSPECT};
pub(crate) use oauth::OAuthErrorBody;

/// What stands in the document; the routes themselves need a running service.
#[derive(OpenApi)]
#[openapi(
    paths(
        forward_auth::check,
        forward_auth::check_requirements,
        introspection::introspect,
        revocation::revoke,
        metadata::metadata
    ),
    components(schemas(OAuthErrorBody))
)]
struct Described;

/// The operations of this module, for the document.
pub(crate) fn described() -> utoipa::openapi::OpenApi {
    Described::openapi()
}

/// The endpoints of OAuth 2.0 that the router answers: revocation and what finds them all.
pub fn oauth(config: &Delegate) -> OpenApiRouter<App> {
    OpenApiRouter::new().merge(revocation::routes()).merge(metadata::routes(config))
}
