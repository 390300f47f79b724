//! Rejects plain HTTP over a network, where passwords are readable in transit. Pages with forms are not
//! shown, because rejecting a submitted form would be too late.

use axum::{
    body::Body,
    extract::{Request, State},
    http::{Response, StatusCode},
    middleware::Next,
    response::IntoResponse as _,
};

use super::{cookie::Transport, error::PageError, state::WebState};

/// Rejects requests that arrive by plain HTTP over a network.
pub(super) async fn require_secure_transport(
    State(state): State<WebState>,
    request: Request,
    next: Next,
) -> Response<Body> {
    if state.transport(request.headers()) == Transport::Insecure {
        return PageError::message(
            StatusCode::FORBIDDEN,
            "Sign-in requires a secure connection",
            "You opened this page over plain HTTP, so your password could be read in transit. Use https:// instead, or \
             http://localhost on the machine itself. If there is no https:// address, ask the operator for one. \
             Operators: put a proxy with TLS in front, let it send X-Forwarded-Proto, and set public_url to the \
             https:// URL.",
        )
        .into_response();
    }
    next.run(request).await
}
