//! The grant of a device code (RFC 8628, sections 3.4 and 3.5).

use super::{
    oauth::OAuthError,
    token_form::{Form, TokenResponse},
};
use crate::{
    domain::event::RequestContext,
    http::ApiError,
    service::{DeviceAuthorizations, device_authorizations::DevicePoll},
};

/// The value of `grant_type`.
pub(super) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Answers a poll.
pub(super) async fn grant(
    device_authorizations: &DeviceAuthorizations,
    form: &Form,
    context: &RequestContext,
) -> Result<TokenResponse, OAuthError> {
    form.check_client()?;
    let rejected = |code, description: &str| Err(OAuthError::grant(code, description));
    match device_authorizations.poll(form.require("device_code", "send the device code")?, context).await? {
        DevicePoll::Issued(issued) => {
            let (value, token) = &*issued;
            Ok(TokenResponse::new(value, token))
        }
        DevicePoll::Pending => rejected("authorization_pending", "The person has not decided yet. Poll again."),
        DevicePoll::TooEarly => rejected("slow_down", "Wait 5 seconds longer between polls from now on."),
        DevicePoll::Denied => rejected("access_denied", "The person denied the login, or the session has ended."),
        DevicePoll::NotAllowed(error) => rejected("access_denied", &ApiError::from(error).details()),
        DevicePoll::Expired => rejected("expired_token", "The device code has expired. Begin again."),
        DevicePoll::Unknown => rejected("invalid_grant", "The device code is unknown or was used before."),
    }
}
