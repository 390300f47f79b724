//! Web pages: people manage their tokens in a browser, administrators their workspace.
//!
//! A page is a struct with exactly the fields of its template, next to the handler that fills it. The
//! handler's signature states which users may open the page: `SessionUser`, `AdminUser` or
//! `PlatformAdminUser` of `session_user`. GET requests change nothing. A successful form responds with
//! a redirect, except for the pages that show a token value or an invite link.
//!
//! `security_headers` has the headers of every page, errors included. `csrf` rejects forms of other
//! sites.

mod access_fields;
mod activity;
mod activity_csv;
mod activity_rows;
mod admin;
mod assets;
mod bulk_delete;
mod cookie;
mod csrf;
mod device;
mod display_limits;
mod draft;
mod error;
mod error_page;
mod extract;
mod forgot_password;
mod form_error;
mod format;
mod generate;
mod invite;
mod issue_form;
mod layout;
mod lifetime_fields;
mod messages;
mod minify;
mod pagination;
mod password;
mod profile;
mod provider_sign_in;
mod reauth;
mod reauth_method;
mod reference;
mod replace;
mod response_cookies;
mod security_headers;
mod service_account_tokens;
mod service_accounts;
mod session_user;
mod sign_in;
mod state;
mod token_csv;
mod token_delete;
mod token_list;
mod token_page;
mod token_query;
mod tokens;
mod transport;
mod user_agent;

use axum::{Router, middleware, response::Redirect, routing::get};
use tower_http::csrf::CsrfLayer;
use utoipa::openapi::OpenApi;

use crate::{app::App, config::Config};
use error::PageError;
pub(crate) use error_page::{ErrorPages, FailedRequest};
pub(crate) use security_headers::is_page;
use state::WebState;

/// Returns the routes of all pages. The API reference shows `document`.
pub fn routes(app: &App, config: &Config, document: &'static OpenApi) -> Router {
    let state = WebState::new(app, config, document);
    let csrf = CsrfLayer::new().with_rejection_response(csrf::reject);
    // Trust only a configured origin: at the default one, any service of the machine may listen. An
    // invalid origin is skipped, because no browser sends it.
    let csrf = match config.has_public_url() {
        true => csrf.clone().add_trusted_origin(state.public_url.origin()).unwrap_or(csrf),
        false => csrf,
    };
    Router::new()
        .merge(sign_in::routes())
        .merge(provider_sign_in::routes())
        .merge(invite::routes())
        .merge(forgot_password::routes())
        .merge(password::routes())
        .merge(tokens::routes())
        .merge(generate::routes())
        .merge(replace::routes())
        .merge(device::routes())
        .merge(token_page::routes())
        .merge(service_accounts::routes())
        .merge(service_account_tokens::routes())
        .merge(profile::routes())
        .merge(activity::routes())
        .merge(reference::routes())
        .merge(admin::routes())
        .route_layer(middleware::from_fn_with_state(state.clone(), draft::keep))
        .route_layer(middleware::from_fn(response_cookies::attach))
        .route_layer(middleware::from_fn_with_state(state.clone(), transport::require_secure_transport))
        // Allowed over plain HTTP: it shows nothing, and load balancers probe it.
        .route("/", get(redirect_home))
        .route_layer(csrf)
        .route_layer(middleware::from_fn(csrf::require_origin))
        .merge(provider_sign_in::routes_for_providers())
        .merge(assets::routes())
        .method_not_allowed_fallback(async || PageError::not_found())
        .with_state(state)
}

/// Redirects to the token list, which redirects to the sign-in page if there is no session.
async fn redirect_home() -> Redirect {
    Redirect::to("/preferences/access-tokens")
}
