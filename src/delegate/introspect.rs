//! `POST /oauth2/introspect` (RFC 7662): a service asks whether a token is active, and whose it is.

use std::time::{Duration, SystemTime};

use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::oauth::{OAuthError, TokenForm, TokenRequest};
use crate::{
    app::App,
    config::Delegate,
    entry::{ApiError, doors::Doors},
    guard::{Denied, Principal},
    service::{Refusal, Tokens},
    value::Presented,
};

/// What answers the question.
#[derive(Clone)]
struct Introspection {
    doors: Doors,
    tokens: Tokens,
    issuer: String,
    counts_as_use: bool,
}

pub(super) fn routes(app: &App, config: &Delegate) -> OpenApiRouter<App> {
    let state = Introspection {
        doors: Doors::new(app),
        tokens: app.tokens().clone(),
        issuer: config.issuer().to_owned(),
        counts_as_use: config.introspection_counts_as_use,
    };
    OpenApiRouter::new().routes(routes!(introspect)).with_state(state)
}

/// Whether the token is active, and if so whose it is. Of a token that is not, nothing else is told.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = Introspection)]
struct Answer {
    active: bool,
    /// Always `Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// The person's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    /// The person's e-mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    /// Seconds since 1970; absent where the token never expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<u64>,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<u64>,
    /// The token's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokenward_workspace_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokenward_is_admin: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokenward_name: Option<String>,
}

/// Ask whether a token is active (RFC 7662)
///
/// Whoever asks authenticates by a token or a password of their own. Tokens of other workspaces are not active to anybody but platform
/// administrators.
#[utoipa::path(post, path = "/oauth2/introspect", operation_id = "introspectToken", tag = "oauth2",
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "Whether it is, and whose", body = Answer), (status = 400), (status = 401), (status = 403),
        (status = 413)))]
async fn introspect(
    State(state): State<Introspection>,
    headers: HeaderMap,
    form: Result<TokenForm, OAuthError>,
) -> Result<Response, OAuthError> {
    // The asker first: whoever is not let in learns nothing, not even that the form was wrong.
    let asker = state.doors.admit(&headers).await?;
    if asker.must_change_password {
        return Err(Refusal::PasswordChangeRequired { person_id: asker.principal.person_id }.into());
    }
    let TokenForm(text) = form?;
    Ok(Json(state.answer(&asker.principal, &text).await?).into_response())
}

impl Introspection {
    async fn answer(&self, asker: &Principal, text: &str) -> Result<Answer, ApiError> {
        let Some(presented) = Presented::parse(text) else { return Ok(Answer::default()) };
        let inspected = match self.tokens.inspect(presented).await {
            Ok(inspected) => inspected,
            Err(Denied::Unavailable) => return Err(ApiError::Unauthenticated(Denied::Unavailable)),
            Err(_) => return Ok(Answer::default()),
        };
        let holder = inspected.principal();
        if holder.workspace_id != asker.workspace_id && !asker.is_platform_admin {
            return Ok(Answer::default());
        }
        if self.counts_as_use {
            self.tokens.note_use(&inspected);
        }
        Ok(Answer::active(holder, &self.issuer))
    }
}

impl Answer {
    fn active(holder: &Principal, issuer: &str) -> Self {
        // Whoever was found by a token has one; were it otherwise, nothing would be told.
        let Some(token) = holder.token() else { return Self::default() };
        Self {
            active: true,
            token_type: Some("Bearer"),
            sub: Some(holder.person_id.to_string()),
            username: Some(holder.email.clone()),
            exp: token.expires_at.map(seconds),
            iat: Some(seconds(token.issued_at)),
            jti: Some(token.id.to_string()),
            iss: Some(issuer.to_owned()),
            tokenward_workspace_id: Some(holder.workspace_id),
            tokenward_is_admin: Some(holder.is_admin),
            tokenward_name: Some(holder.name.clone()),
        }
    }
}

/// Whole seconds, rounded down: whoever relies on them stops a moment early rather than late.
fn seconds(moment: SystemTime) -> u64 {
    moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}
