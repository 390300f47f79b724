//! SCIM 2.0 provisioning under `/scim/v2` (RFC 7643, RFC 7644): converts between SCIM and the service.
//!
//! A layer authenticates every route by a credential of its own kind. The extractor `Client` in the
//! signature of a handler rejects every request that did not pass it. Errors are SCIM error bodies,
//! also those of the layers around the router.

mod attribute_path;
mod authenticate;
mod body;
mod discovery;
mod error;
mod filter;
mod grammar;
mod patch;
mod query;
mod schemas;
mod selection;
mod user_body;
mod user_view;
mod users;

use axum::{
    Router, middleware,
    routing::{get, post},
};

use crate::{app::App, config::Config};
use error::ScimError;
pub(crate) use error::convert_error;

/// The schema of users (RFC 7643, section 4.1).
const USER_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// The media type of bodies (RFC 7644, section 3.1).
const MEDIA_TYPE: &str = "application/scim+json";

/// The URL of `/scim/v2`. It is made from the public URL, never from the `Host` header.
#[derive(Clone, Debug)]
struct BaseUrl(String);

/// Returns whether a normalized path belongs to this module.
#[must_use]
pub(crate) fn is_scim_path(path: &str) -> bool {
    path.strip_prefix("/scim").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns the routes.
pub fn routes(app: &App, config: &Config) -> Router {
    let base = BaseUrl(format!("{}/scim/v2", config.public_url()));
    Router::new()
        .route("/scim/v2/Users", get(users::list).post(users::create))
        .route("/scim/v2/Users/{id}", get(users::find).put(users::replace).patch(users::change).delete(users::delete))
        .route("/scim/v2/ServiceProviderConfig", get(discovery::service_provider_config))
        .route("/scim/v2/ResourceTypes", get(discovery::resource_types))
        .route("/scim/v2/ResourceTypes/{id}", get(discovery::resource_type))
        .route("/scim/v2/Schemas", get(discovery::schemas))
        .route("/scim/v2/Schemas/{id}", get(discovery::schema))
        .route("/scim/v2/.search", post(users::search))
        .route("/scim/v2/Users/.search", post(users::search))
        .method_not_allowed_fallback(async || ScimError::MethodNotAllowed)
        .route_layer(middleware::from_fn_with_state(app.scim().clone(), authenticate::authenticate))
        .layer(axum::Extension(base))
        .with_state(app.clone())
}
