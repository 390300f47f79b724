//! The page on which a person without a session requests a link that resets the password.
//!
//! The response is the same for every e-mail address, whether or not an account has it.

use askama::Template;
use axum::{
    Extension, Router,
    extract::State,
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::Response,
    routing::get,
};
use serde::Deserialize;

use super::{
    error::{PageError, PageResult},
    extract::PageForm,
    layout::{render, render_with_status},
    messages,
    state::WebState,
};
use crate::{domain::event::RequestContext, service::Error};

#[derive(Template)]
#[template(path = "forgot_password.html")]
struct ForgotPasswordPage<'a> {
    error: Option<&'a str>,
    /// A link was requested.
    is_requested: bool,
    /// The names of the directories, which have the passwords of their people.
    providers: &'a [String],
}

#[derive(Deserialize)]
struct EmailForm {
    #[serde(default)]
    email: String,
}

pub(super) fn routes() -> Router<WebState> {
    Router::new().route("/forgot-password", get(show_form).post(request_link))
}

async fn show_form(State(state): State<WebState>) -> PageResult<Response> {
    if !state.mail.is_on() {
        return Err(PageError::not_found());
    }
    render(&page(&state, None, false))
}

async fn request_link(
    State(state): State<WebState>,
    Extension(context): Extension<RequestContext>,
    PageForm(form): PageForm<EmailForm>,
) -> PageResult<Response> {
    if !state.mail.is_on() {
        return Err(PageError::not_found());
    }
    match state.mail.request_reset(&form.email, &context).await {
        Ok(()) => render(&page(&state, None, true)),
        Err(Error::RateLimited { retry_after_millis }) => {
            let seconds = retry_after_millis.div_ceil(1_000);
            let message = format!("Too many requests from your network. {}", messages::retry_after(seconds));
            let mut response = render_with_status(StatusCode::TOO_MANY_REQUESTS, &page(&state, Some(&message), false))?;
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            Ok(response)
        }
        Err(error) => Err(error.into()),
    }
}

fn page<'a>(state: &'a WebState, error: Option<&'a str>, is_requested: bool) -> ForgotPasswordPage<'a> {
    ForgotPasswordPage { error, is_requested, providers: &state.providers }
}
