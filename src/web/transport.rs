//! Pages are for secure connections. Over plain HTTP a password is readable on the way, so a form that asks for one is not shown: a
//! refusal after it was sent would come too late.

use axum::{
    body::Body,
    extract::{Request, State},
    http::{Response, StatusCode},
    middleware::Next,
    response::IntoResponse as _,
};

use super::{cookie::Way, error::PageError, state::Site};

/// Rejects a request that came by plain HTTP over a network.
pub(super) async fn must_be_secure(State(site): State<Site>, request: Request, next: Next) -> Response<Body> {
    if site.way(request.headers()) == Way::Open {
        return PageError::told(
            StatusCode::FORBIDDEN,
            "Signing in needs a secure connection",
            "This page was reached by plain HTTP over a network, where your password could be read on the way. Open it by https:// \
             instead, or as http://localhost on the machine itself. If there is no https:// address, ask the operator for one. For the \
             operator: put a proxy with TLS in front, let it send X-Forwarded-Proto, and set delegate.issuer to the https:// URL.",
        )
        .into_response();
    }
    next.run(request).await
}
