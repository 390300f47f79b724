//! `POST /oauth2/introspect` (RFC 7662): token introspection for services.

use std::{
    net::IpAddr,
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, Response, header::CONTENT_TYPE},
};
use http_body_util::Full;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::{
    denied::Denied,
    oauth::{self, OAuthError, TokenRequest},
    requirements,
};
use crate::{
    app::App,
    config::Config,
    domain::{event::RequestContext, token_limits::reserved_scope},
    http::{
        ApiError,
        authenticate::{Authenticated, Authenticator},
        common_headers::HeaderTemplate,
        request_id::RequestId,
        token_headers,
    },
    service::{Tokens, tokens::ValidToken},
};
use tokenward_guard::{AuthError, Principal, Requirements, token_format::BearerToken};

/// The path of the endpoint. Only POST is accepted.
pub const PATH: &str = "/oauth2/introspect";
/// The initial capacity of the response body. Most responses fit.
const RESPONSE_CAPACITY: usize = 512;

/// The requirements on clients that check tokens of others.
static CLIENT_REQUIREMENTS: LazyLock<Requirements> = LazyLock::new(|| {
    let scopes = vec![reserved_scope::INTROSPECT.to_owned()];
    Requirements { scopes, ..Requirements::default() }
});

/// Decides token introspections.
#[derive(Clone)]
pub struct Introspection {
    pub(super) authenticator: Authenticator,
    pub(super) tokens: Tokens,
    pub(super) issuer: String,
    pub(super) updates_last_used: bool,
    header_template: HeaderTemplate<0>,
}

/// The state of a token and, if it is active, its owner. All other fields are absent for an
/// inactive token.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = Introspection)]
pub(super) struct IntrospectionResponse<'a> {
    active: bool,
    /// Always `Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    token_type: Option<&'static str>,
    /// The person ID of the owner.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "serialize_as_string")]
    #[schema(value_type = Option<String>, nullable = false)]
    sub: Option<i64>,
    /// The e-mail of the owner, or `service:NAME` for a service account.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    username: Option<&'a str>,
    /// Expiry in seconds since 1970; absent if the token never expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    exp: Option<u64>,
    /// Time of issue in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    iat: Option<u64>,
    /// The token ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    jti: Option<uuid::Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    tokenward_workspace_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    tokenward_is_admin: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    tokenward_name: Option<&'a str>,
    /// The scopes, separated by spaces; absent if the token is unrestricted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    scope: Option<&'a str>,
    /// The token has no scopes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    tokenward_unrestricted: Option<bool>,
}

fn serialize_as_string<S: Serializer>(number: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&number.unwrap_or_default())
}

/// The result of an introspection.
pub(crate) struct IntrospectionOutcome {
    /// The authenticated client.
    pub(crate) client: Principal,
    /// The token, if it is active and visible to the client.
    active: Option<ValidToken>,
}

impl Introspection {
    /// Creates the introspection of a running service.
    #[must_use]
    pub fn new(app: &App, config: &Config) -> Self {
        let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self {
            authenticator: Authenticator::new(app),
            tokens: app.tokens().clone(),
            issuer: config.public_url(),
            updates_last_used: config.introspection.updates_last_used,
            header_template: HeaderTemplate::new(&[json], &[]),
        }
    }

    /// Authenticates the client and checks the token in the form.
    pub(crate) async fn introspect(
        &self,
        headers: &HeaderMap,
        body: &Bytes,
        context: &RequestContext,
    ) -> Result<IntrospectionOutcome, Denied<OAuthError>> {
        // Authentication first: an unauthenticated client must not learn whether the form is valid.
        let client = self.authenticator.authenticate_oauth_client(headers, context).await.map_err(OAuthError::from)?;
        let client = authorize_client(client).map_err(Denied::into_oauth)?;
        match self.check_form(&client, headers, body, context).await {
            Ok(active) => Ok(IntrospectionOutcome { client, active }),
            Err(error) => Err(Denied::of(&client, error)),
        }
    }

    /// Checks the token in the form.
    async fn check_form(
        &self,
        client: &Principal,
        headers: &HeaderMap,
        body: &Bytes,
        context: &RequestContext,
    ) -> Result<Option<ValidToken>, OAuthError> {
        let token = oauth::parse_token_form(headers, body)?;
        let address = oauth::parse_client_address(body)?;
        match BearerToken::parse(&token) {
            Some(bearer) => Ok(self.check_token(client, bearer, address, context).await?),
            None => Ok(None),
        }
    }

    async fn check_token(
        &self,
        client: &Principal,
        bearer: BearerToken<'_>,
        address: Option<IpAddr>,
        context: &RequestContext,
    ) -> Result<Option<ValidToken>, ApiError> {
        let valid_token = match self.tokens.validate_for_client(bearer, address, context).await {
            Ok(valid_token) => valid_token,
            Err(AuthError::Unavailable) => return Err(ApiError::Unauthenticated(AuthError::Unavailable)),
            Err(_) => return Ok(None),
        };
        if !is_visible_to(client, &valid_token) {
            return Ok(None);
        }
        if self.updates_last_used {
            // The address of this request is that of the service that asks, not of the token's client.
            self.tokens.record_use(&valid_token, &|| None);
        }
        Ok(Some(valid_token))
    }

    /// Returns the response to an introspection.
    pub(crate) fn response(&self, outcome: &IntrospectionOutcome, id: &RequestId) -> Response<Full<Bytes>> {
        let body = outcome
            .active
            .as_ref()
            .map(|valid_token| IntrospectionResponse::active(valid_token.principal(), &self.issuer));
        let mut text = Vec::with_capacity(RESPONSE_CAPACITY);
        // Serializing this struct into memory cannot fail.
        serde_json::to_writer(&mut text, &body.unwrap_or_default()).ok();
        self.render(text, &outcome.client, id)
    }

    /// Returns the response with this JSON text to a client.
    pub(super) fn render(&self, mut text: Vec<u8>, client: &Principal, id: &RequestId) -> Response<Full<Bytes>> {
        text.push(b'\n');
        let mut response = Response::new(Full::from(text));
        *response.headers_mut() = self.header_template.render(&id.to_header_value(), []);
        if let Some(token) = client.token() {
            token_headers::add(token, &mut response);
        }
        response
    }
}

/// Returns the client if it may check tokens of others.
///
/// # Errors
/// If the client must change its password first, or its token lacks the scope.
pub(super) fn authorize_client(client: Authenticated) -> Result<Principal, Denied<ApiError>> {
    requirements::check(&CLIENT_REQUIREMENTS, client.into_principal().map_err(ApiError::from)?)
}

impl<'a> IntrospectionResponse<'a> {
    pub(super) fn active(owner: &'a Principal, issuer: &'a str) -> Self {
        // A validated token always has its metadata. Without them, report it as inactive.
        let Some(token) = owner.token() else { return Self::default() };
        Self {
            active: true,
            token_type: Some("Bearer"),
            sub: Some(owner.person_id),
            username: Some(&owner.email),
            exp: token.expires_at.map(unix_seconds),
            iat: Some(unix_seconds(token.issued_at)),
            jti: Some(token.id),
            iss: Some(issuer),
            tokenward_workspace_id: Some(owner.workspace_id),
            tokenward_is_admin: Some(owner.is_admin),
            tokenward_name: Some(&owner.name),
            scope: token.scopes.as_str(),
            tokenward_unrestricted: Some(token.scopes.is_unrestricted()),
        }
    }
}

/// Returns `true` if a client may learn about a token: it belongs to the client's workspace, or the
/// client is a platform administrator.
pub(super) fn is_visible_to(client: &Principal, token: &ValidToken) -> bool {
    token.principal().workspace_id == client.workspace_id || client.is_platform_admin
}

/// Returns whole seconds since 1970, rounded down: clients must not use a token past its expiry.
fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

/// Introspect a token (RFC 7662)
///
/// The client authenticates by its own token or by e-mail and password, which may be form-encoded
/// (RFC 6749, section 2.3.1). Tokens of other workspaces are inactive, except to platform
/// administrators. So are tokens with allowed networks, unless `client_address` is within them.
#[utoipa::path(post, path = "/oauth2/introspect", operation_id = "introspectToken", tag = "oauth2",
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "State of the token and its owner", body = IntrospectionResponse<'static>)))]
#[expect(dead_code, reason = "documents the endpoint that `Introspection` serves")]
pub(super) fn introspect() {}
