//! `POST /oauth2/device_authorization` (RFC 8628, section 3.1): a program without a browser asks for a
//! token.

use axum::{Extension, extract::State};
use serde::Serialize;
use tokenward_guard::Scopes;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{oauth::OAuthError, token_form::Form};
use crate::{
    app::App,
    domain::{
        event::RequestContext,
        token::{Description, Lifetime},
        token_limits::parse_scopes,
    },
    http::{ApiError, json::Json},
    service::{DeviceAuthorizations, device_authorizations::DeviceRequest},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(begin))
}

/// The codes of a device authorization (RFC 8628, section 3.2). There is no URL with the user code in it:
/// the person types the code, and so knows that this login is theirs.
#[derive(Serialize, ToSchema)]
#[schema(as = DeviceAuthorization)]
struct DeviceAuthorizationResponse {
    /// The secret with which the program polls.
    device_code: String,
    /// The code that the person types on the page.
    #[schema(examples("BCDF-GHJK"))]
    user_code: String,
    /// The page, to be shown to the person.
    verification_uri: String,
    /// The time in which the person can decide, in seconds.
    expires_in: i64,
    /// The time between two polls, in seconds.
    interval: i64,
}

/// The form in the OpenAPI document.
#[derive(ToSchema)]
#[schema(as = DeviceAuthorizationForm)]
#[expect(dead_code, reason = "parsed by hand, so that a repeated parameter is rejected")]
pub struct DeviceAuthorizationRequest {
    /// `tokenward`, or absent: clients are not registered.
    #[schema(nullable = false)]
    client_id: Option<String>,
    /// The description of the token, which the person sees: one line of at most 255 characters.
    #[schema(nullable = false)]
    description: Option<String>,
    /// The lifetime of the token in seconds, or -1. Absent: 30 days, or the maximum of the workspace if it is
    /// shorter.
    #[schema(nullable = false)]
    lifetime: Option<i64>,
    /// The scopes of the token, separated by spaces. Absent: full access.
    #[schema(nullable = false)]
    scope: Option<String>,
}

/// Begin a device authorization (RFC 8628)
///
/// For programs without a browser. No credential is needed. Show `user_code` and `verification_uri` to the
/// person, and poll at `/oauth2/token`. The person sees the description, the lifetime, the scopes and where the
/// request came from, and approves or denies. An address that sends very many requests gets 429.
#[utoipa::path(post, path = "/oauth2/device_authorization", operation_id = "beginDeviceAuthorization", tag = "oauth2",
    security(()),
    request_body(content = DeviceAuthorizationRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The codes", body = DeviceAuthorizationResponse)))]
async fn begin(
    State(device_authorizations): State<DeviceAuthorizations>,
    Extension(context): Extension<RequestContext>,
    form: Form,
) -> Result<Json<DeviceAuthorizationResponse>, OAuthError> {
    form.check_client()?;
    let begun = device_authorizations.begin(parse_request(&form)?, &context).await?;
    Ok(Json(DeviceAuthorizationResponse {
        device_code: begun.device_code.expose().to_owned(),
        user_code: begun.user_code.to_string(),
        verification_uri: begun.verification_uri.to_string(),
        expires_in: begun.expires_in_seconds,
        interval: begun.interval_seconds,
    }))
}

fn parse_request(form: &Form) -> Result<DeviceRequest, OAuthError> {
    let description = form.get("description")?.unwrap_or_default().to_owned();
    let lifetime = match form.get("lifetime")? {
        None => None,
        Some(text) => {
            let seconds = text.parse().map_err(|_| OAuthError::InvalidRequest("lifetime must be an integer."))?;
            Some(Lifetime::from_seconds(seconds).map_err(ApiError::from)?)
        }
    };
    let scopes = match form.get("scope")? {
        None => Scopes::unrestricted(),
        Some(text) => {
            let words: Vec<String> = text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
            let invalid = |invalid| OAuthError::grant("invalid_scope", ApiError::from(invalid).details());
            parse_scopes(&words).map_err(invalid)?
        }
    };
    let description = Description::parse(description).map_err(ApiError::from)?;
    Ok(DeviceRequest { description, lifetime, scopes })
}
