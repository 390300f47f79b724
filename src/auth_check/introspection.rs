//! `POST /oauth2/introspect` (RFC 7662): a service asks whether a token is active, and whose it is.

use std::time::{Duration, SystemTime};

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, Response, header::CONTENT_TYPE},
};
use http_body_util::Full;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::oauth::{self, OAuthError, TokenRequest};
use crate::{
    app::App,
    config::Delegate,
    http::{ApiError, authenticate::Doors, common_headers::Head, request_id::RequestId},
    service::{Tokens, tokens::Inspected},
};
use tokenward_guard::{AuthError, Principal, token_format::BearerToken};

/// Where this is answered, by POST.
pub const PATH: &str = "/oauth2/introspect";
/// Most answers fit into this.
const USUAL_BYTES: usize = 512;

/// Answers services that ask about tokens.
#[derive(Clone)]
pub struct Introspection {
    doors: Doors,
    tokens: Tokens,
    issuer: String,
    counts_as_use: bool,
    head: Head<0>,
}

/// Whether the token is active, and if so whose it is. Of a token that is not, nothing else is told.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = Introspection)]
struct Answer<'a> {
    active: bool,
    /// Always `Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// The person's id.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    #[schema(value_type = Option<String>)]
    sub: Option<i64>,
    /// The person's e-mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    /// Seconds since 1970; absent where the token never expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<u64>,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<u64>,
    /// The token's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<uuid::Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokenward_workspace_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokenward_is_admin: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokenward_name: Option<&'a str>,
}

fn as_text<S: Serializer>(number: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&number.unwrap_or_default())
}

/// What was asked and found out.
pub(crate) struct Asked {
    /// Who asked.
    pub(crate) asker: Principal,
    /// The token, where the asker may know that it is active.
    active: Option<Inspected>,
}

impl Introspection {
    /// The questions of a running service.
    #[must_use]
    pub fn new(app: &App, config: &Delegate) -> Self {
        let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self {
            doors: Doors::new(app),
            tokens: app.tokens().clone(),
            issuer: config.issuer().to_owned(),
            counts_as_use: config.introspection_counts_as_use,
            head: Head::new(&[json], &[]),
        }
    }

    /// Lets the asker in, and looks at the token of the form.
    pub(crate) async fn ask(&self, headers: &HeaderMap, body: &Bytes) -> Result<Asked, OAuthError> {
        // The asker first: whoever is not let in learns nothing, not even that the form was wrong.
        let asker = self.doors.admit_oauth_client(headers).await?.caller()?;
        let token = oauth::token_of_form(headers, body)?;
        let active = match BearerToken::parse(&token) {
            Some(presented) => self.look(&asker, presented).await?,
            None => None,
        };
        Ok(Asked { asker, active })
    }

    async fn look(&self, asker: &Principal, presented: BearerToken<'_>) -> Result<Option<Inspected>, ApiError> {
        let inspected = match self.tokens.inspect(presented).await {
            Ok(inspected) => inspected,
            Err(AuthError::Unavailable) => return Err(ApiError::Unauthenticated(AuthError::Unavailable)),
            Err(_) => return Ok(None),
        };
        if inspected.principal().workspace_id != asker.workspace_id && !asker.is_platform_admin {
            return Ok(None);
        }
        if self.counts_as_use {
            self.tokens.note_use(&inspected);
        }
        Ok(Some(inspected))
    }

    /// Tells what was found out.
    pub(crate) fn tell(&self, asked: &Asked, id: &RequestId) -> Response<Full<Bytes>> {
        let answer = asked.active.as_ref().map(|inspected| Answer::active(inspected.principal(), &self.issuer));
        let mut text = Vec::with_capacity(USUAL_BYTES);
        // Writing to memory does not fail.
        serde_json::to_writer(&mut text, &answer.unwrap_or_default()).ok();
        let mut response = Response::new(Full::from(text));
        *response.headers_mut() = self.head.fill(&id.value(), []);
        response
    }
}

impl<'a> Answer<'a> {
    fn active(holder: &'a Principal, issuer: &'a str) -> Self {
        // Whoever was found by a token has one; were it otherwise, nothing would be told.
        let Some(token) = holder.token() else { return Self::default() };
        Self {
            active: true,
            token_type: Some("Bearer"),
            sub: Some(holder.person_id),
            username: Some(&holder.email),
            exp: token.expires_at.map(seconds),
            iat: Some(seconds(token.issued_at)),
            jti: Some(token.id),
            iss: Some(issuer),
            tokenward_workspace_id: Some(holder.workspace_id),
            tokenward_is_admin: Some(holder.is_admin),
            tokenward_name: Some(&holder.name),
        }
    }
}

/// Whole seconds, rounded down: whoever relies on them stops a moment early rather than late.
fn seconds(moment: SystemTime) -> u64 {
    moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

/// Ask whether a token is active (RFC 7662)
///
/// Whoever asks authenticates by a token or by e-mail and password of their own; the latter may be encoded as form fields are (RFC 6749,
/// section 2.3.1). Tokens of other workspaces are not active to anybody but platform
/// administrators.
#[utoipa::path(post, path = "/oauth2/introspect", operation_id = "introspectToken", tag = "oauth2",
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "Whether it is, and whose", body = Answer<'static>), (status = 400), (status = 401), (status = 403),
        (status = 413), (status = 415)))]
#[expect(dead_code, reason = "described here, answered by `Introspection`")]
pub(super) fn introspect() {}
