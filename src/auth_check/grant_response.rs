//! The successful response of the token endpoint (RFC 6749, section 5.1).

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::token::Token;
use tokenward_guard::token_format::TokenValue;

/// A token that a grant created.
#[derive(Serialize, ToSchema)]
#[schema(as = OAuthToken)]
pub(super) struct TokenResponse {
    /// The token value, which no other response contains.
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// The lifetime in seconds; absent if the token never expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    expires_in: Option<i64>,
    /// The scopes, separated by spaces; absent if the token is unrestricted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    scope: Option<String>,
}

impl TokenResponse {
    /// Creates the response with a new token.
    pub(super) fn new(value: &TokenValue, token: &Token) -> Self {
        Self {
            access_token: value.expose().to_owned(),
            token_type: "Bearer",
            expires_in: token.expires_at.map(|end| (end.as_millis() - token.created_at.as_millis()) / 1_000),
            scope: token.limits.scopes.as_str().map(str::to_owned),
        }
    }
}
