//! The HTTP API under `/v4`: converts between HTTP and the services.
//!
//! Every handler declares its callers with an extractor of `extract`: `AnyCaller`, `AdminCaller`,
//! `PlatformAdminCaller`, `TokenCaller` or `PasswordChanger`. A route without such a parameter
//! would be open to every client; the access matrix test covers all routes. [`crate::http::error`]
//! defines the error responses.

mod authenticate;
mod events;
mod extract;
mod health;
mod invites;
mod json_object;
mod known_parameters;
mod leaks;
pub mod openapi;
mod people;
mod person_create;
mod person_patch;
mod required_scope;
mod serde_types;
mod setting_preview;
mod settings;
mod spelling;
mod stream;
mod strict_json;
mod strict_query;
mod tokens;
mod trust_rules;
mod webhooks;
mod workspaces;

use axum::Router;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
pub use crate::http::ApiError;
use crate::{auth_check, config::Config, http::error};
use authenticate::FeatureOffStatus;
use known_parameters::FeatureGate;

/// Returns the token routes. They do not exist for callers whose workspace has the feature switched
/// off.
fn token_routes() -> OpenApiRouter<App> {
    tokens::routes()
}

/// Returns the other routes that require authentication.
fn other_routes(config: &Config) -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(people::routes())
        .merge(invites::routes())
        .merge(workspaces::routes())
        .merge(settings::routes())
        .merge(setting_preview::routes())
        .merge(events::routes())
        .merge(webhooks::routes())
        .merge(trust_rules::routes())
        .merge(openapi::routes(config))
}

/// Returns the routes that require no authentication.
fn open_routes(config: &Config) -> OpenApiRouter<App> {
    OpenApiRouter::new().merge(health::routes()).merge(leaks::routes()).merge(leaks::format_routes(config))
}

/// Returns the router of a running service. Unknown paths and methods get 404. The forward auth and
/// introspection endpoints are not part of it: they are served before the router.
pub fn routes(app: &App, config: &Config) -> Router {
    let tokens = authenticate::with_authentication(token_routes(), app, FeatureOffStatus::NotFound);
    let others = authenticate::with_authentication(other_routes(config), app, FeatureOffStatus::Unauthorized);
    let open = known_parameters::with_parameter_checks(open_routes(config), FeatureGate::None);
    let routes = OpenApiRouter::new().merge(tokens).merge(others).merge(open).merge(auth_check::oauth_routes(config));
    let (router, _) = routes.split_for_parts();
    router
        .fallback(|| async { ApiError::RouteNotFound })
        .method_not_allowed_fallback(|| async { ApiError::RouteNotFound })
        .with_state(app.clone())
}
