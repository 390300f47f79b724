//! Asking for the password again before an act of weight, where it was typed some time ago.

use axum::http::HeaderMap;

use super::{
    cookie::Cookies,
    error::{PageError, PageResult},
    messages::Problem,
    session_user::Visitor,
    state::Site,
};
use crate::{
    http::ApiError,
    service::sign_in::{NotSignedIn, SignedIn, Via},
};
use tokenward_guard::AuthError;

/// Proves who acts by the password in the form, unless it was typed a short while ago. The session has a new value then: one
/// that somebody took before cannot do what was just proven.
///
/// # Errors
/// The inner result: the form is to be shown again.
pub(super) async fn prove(
    site: &Site,
    visitor: &Visitor,
    headers: &HeaderMap,
    password: Option<&str>,
) -> PageResult<Result<(), Problem>> {
    if !visitor.needs_proof() {
        return Ok(Ok(()));
    }
    let Some(password) = password.filter(|text| !text.is_empty()) else {
        return Ok(Err(Problem::new("Write your password to confirm that it is you.")));
    };
    if password_of(site, visitor, headers, password).await?.is_none() {
        return Ok(Err(Problem::new("That is not your password.")));
    }
    let value = site.sessions.renew(&visitor.session).await?.ok_or(PageError::signed_out())?;
    visitor.outbox.put(Cookies::set(&value, site.way(headers)));
    Ok(Ok(()))
}

/// What the visitor's own password proves; none if it is another.
///
/// # Errors
/// Where that could not be found out.
pub(super) async fn password_of(
    site: &Site,
    visitor: &Visitor,
    headers: &HeaderMap,
    password: &str,
) -> PageResult<Option<SignedIn>> {
    let device = site.cookies.read_device(headers);
    let via = Via::Page { device: device.as_ref() };
    match site.sign_in.by_password(&visitor.person.email, password, via).await {
        // An address can change hands.
        Ok(who) => Ok(Some(who).filter(|who| who.principal.person_id == visitor.person.id)),
        Err(NotSignedIn::Denied(AuthError::Denied(_))) => Ok(None),
        // An outage, or too many tries: not this form's fault.
        Err(error) => Err(ApiError::from(error).into()),
    }
}
