//! `/v4/auth`: who is this? Any method, because proxies forward theirs.

use axum::{Json, routing::any};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::extract::Caller;
use crate::{app::App, domain::time::Timestamp, guard::Principal};

pub(super) fn routes() -> OpenApiRouter<App> {
    // The document names GET; the route takes every method there is.
    let mut routes = OpenApiRouter::new().route("/v4/auth", any(auth));
    super::openapi::add_operation::<__path_auth>(routes.get_openapi_mut());
    routes
}

/// Who the credential belongs to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallerView {
    person_id: i64,
    workspace_id: i64,
    email: String,
    name: String,
    is_admin: bool,
    /// Null where the caller came by e-mail and password.
    token_id: Option<String>,
    /// Null where the token never expires, or there is none.
    #[schema(schema_with = super::wire::moment_or_null)]
    token_expired_at: Option<Timestamp>,
}

impl From<&Principal> for CallerView {
    fn from(principal: &Principal) -> Self {
        let expires_at = principal.token.as_ref().and_then(|token| token.expires_at);
        Self {
            person_id: principal.person_id,
            workspace_id: principal.workspace_id,
            email: principal.email.clone(),
            name: principal.name.clone(),
            is_admin: principal.is_admin,
            token_id: principal.token.as_ref().map(|token| token.id.clone()),
            token_expired_at: expires_at.map(Timestamp::from),
        }
    }
}

/// Check a credential
///
/// For reverse proxies and other services. Every method is answered alike.
#[utoipa::path(get, path = "/v4/auth", operation_id = "checkAuthentication", tag = "auth",
    responses((status = 200, description = "Whose it is", body = CallerView), (status = 401), (status = 403)))]
async fn auth(Caller(caller): Caller) -> Json<CallerView> {
    Json(CallerView::from(&caller))
}
