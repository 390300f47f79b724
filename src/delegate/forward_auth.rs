//! `/v4/auth`: a reverse proxy asks whether a request may pass, and who sends it. Nothing is read but the `Authorization`
//! header and the requirements that the operator's configuration fixed in the path.

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Uri},
    response::{IntoResponse, Response},
    routing::any,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::{
    identity,
    requirements::{self, Unknown},
};
use crate::{
    app::App,
    config::Delegate,
    domain::time::Timestamp,
    entry::{ApiError, doors::Doors, schema::moment_or_null},
    guard::{Principal, Requirements},
    service::Refusal,
};

const PREFIX: &str = "/v4/auth/";

pub(super) fn routes(app: &App, config: &Delegate) -> OpenApiRouter<App> {
    let doors = Doors::new(app).with_passwords(config.basic);
    // The document names GET; the routes take every method there is, because proxies forward theirs.
    OpenApiRouter::new()
        .route("/v4/auth", any(check).with_state(doors.clone()))
        .route("/v4/auth/{*requirements}", any(check).with_state(doors))
}

/// Who the credential belongs to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Caller)]
pub struct CallerView {
    person_id: i64,
    workspace_id: i64,
    email: String,
    name: String,
    is_admin: bool,
    /// Null where the caller came by e-mail and password.
    token_id: Option<String>,
    /// Null where the token never expires, or there is none.
    #[schema(schema_with = moment_or_null)]
    token_expired_at: Option<Timestamp>,
}

impl From<&Principal> for CallerView {
    fn from(principal: &Principal) -> Self {
        let expires_at = principal.token().and_then(|token| token.expires_at);
        Self {
            person_id: principal.person_id,
            workspace_id: principal.workspace_id,
            email: principal.email.clone(),
            name: principal.name.clone(),
            is_admin: principal.is_admin,
            token_id: principal.token().map(|token| token.id.to_string()),
            token_expired_at: expires_at.map(Timestamp::from),
        }
    }
}

/// Check a credential
///
/// For reverse proxies and other services. Every method is answered alike. The headers tell what the body tells, for proxies that
/// copy them to the service behind; each is always there and never empty.
#[utoipa::path(get, path = "/v4/auth", operation_id = "checkAuthentication", tag = "auth",
    responses((status = 200, description = "Whose it is", body = CallerView,
        headers(("remote-user" = String), ("remote-name" = String), ("remote-email" = String), ("remote-groups" = String),
            ("x-tokenward-person-id" = String), ("x-tokenward-workspace-id" = String), ("x-tokenward-token-id" = String),
            ("x-tokenward-token-expires" = String))),
        (status = 401), (status = 403)))]
pub(super) async fn check(State(doors): State<Doors>, request: Request) -> Result<Response, ApiError> {
    let admitted = doors.admit(request.headers()).await?;
    if admitted.must_change_password {
        return Err(Refusal::PasswordChangeRequired { person_id: admitted.principal.person_id }.into());
    }
    let caller = admitted.principal;
    match asked(request.uri()) {
        Ok(requirements) if requirements.are_met_by(&caller) => Ok(allow(&caller)),
        Ok(_) => Err(Refusal::RequirementsNotMet.into()),
        Err(text) => {
            tracing::warn!(requirements = ?text, "a delegated check asks for what is no requirement: nobody is let in");
            Err(Refusal::UnknownRequirement.into())
        }
    }
}

/// Check a credential against requirements
///
/// `any`, or `workspace=<id>` and `admin` joined by a comma; taken literally. What follows that segment is the client's path and is
/// ignored. A caller who does not meet them gets 403, and so does everybody where they are none.
#[utoipa::path(get, path = "/v4/auth/{requirements}", operation_id = "checkRequirements", tag = "auth",
    params(("requirements" = String, Path, description = "What the caller must be",
        pattern = "^(any|admin|workspace=[1-9][0-9]{0,17}|workspace=[1-9][0-9]{0,17},admin)$")),
    responses((status = 200, description = "Whose it is", body = CallerView), (status = 401), (status = 403)))]
#[expect(dead_code, reason = "only its description is used: the routes share one handler")]
pub(super) fn check_requirements() {}

/// The requirements in the path, or the text that is none. Only the first segment behind the prefix counts.
fn asked(uri: &Uri) -> Result<Requirements, String> {
    let Some(below) = uri.path().strip_prefix(PREFIX) else { return Ok(Requirements::default()) };
    let segment = below.split('/').next().unwrap_or_default();
    requirements::parse(segment).map_err(|Unknown| segment.chars().take(100).collect())
}

fn allow(caller: &Principal) -> Response {
    let mut response = Json(CallerView::from(caller)).into_response();
    for (name, value) in identity::HEADERS.into_iter().zip(identity::values(caller)) {
        // `identity` gives visible ASCII only; were it otherwise, a hyphen is still no client's value.
        let value = HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("-"));
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response
}
