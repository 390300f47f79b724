//! `POST /oauth2/token` (RFC 6749, section 3.2): creates tokens by grants. Each grant has a file of its own.

use axum::{
    Extension,
    extract::{FromRef, State},
};
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    device_grant,
    oauth::OAuthError,
    token_exchange,
    token_form::{Form, TokenResponse},
};
use crate::{
    app::App,
    domain::event::RequestContext,
    http::{json::Json, schema::words_schema},
    service::{DeviceAuthorizations, WorkloadIdentity},
};

/// The grants, as in the metadata (RFC 8414, section 2).
pub(super) const GRANT_TYPES: [&str; 2] = [device_grant::GRANT_TYPE, token_exchange::GRANT_TYPE];

/// The services that the grants use.
#[derive(Clone, FromRef)]
pub(super) struct GrantState {
    device_authorizations: DeviceAuthorizations,
    workload_identity: WorkloadIdentity,
}

impl FromRef<App> for GrantState {
    fn from_ref(app: &App) -> Self {
        Self {
            device_authorizations: app.device_authorizations().clone(),
            workload_identity: app.workload_identity().clone(),
        }
    }
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create_token))
}

/// The form in the OpenAPI document.
#[derive(ToSchema)]
#[schema(as = TokenGrantForm)]
#[expect(dead_code, reason = "parsed by hand, so that a repeated parameter is rejected")]
pub struct GrantRequest {
    #[schema(schema_with = grant_type_schema)]
    grant_type: String,
    /// The device code; required for that grant.
    #[schema(nullable = false)]
    device_code: Option<String>,
    /// `tokenward`, or absent: clients are not registered. For device codes.
    #[schema(nullable = false)]
    client_id: Option<String>,
    /// The JWT of an issuer that a trust rule names; required for an exchange.
    #[schema(nullable = false)]
    subject_token: Option<String>,
    /// The kind of the subject token; required for an exchange.
    #[schema(schema_with = token_exchange::subject_token_type_schema, required = false)]
    subject_token_type: Option<String>,
    /// The name of the service account; required for an exchange.
    #[schema(nullable = false, examples("deploy"))]
    audience: Option<String>,
    /// Scopes, separated by spaces, among those of the trust rule; absent: all of them. For an exchange.
    #[schema(nullable = false)]
    scope: Option<String>,
}

fn grant_type_schema() -> RefOr<Schema> {
    words_schema("The grant.", GRANT_TYPES)
}

/// Create a token by a grant (RFC 6749)
///
/// With a device code (RFC 8628), a program polls until a person has decided. A poll that comes too early
/// lengthens the interval. With a token exchange (RFC 8693), a CI job or a pod exchanges the JWT of its platform
/// for a token of the service account that `audience` names, if one of its trust rules accepts the JWT, which is
/// the only credential and is accepted once. Errors have the codes of RFC 6749, section 5.2, and of RFC 8628,
/// section 3.5.
#[utoipa::path(post, path = "/oauth2/token", operation_id = "createTokenByGrant", tag = "oauth2", security(()),
    request_body(content = GrantRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The new token", body = TokenResponse)))]
pub(super) async fn create_token(
    State(GrantState { device_authorizations, workload_identity }): State<GrantState>,
    Extension(context): Extension<RequestContext>,
    form: Form,
) -> Result<Json<TokenResponse>, OAuthError> {
    let created =
        match form.require("grant_type", "send one of grant_types_supported in the metadata of this service")? {
            device_grant::GRANT_TYPE => device_grant::grant(&device_authorizations, &form, &context).await,
            token_exchange::GRANT_TYPE => token_exchange::exchange(&workload_identity, &form, &context).await,
            _ => Err(OAuthError::grant(
                "unsupported_grant_type",
                format!("The grant types of this service are {}.", GRANT_TYPES.join(", ")),
            )),
        };
    created.map(Json)
}
