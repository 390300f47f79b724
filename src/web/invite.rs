//! The pages of invite links and reset links, on which a person without a credential sets the password.
//!
//! The path contains the secret: a fragment would need a script. Logs and metrics show the template of
//! the path. Requesting the page does not use the link, because mail and chat programs preview links.

use askama::Template;
use axum::{
    Extension, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::get,
};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    cookie::Cookies,
    error::{PageError, PageResult, see_other},
    extract::{LinkPath, PageForm},
    form_error::FormError,
    layout::render_form,
    response_cookies::ResponseCookies,
    sign_in::end_previous_session,
    state::WebState,
};
use crate::{
    domain::{event::RequestContext, password_link::LinkKind},
    http::ApiError,
    service::invites::LinkError,
};

#[derive(Template)]
#[template(path = "invite.html")]
struct InvitePage<'a> {
    /// The page of a reset link.
    is_reset: bool,
    error: Option<&'a FormError>,
    email: &'a str,
    workspace: &'a str,
    min_chars: usize,
}

#[derive(Deserialize)]
struct NewPasswordForm {
    #[serde(default)]
    new_password: Zeroizing<String>,
    #[serde(default)]
    repeated_password: Zeroizing<String>,
}

pub(super) fn routes() -> Router<WebState> {
    Router::new()
        .merge(routes_of("/invite/{value}", LinkKind::Invite))
        .merge(routes_of("/reset-password/{value}", LinkKind::Reset))
}

fn routes_of(path: &str, kind: LinkKind) -> Router<WebState> {
    Router::new().route(path, get(show_form).post(set_password)).layer(Extension(kind))
}

async fn show_form(State(state): State<WebState>, LinkPath { kind, value }: LinkPath) -> PageResult<Response> {
    page(&state, kind, &value, None).await
}

async fn page(state: &WebState, kind: LinkKind, value: &str, error: Option<&FormError>) -> PageResult<Response> {
    let account = state.invites.find(kind, value).await.map_err(|error| link_error(kind, error))?;
    let page = InvitePage {
        is_reset: kind == LinkKind::Reset,
        error,
        email: &account.person.email,
        workspace: &account.workspace_name,
        min_chars: state.min_password_length,
    };
    render_form(&page, error)
}

/// Sets the password. The person then signs in with it, which shows that it was stored as typed.
async fn set_password(
    State(state): State<WebState>,
    Extension(context): Extension<RequestContext>,
    Extension(cookies): Extension<ResponseCookies>,
    headers: HeaderMap,
    LinkPath { kind, value }: LinkPath,
    PageForm(form): PageForm<NewPasswordForm>,
) -> PageResult<Response> {
    let passwords = (form.new_password.as_str(), form.repeated_password.as_str());
    match state.invites.redeem((kind, &value), passwords, &context).await {
        Ok(()) => {
            // This browser may have a session of another person, who would see their own pages next.
            end_previous_session(&state, &headers, &context).await?;
            cookies.set(Cookies::clear_session());
            Ok(see_other("/sign-in?set=yes"))
        }
        Err(LinkError::Service(error)) => {
            let error = FormError::from_error(error)?;
            page(&state, kind, &value, Some(&error)).await
        }
        Err(error) => Err(link_error(kind, error)),
    }
}

/// Returns the error page of a link. It is the same for every link that is not valid.
fn link_error(kind: LinkKind, error: LinkError) -> PageError {
    match error {
        LinkError::Invalid if kind == LinkKind::Reset => PageError::message(
            StatusCode::NOT_FOUND,
            "This link is not valid",
            "It was used, has expired, or was replaced by a newer one. Check that the address is complete, or request \
             another link on the sign-in page.",
        ),
        LinkError::Invalid => PageError::message(
            StatusCode::NOT_FOUND,
            "This link is not valid",
            "It was used, has expired, or was replaced by a newer one. Check that the address is complete, or ask your \
             administrator for a new link.",
        ),
        LinkError::Throttled { seconds } => ApiError::LoginThrottled { seconds }.into(),
        LinkError::Service(error) => error.into(),
    }
}
