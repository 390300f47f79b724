//! `POST /oauth2/revoke` (RFC 7009): whoever holds a token may kill it.

use axum::{extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::oauth::{OAuthError, TokenForm, TokenRequest};
use crate::{app::App, service::Tokens};
use tokenward_guard::token_format::BearerToken;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(revoke))
}

/// Delete the token that is sent (RFC 7009)
///
/// No other credential is needed: who holds the value could use it. Known and unknown tokens are answered alike, until an address has sent
/// very many unknown values: further ones are answered 429, while tokens are deleted as ever.
#[utoipa::path(post, path = "/oauth2/revoke", operation_id = "revokeToken", tag = "oauth2", security(()),
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "No check accepts the token any more"), (status = 400), (status = 413), (status = 415),
        (status = 429)))]
async fn revoke(State(tokens): State<Tokens>, TokenForm(text): TokenForm) -> Result<StatusCode, OAuthError> {
    if let Some(presented) = BearerToken::parse(&text) {
        tokens.revoke(presented).await?;
    }
    Ok(StatusCode::OK)
}
