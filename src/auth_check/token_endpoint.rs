//! `POST /oauth2/token` (RFC 6749, section 3.2): dispatches to the grants. Each grant has a file of its
//! own.

use axum::{
    Extension,
    body::Bytes,
    extract::{FromRef, State},
    http::HeaderMap,
    response::Response,
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{device_grant, grant_response::TokenResponse, oauth::OAuthError, oauth_form::OAuthForm};
use crate::{app::App, domain::event::RequestContext, service::DeviceAuthorizations};

/// The values of `grant_type`, for the metadata.
pub(super) const GRANT_TYPES: [&str; 1] = [device_grant::GRANT_TYPE];

/// The services that the grants use.
#[derive(Clone, FromRef)]
pub(super) struct GrantState {
    pub(super) device_authorizations: DeviceAuthorizations,
}

impl FromRef<App> for GrantState {
    fn from_ref(app: &App) -> Self {
        Self { device_authorizations: app.device_authorizations().clone() }
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
    /// `urn:ietf:params:oauth:grant-type:device_code`.
    grant_type: String,
    /// The device code, for that grant.
    #[schema(nullable = false)]
    device_code: Option<String>,
    /// `tokenward`, or absent: clients are not registered.
    #[schema(nullable = false)]
    client_id: Option<String>,
}

/// Create a token by a grant (RFC 6749)
///
/// With the grant type of RFC 8628, a program polls with its device code until a person has decided. A
/// poll that comes too early lengthens the interval. Errors have the codes of RFC 6749, section 5.2, and
/// RFC 8628, section 3.5.
#[utoipa::path(post, path = "/oauth2/token", operation_id = "createTokenByGrant", tag = "oauth2", security(()),
    request_body(content = GrantRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The new token", body = TokenResponse)))]
async fn create_token(
    State(state): State<GrantState>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, OAuthError> {
    let form = OAuthForm::parse(&headers, &body)?;
    match form.required("grant_type")? {
        device_grant::GRANT_TYPE => device_grant::grant(&state.device_authorizations, &form, &context).await,
        _ => Err(OAuthError::grant("unsupported_grant_type", "The metadata of the service list the grant types.")),
    }
}
