//! `/v4/auth`: forward auth for reverse proxies.
//!
//! Only the `Authorization` header is read, and the requirements that the proxy's configuration
//! sets in the path.

use std::net::IpAddr;

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, Response, header::CONTENT_TYPE},
};
use http_body_util::Full;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    denied::Denied,
    identity_headers::{self, HEADERS, HeaderValues},
    outcome::{CachedCheck, CheckOutcome, PendingCheck},
    requirements::{self, ParseRequirementsError},
};
use crate::{
    app::App,
    config::Config,
    domain::{event::RequestContext, service_account, time::Timestamp},
    http::{
        ApiError,
        authenticate::{Authenticated, Authenticator, CachedAuthentication, PendingAuthentication},
        common_headers::HeaderTemplate,
        request_id::RequestId,
        schema::nullable_timestamp_schema,
        token_headers,
    },
    service::Error,
};
use tokenward_guard::{Principal, Requirements};

/// The path of the endpoint without requirements. All methods are accepted.
pub const PATH: &str = "/v4/auth";
/// The prefix of paths with requirements.
const PREFIX: &str = "/v4/auth/";
/// The initial capacity of the buffer for body and header values. Most responses fit.
const RESPONSE_CAPACITY: usize = 640;

/// Decides forward-auth checks.
#[derive(Clone)]
pub struct ForwardAuth {
    authenticator: Authenticator,
    header_template: HeaderTemplate<{ HEADERS.len() }>,
}

/// The authenticated caller.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Caller)]
struct CallerView<'a> {
    person_id: i64,
    workspace_id: i64,
    /// Null for a service account.
    #[schema(required)]
    email: Option<&'a str>,
    name: &'a str,
    is_admin: bool,
    /// Null if the caller authenticated by e-mail and password.
    #[schema(required)]
    token_id: Option<Uuid>,
    /// When the token stops authenticating. Null if it never does, or if there is no token.
    #[schema(schema_with = nullable_timestamp_schema, required)]
    token_expired_at: Option<Timestamp>,
    /// The token's scopes, separated by spaces. Absent if the token is unrestricted, or if there is no
    /// token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    scopes: Option<&'a str>,
}

impl<'a> From<&'a Principal> for CallerView<'a> {
    fn from(principal: &'a Principal) -> Self {
        let token = principal.token();
        Self {
            person_id: principal.person_id,
            workspace_id: principal.workspace_id,
            email: service_account::email_of(&principal.email),
            name: &principal.name,
            is_admin: principal.is_admin,
            token_id: token.map(|token| token.id),
            token_expired_at: token.and_then(|token| token.expires_at).map(Timestamp::from),
            scopes: token.and_then(|token| token.scopes.as_str()),
        }
    }
}

impl ForwardAuth {
    /// Creates the checks of a running service.
    #[must_use]
    pub fn new(app: &App, config: &Config) -> Self {
        let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self {
            authenticator: Authenticator::new(app).for_auth_checks(config.forward_auth.allow_basic),
            header_template: HeaderTemplate::new(&[json], &identity_headers::header_names()),
        }
    }

    /// Returns whether a path belongs to this endpoint.
    #[must_use]
    pub fn matches(path: &str) -> bool {
        path == PATH || path.starts_with(PREFIX)
    }

    /// Decides the check without waiting, if that is possible. `client` returns the client address.
    pub(super) fn check_cached(
        &self,
        headers: &HeaderMap,
        path: &str,
        client: &dyn Fn() -> Option<IpAddr>,
    ) -> CachedCheck {
        match self.authenticator.authenticate_cached(headers, client) {
            CachedAuthentication::Pending(pending) => CachedCheck::Pending(PendingCheck::ForwardAuth(pending)),
            CachedAuthentication::Decided(authenticated) => {
                let check = authenticated.map_err(Denied::from).and_then(|caller| authorize(caller, path));
                CachedCheck::Decided(check.map_or_else(CheckOutcome::Denied, CheckOutcome::Allowed))
            }
        }
    }

    /// Completes a check that needs a lookup or a password hash.
    ///
    /// # Errors
    /// 401 if the credential is rejected, 403 if the requirements are not met or invalid, 503 if the
    /// check could not be performed.
    pub(super) async fn complete(
        &self,
        pending: PendingAuthentication,
        headers: &HeaderMap,
        path: &str,
        context: &RequestContext,
    ) -> Result<Principal, Denied<ApiError>> {
        let authenticated = self.authenticator.complete(pending, headers, context).await;
        authorize(authenticated.map_err(ApiError::for_proxy)?, path)
    }

    /// Returns the 200 response with the caller's identity.
    pub(crate) fn allow_response(&self, caller: &Principal, id: &RequestId) -> Response<Full<Bytes>> {
        // Body and header values share one buffer, to save allocations.
        let mut text = Vec::with_capacity(RESPONSE_CAPACITY);
        // Serializing this struct into memory cannot fail.
        serde_json::to_writer(&mut text, &CallerView::from(caller)).ok();
        text.push(b'\n');
        let body_end = text.len();
        text.extend_from_slice(id.as_bytes());
        let values_start = text.len();
        let values = HeaderValues::append(caller, &mut text);
        let text = Bytes::from(text);
        let id = identity_headers::header_value(text.slice(body_end..values_start));
        let mut response = Response::new(Full::new(text.slice(..body_end)));
        *response.headers_mut() = self.header_template.render(&id, values.render(&text));
        if let Some(sunset) = caller.token().and_then(token_headers::sunset) {
            response.headers_mut().insert(token_headers::SUNSET, sunset);
        }
        response
    }
}

/// Checks the requirements in the path against the caller.
fn authorize(authenticated: Authenticated, path: &str) -> Result<Principal, Denied<ApiError>> {
    let caller = authenticated.into_principal().map_err(ApiError::from)?;
    match parse_requirements(path) {
        Ok(requirements) => requirements::check(&requirements, caller),
        Err(text) => {
            tracing::warn!(requirements = ?text, "denied a check with invalid requirements");
            Err(Denied::of(&caller, Error::InvalidRequirement.into()))
        }
    }
}

/// The number of characters of invalid requirements that are logged. A misconfigured proxy passes
/// the client's path here, which may contain a secret; this is too little of it.
const MAX_LOGGED_CHARS: usize = 20;

/// Parses the requirements in the first segment after the prefix.
///
/// # Errors
/// Returns the beginning of the segment if it is invalid.
fn parse_requirements(path: &str) -> Result<Requirements, String> {
    let Some(requirements_path) = path.strip_prefix(PREFIX) else { return Ok(Requirements::default()) };
    let segment = requirements_path.split('/').next().unwrap_or_default();
    requirements::parse(segment).map_err(|ParseRequirementsError| segment.chars().take(MAX_LOGGED_CHARS).collect())
}

/// Check a credential
///
/// For reverse proxies and other services. All methods are equivalent. The headers repeat the body
/// for proxies that copy them to the upstream service; each is always present and never empty.
#[utoipa::path(get, path = "/v4/auth", operation_id = "checkAuthentication", tag = "auth",
    responses((status = 200, description = "The authenticated caller", body = CallerView<'static>,
        headers(("remote-user" = String), ("remote-name" = String), ("remote-email" = String), ("remote-groups" = String),
            ("x-tokenward-person-id" = String), ("x-tokenward-workspace-id" = String), ("x-tokenward-token-id" = String),
            ("x-tokenward-token-expires" = String), ("x-tokenward-scopes" = String)))))]
#[expect(dead_code, reason = "documents the endpoint that `ForwardAuth` serves")]
pub(super) fn check() {}

/// Check a credential against requirements
///
/// `any`, or a list of `workspace=<id>`, `admin`, `unrestricted` and `scope=<word>`, joined by commas;
/// taken literally. Several scopes are all required. Tokens with scopes meet neither `admin` nor
/// `unrestricted`. The path after that segment is the client's and is ignored. Returns 403 to callers
/// who do not meet the requirements, and to all callers if the requirements are invalid.
#[utoipa::path(get, path = "/v4/auth/{requirements}", operation_id = "checkRequirements", tag = "auth",
    params(("requirements" = String, Path, description = "Requirements that the caller must meet",
        pattern = "^(any|(workspace=[1-9][0-9]{0,17}|admin|unrestricted|scope=[a-z0-9][a-z0-9:._-]{0,63})(,(workspace=[1-9][0-9]{0,17}|admin|unrestricted|scope=[a-z0-9][a-z0-9:._-]{0,63}))*)$")),
    responses((status = 200, description = "The authenticated caller", body = CallerView<'static>)))]
#[expect(dead_code, reason = "documents the endpoint that `ForwardAuth` serves")]
pub(super) fn check_requirements() {}
