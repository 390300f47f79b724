//! `POST /oauth2/revoke` (RFC 7009): revokes the token in the form. The token is the only
//! credential.

use axum::{Extension, extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::oauth::{OAuthError, TokenForm, TokenRequest};
use crate::{app::App, domain::event::RequestContext, service::Tokens};
use tokenward_guard::token_format::BearerToken;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(revoke))
}

/// Revoke a token (RFC 7009)
///
/// The token in the form is the only credential. Known and unknown tokens get the same response. An
/// address that has sent very many unknown values gets 429 for further unknown values.
#[utoipa::path(post, path = "/oauth2/revoke", operation_id = "revokeToken", tag = "oauth2", security(()),
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The token no longer authenticates anywhere")))]
async fn revoke(
    State(tokens): State<Tokens>,
    Extension(context): Extension<RequestContext>,
    TokenForm(text): TokenForm,
) -> Result<StatusCode, OAuthError> {
    if let Some(token) = BearerToken::parse(&text) {
        tokens.revoke(token, &context).await?;
    }
    Ok(StatusCode::OK)
}
