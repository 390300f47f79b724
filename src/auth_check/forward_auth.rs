//! `/v4/auth`: a reverse proxy asks whether a request may pass, and who sends it. Nothing is read but the `Authorization`
//! header and the requirements that the operator's configuration fixed in the path.

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, Response, header::CONTENT_TYPE},
};
use http_body_util::Full;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    identity_headers::{self, HEADERS, Values},
    requirements::{self, Unknown},
};
use crate::{
    app::App,
    config::Delegate,
    domain::time::Timestamp,
    http::{
        ApiError,
        authenticate::{Admitted, Doors},
        common_headers::Head,
        request_id::RequestId,
        schema::moment_or_null,
    },
    service::Refusal,
};
use tokenward_guard::{Principal, Requirements};

/// Where this is answered, exactly and in any method.
pub const PATH: &str = "/v4/auth";
const PREFIX: &str = "/v4/auth/";
/// The answer's texts, body and headers, are written into one piece of memory; most fit into this.
const USUAL_BYTES: usize = 640;

/// Answers proxies.
#[derive(Clone)]
pub struct ForwardAuth {
    doors: Doors,
    head: Head<{ HEADERS.len() }>,
}

/// Who the credential belongs to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Caller)]
struct CallerView<'a> {
    person_id: i64,
    workspace_id: i64,
    email: &'a str,
    name: &'a str,
    is_admin: bool,
    /// Null where the caller came by e-mail and password.
    token_id: Option<Uuid>,
    /// Null where the token never expires, or there is none.
    #[schema(schema_with = moment_or_null)]
    token_expired_at: Option<Timestamp>,
}

impl<'a> From<&'a Principal> for CallerView<'a> {
    fn from(principal: &'a Principal) -> Self {
        let token = principal.token();
        Self {
            person_id: principal.person_id,
            workspace_id: principal.workspace_id,
            email: &principal.email,
            name: &principal.name,
            is_admin: principal.is_admin,
            token_id: token.map(|token| token.id),
            token_expired_at: token.and_then(|token| token.expires_at).map(Timestamp::from),
        }
    }
}

impl ForwardAuth {
    /// The checks of a running service.
    #[must_use]
    pub fn new(app: &App, config: &Delegate) -> Self {
        let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self {
            doors: Doors::new(app).with_passwords(config.basic),
            head: Head::new(&[json], &identity_headers::names()),
        }
    }

    /// Whether this is a path that is answered here.
    #[must_use]
    pub fn answers(path: &str) -> bool {
        path == PATH || path.starts_with(PREFIX)
    }

    /// Whose the credential is, if it meets the requirements in the path.
    ///
    /// # Errors
    /// 401 or 403, or 503 where it could not be found out.
    pub async fn check(&self, headers: &HeaderMap, path: &str) -> Result<Principal, ApiError> {
        permit(self.doors.admit_for_proxy(headers).await?, path)
    }

    /// The same, where it takes no waiting; none where it has to be found out.
    #[must_use]
    pub fn check_at_once(&self, headers: &HeaderMap, path: &str) -> Option<Result<Principal, ApiError>> {
        let admitted = self.doors.admit_at_once(headers)?;
        Some(admitted.and_then(|admitted| permit(admitted, path)))
    }

    /// Tells whose it is.
    pub(crate) fn allow(&self, caller: &Principal, id: &RequestId) -> Response<Full<Bytes>> {
        // Body and header values are written into one piece of memory, of which each takes its part.
        let mut text = Vec::with_capacity(USUAL_BYTES);
        // Writing to memory does not fail.
        serde_json::to_writer(&mut text, &CallerView::from(caller)).ok();
        let body = text.len();
        text.extend_from_slice(id.as_bytes());
        let begin = text.len();
        let values = Values::append(caller, &mut text);
        let text = Bytes::from(text);
        let id = identity_headers::value(text.slice(body..begin));
        let mut response = Response::new(Full::new(text.slice(..body)));
        *response.headers_mut() = self.head.fill(&id, values.of(&text, begin));
        response
    }
}

fn permit(admitted: Admitted, path: &str) -> Result<Principal, ApiError> {
    let caller = admitted.caller()?;
    match asked(path) {
        Ok(requirements) if requirements.are_met_by(&caller) => Ok(caller),
        Ok(_) => Err(Refusal::RequirementsNotMet.into()),
        Err(text) => {
            tracing::warn!(requirements = ?text, "a delegated check asks for what is no requirement: nobody is let in");
            Err(Refusal::UnknownRequirement.into())
        }
    }
}

/// Enough of a text to see what was meant, and too little of a secret that a client has put into the path: proxies that pass the
/// client's path on without a segment of the operator's in front of it let it stand here.
const SHOWN_CHARS: usize = 20;

/// The requirements in the path, or the beginning of the text that is none. Only the first segment behind the prefix counts.
fn asked(path: &str) -> Result<Requirements, String> {
    let Some(below) = path.strip_prefix(PREFIX) else { return Ok(Requirements::default()) };
    let segment = below.split('/').next().unwrap_or_default();
    requirements::parse(segment).map_err(|Unknown| segment.chars().take(SHOWN_CHARS).collect())
}

/// Check a credential
///
/// For reverse proxies and other services. Every method is answered alike. The headers tell what the body tells, for proxies that
/// copy them to the service behind; each is always there and never empty.
#[utoipa::path(get, path = "/v4/auth", operation_id = "checkAuthentication", tag = "auth",
    responses((status = 200, description = "Whose it is", body = CallerView<'static>,
        headers(("remote-user" = String), ("remote-name" = String), ("remote-email" = String), ("remote-groups" = String),
            ("x-tokenward-person-id" = String), ("x-tokenward-workspace-id" = String), ("x-tokenward-token-id" = String),
            ("x-tokenward-token-expires" = String))),
        (status = 401), (status = 403)))]
#[expect(dead_code, reason = "described here, answered by `ForwardAuth`")]
pub(super) fn check() {}

/// Check a credential against requirements
///
/// `any`, or `workspace=<id>` and `admin` joined by a comma; taken literally. What follows that segment is the client's path and is
/// ignored. A caller who does not meet them gets 403, and so does everybody where they are none.
#[utoipa::path(get, path = "/v4/auth/{requirements}", operation_id = "checkRequirements", tag = "auth",
    params(("requirements" = String, Path, description = "What the caller must be",
        pattern = "^(any|admin|workspace=[1-9][0-9]{0,17}|workspace=[1-9][0-9]{0,17},admin)$")),
    responses((status = 200, description = "Whose it is", body = CallerView<'static>), (status = 401), (status = 403)))]
#[expect(dead_code, reason = "described here, answered by `ForwardAuth`")]
pub(super) fn check_requirements() {}
