//! Changing one's own password, on the profile page or on the page for a required change.

use askama::Template;
use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    error::{PageError, PageResult, see_other},
    extract::PageForm,
    form_error::FormError,
    layout::{render, render_with_status},
    reauth::verify_own_password,
    session_user::{SessionUser, SessionUserAny},
    sign_in::start_session,
    state::WebState,
};
use crate::{
    domain::{
        ValidationError,
        id::{PersonId, WorkspaceId},
    },
    service::{
        people::{ActorKind, UpdatePerson},
        sign_in::LoginChannel,
    },
};

#[derive(Template)]
#[template(path = "change_password.html")]
struct ChangePasswordPage<'a> {
    error: Option<&'a FormError>,
    email: &'a str,
    min_chars: usize,
}

/// The fields of a password change.
#[derive(Deserialize)]
pub(super) struct PasswordForm {
    #[serde(default)]
    old_password: Zeroizing<String>,
    #[serde(default)]
    new_password: Zeroizing<String>,
    #[serde(default)]
    repeated_password: Zeroizing<String>,
}

pub(super) fn routes() -> Router<WebState> {
    Router::new().route("/change-password", get(show_form).post(submit_form))
}

async fn show_form(SessionUserAny(user): SessionUserAny, State(state): State<WebState>) -> PageResult<Response> {
    if !user.person.force_password_change {
        return Ok(see_other("/preferences/profile"));
    }
    render(&page(&user, &state, None))
}

async fn submit_form(
    SessionUserAny(user): SessionUserAny,
    State(state): State<WebState>,
    headers: HeaderMap,
    PageForm(form): PageForm<PasswordForm>,
) -> PageResult<Response> {
    match change_password(&state, &user, &headers, &form).await? {
        Ok(()) => Ok(see_other("/preferences/access-tokens")),
        Err(error) => render_with_status(error.status, &page(&user, &state, Some(&error))),
    }
}

fn page<'a>(user: &'a SessionUser, state: &WebState, error: Option<&'a FormError>) -> ChangePasswordPage<'a> {
    ChangePasswordPage { error, email: &user.person.email, min_chars: state.min_password_length }
}

/// Changes the user's password. All sessions of the user end, and this browser gets a new one if
/// possible.
///
/// # Errors
/// The inner error is shown in the form, the outer one on a page of its own.
pub(super) async fn change_password(
    state: &WebState,
    user: &SessionUser,
    headers: &HeaderMap,
    form: &PasswordForm,
) -> PageResult<Result<(), FormError>> {
    if form.new_password != form.repeated_password {
        return Ok(Err(FormError::from_error(ValidationError::PasswordMismatch.into())?));
    }
    let Some(proof) = verify_own_password(state, user, headers, &form.old_password).await? else {
        return Ok(Err(FormError::of_field("old_password", "The current password is incorrect.")));
    };
    let change = UpdatePerson { password: Some(&form.new_password), proof: Some(&proof), ..UpdatePerson::default() };
    let actor = user.actor();
    if let Err(error) =
        state.people.update(ActorKind::Person(&actor), WorkspaceId::of(&actor), PersonId::of(&actor), &change).await
    {
        return Ok(Err(FormError::from_error(error)?));
    }
    // The password has changed already. If no session can be started, the user signs in again.
    let device = state.cookies.read_device(headers);
    let channel = LoginChannel::Page { device: device.as_ref() };
    let login = state.sign_in.authenticate(&user.person.email, &form.new_password, channel, &user.request).await;
    let login = login.map_err(|_| PageError::signed_out())?;
    start_session(state, headers, &login, user).await?;
    Ok(Ok(()))
}
