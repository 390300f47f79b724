//! The pages: people manage their tokens in a browser, administrators the workspace.
//!
//! A page is a struct with exactly the fields that its template shows, beside the handler that fills it. Who may look stands
//! in the handler's signature: `Visitor`, `AdminVisitor`, `PlatformVisitor`, all in `visitor`. Nothing changes by a GET; a form
//! that was done answers by sending the browser elsewhere, except for the one page that shows a token's value.
//!
//! What a browser must hold to on every page, errors included, is in `headers`; what a form from elsewhere gets, in `origin`.

mod activity;
mod admin;
mod assets;
mod cookie;
mod csrf;
mod error;
mod extract;
mod format;
mod generate;
mod layout;
mod messages;
mod pagination;
mod password;
mod profile;
mod reauth;
mod response_cookies;
mod security_headers;
mod session_user;
mod sign_in;
mod state;
mod tokens;
mod transport;

use axum::{Router, middleware, response::Redirect, routing::get};
use tower_http::csrf::CsrfLayer;

use crate::{app::App, config::Config};
use error::PageError;
pub(crate) use error::dress;
pub(crate) use security_headers::is_page;
use state::Site;

/// The pages of a running service.
pub fn routes(app: &App, config: &Config) -> Router {
    let site = Site::new(app, config);
    let csrf = CsrfLayer::new().with_rejection_response(csrf::refuse);
    // Only an origin that the operator configured: at the default, any service of the machine may listen. A URL that no browser could
    // be at is none that a form could come from.
    let csrf = match config.delegate.has_own_issuer() {
        true => csrf.clone().add_trusted_origin(site.address.origin()).unwrap_or(csrf),
        false => csrf,
    };
    Router::new()
        .merge(sign_in::routes())
        .merge(password::routes())
        .merge(tokens::routes())
        .merge(generate::routes())
        .merge(profile::routes())
        .merge(activity::routes())
        .merge(admin::routes())
        .route_layer(middleware::from_fn(response_cookies::deliver))
        .route_layer(middleware::from_fn_with_state(site.clone(), transport::must_be_secure))
        // It shows nothing, and load balancers ask for it by plain HTTP.
        .route("/", get(home))
        .route_layer(csrf)
        .route_layer(middleware::from_fn(csrf::must_be_told))
        .merge(assets::routes())
        .method_not_allowed_fallback(async || PageError::not_found())
        .with_state(site)
}

/// Where somebody begins: whoever is not signed in is sent on from there.
async fn home() -> Redirect {
    Redirect::to("/preferences/access-tokens")
}
