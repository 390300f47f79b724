//! Re-authentication: sensitive operations require the password, or a confirmation at the identity
//! provider, if the user authenticated some time ago.

use axum::http::HeaderMap;

pub(super) use super::reauth_method::Reauth;
use super::{
    cookie::Cookies,
    error::{PageError, PageResult},
    form_error::FormError,
    session_user::SessionUser,
    state::WebState,
};
use crate::{
    domain::id::PersonId,
    http::ApiError,
    service::{
        Login,
        sign_in::{LoginChannel, SignInError},
    },
};
use tokenward_guard::AuthError;

/// Verifies the password of the form, unless it was entered recently. Then renews the session value,
/// so that a session value stolen earlier does not profit from the re-authentication.
///
/// # Errors
/// The inner error is shown in the form, the outer one on a page of its own.
pub(super) async fn require_recent_password(
    state: &WebState,
    user: &SessionUser,
    headers: &HeaderMap,
    password: Option<&str>,
) -> PageResult<Result<(), FormError>> {
    match user.reauth() {
        Reauth::None => return Ok(Ok(())),
        Reauth::Password => {}
        Reauth::Provider { name, .. } => {
            return Ok(Err(FormError::new(format!("Confirm at {name} that it is you, then send the form again."))));
        }
    }
    let Some(password) = password.filter(|text| !text.is_empty()) else {
        return Ok(Err(FormError::of_field("own_password", "Enter your password to continue.")));
    };
    if verify_own_password(state, user, headers, password).await?.is_none() {
        return Ok(Err(FormError::of_field("own_password", "The password is incorrect.")));
    }
    let value = state.sessions.rotate(&user.session).await?.ok_or(PageError::signed_out())?;
    user.cookies.set(Cookies::set_session(&value, state.transport(headers)));
    Ok(Ok(()))
}

/// Verifies the user's own password. Returns `None` if it is wrong.
///
/// # Errors
/// Returns an error page during an outage and after too many failed attempts.
pub(super) async fn verify_own_password(
    state: &WebState,
    user: &SessionUser,
    headers: &HeaderMap,
    password: &str,
) -> PageResult<Option<Login>> {
    let device = state.cookies.read_device(headers);
    let channel = LoginChannel::Page { device: device.as_ref() };
    match state.sign_in.authenticate(&user.person.email, password, channel, &user.request).await {
        // The e-mail address may have been given to another account since the session was loaded.
        Ok(login) => Ok(Some(login).filter(|login| PersonId::of(&login.principal) == user.person.id)),
        Err(SignInError::Denied(AuthError::Denied(_)) | SignInError::DirectoryPasswordExpired) => Ok(None),
        // An outage, or too many failed attempts: the form is not the cause.
        Err(error) => Err(ApiError::from(error).into()),
    }
}
