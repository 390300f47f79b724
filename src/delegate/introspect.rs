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
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Introspection)]
struct Answer {
    active: bool,
    #[serde(flatten)]
    #[schema(inline)]
    facts: Option<Facts>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Facts {
    /// Always `Bearer`.
    token_type: &'static str,
    /// The person's id.
    sub: String,
    /// The person's e-mail.
    username: String,
    /// Seconds since 1970; absent where the token never expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<u64>,
    /// Seconds since 1970.
    iat: u64,
    /// The token's id.
    jti: String,
    iss: String,
    tokenward_workspace_id: i64,
    tokenward_is_admin: bool,
    tokenward_name: String,
}

const INACTIVE: Answer = Answer { active: false, facts: None };

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
        let Some(presented) = Presented::parse(text) else { return Ok(INACTIVE) };
        let inspected = match self.tokens.inspect(&presented).await {
            Ok(inspected) => inspected,
            Err(Denied::Unavailable) => return Err(ApiError::Unauthenticated(Denied::Unavailable)),
            Err(_) => return Ok(INACTIVE),
        };
        let holder = inspected.principal();
        if holder.workspace_id != asker.workspace_id && !asker.is_platform_admin {
            return Ok(INACTIVE);
        }
        if self.counts_as_use {
            self.tokens.note_use(&inspected);
        }
        Ok(Answer { active: true, facts: Facts::of(holder, &self.issuer) })
    }
}

impl Facts {
    fn of(holder: &Principal, issuer: &str) -> Option<Self> {
        let token = holder.token.as_ref()?;
        Some(Self {
            token_type: "Bearer",
            sub: holder.person_id.to_string(),
            username: holder.email.clone(),
            exp: token.expires_at.map(seconds),
            iat: seconds(token.issued_at),
            jti: token.id.clone(),
            iss: issuer.to_owned(),
            tokenward_workspace_id: holder.workspace_id,
            tokenward_is_admin: holder.is_admin,
            tokenward_name: holder.name.clone(),
        })
    }
}

/// Whole seconds, rounded down: whoever relies on them stops a moment early rather than late.
fn seconds(moment: SystemTime) -> u64 {
    moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}
