//! The API under `/v4`: translates between the wire and the services.
//!
//! Who may call a handler stands in its signature: `Caller`, `Admin`, `PlatformAdmin`, `TokenCaller`, `PasswordChanger`, all in
//! `extract`. A route that no such parameter guards would let anybody in, and a test walks them all.
//! What is answered instead stands in one table, in [`crate::http::error`].

mod authenticate;
mod events;
mod extract;
mod health;
mod json_object;
mod known_parameters;
mod leaks;
pub mod openapi;
mod people;
mod person_patch;
mod serde_types;
mod settings;
mod spelling;
mod stream;
mod strict_json;
mod strict_query;
mod tokens;
mod workspaces;

use axum::Router;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
pub use crate::http::ApiError;
use crate::{auth_check, config::Delegate, http::error};
use authenticate::SwitchedOff;
use known_parameters::Switch;

/// The token routes, for whose callers a switched-off feature is a route that does not exist.
fn token_routes() -> OpenApiRouter<App> {
    tokens::routes()
}

/// The other routes behind the doors.
fn other_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(people::routes())
        .merge(workspaces::routes())
        .merge(settings::routes())
        .merge(events::routes())
        .merge(openapi::routes())
}

/// The routes for which nobody has to be known.
fn open_routes(config: &Delegate) -> OpenApiRouter<App> {
    OpenApiRouter::new().merge(health::routes()).merge(leaks::routes()).merge(leaks::format_routes(config))
}

/// The routes of a running service. What proxies and services ask all the time is answered before them. Whatever is nowhere is a
/// 404.
pub fn routes(app: &App, config: &Delegate) -> Router {
    let tokens = authenticate::guarded(token_routes(), app, SwitchedOff::IsNotThere);
    let others = authenticate::guarded(other_routes(), app, SwitchedOff::IsRefused);
    let open = known_parameters::checked(open_routes(config), Switch::None);
    let routes = OpenApiRouter::new().merge(tokens).merge(others).merge(open).merge(auth_check::oauth(config));
    let (router, _) = routes.split_for_parts();
    router
        .fallback(|| async { ApiError::RouteNotFound })
        .method_not_allowed_fallback(|| async { ApiError::RouteNotFound })
        .with_state(app.clone())
}
