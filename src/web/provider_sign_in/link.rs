//! The page with which users link their account to one at an identity provider.

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
    routing::get,
};

use super::failure::failure_page;
use crate::{
    domain::sign_in_flow::FlowPurpose,
    service::sign_in::FailedSignIn,
    web::{
        cookie::Cookies,
        error::{PageError, PageResult},
        extract::PageForm,
        form_error::FormError,
        layout::{Layout, NavItem, render, render_with_status},
        reauth::{Reauth, verify_own_password},
        session_user::SessionUser,
        state::WebState,
        tokens::ReauthForm,
    },
};

/// The page that is opened after an account was linked.
const DONE_PATH: &str = "/preferences/profile?done=linked";

pub(super) fn routes() -> Router<WebState> {
    Router::new().route("/preferences/profile/link/{provider}", get(show).post(begin))
}

#[derive(Template)]
#[template(path = "link_provider.html")]
struct LinkPage<'a> {
    layout: Layout,
    error: Option<&'a FormError>,
    provider: &'a str,
    reauth: Reauth,
}

/// The page that continues at the provider. A redirect would be blocked, because it would belong to the
/// form.
#[derive(Template)]
#[template(path = "continue_at_provider.html")]
struct ContinuePage<'a> {
    provider: &'a str,
    url: String,
}

fn page<'a>(user: &SessionUser, provider: &'a str, error: Option<&'a FormError>) -> LinkPage<'a> {
    // Always the password, however recent the sign-in: the link takes its place.
    LinkPage { layout: user.layout(NavItem::Profile), error, provider, reauth: Reauth::Password }
}

/// Returns an error page unless the provider exists and the user has a local password and no link.
fn ensure_can_link(user: &SessionUser, state: &WebState, provider: &str) -> PageResult<()> {
    let exists = state.sign_in.providers().find(provider).is_some();
    let can_link = exists && user.person.has_password && user.person.provider.is_none();
    if can_link { Ok(()) } else { Err(PageError::not_found()) }
}

async fn show(user: SessionUser, State(state): State<WebState>, Path(provider): Path<String>) -> PageResult<Response> {
    ensure_can_link(&user, &state, &provider)?;
    render(&page(&user, &provider, None))
}

/// Checks the password of the form.
async fn check_password(
    state: &WebState,
    user: &SessionUser,
    headers: &HeaderMap,
    password: Option<&str>,
) -> PageResult<Result<(), FormError>> {
    let Some(password) = password.filter(|text| !text.is_empty()) else {
        return Ok(Err(FormError::of_field("own_password", "Enter your password to continue.")));
    };
    match verify_own_password(state, user, headers, password).await? {
        Some(_) => Ok(Ok(())),
        None => Ok(Err(FormError::of_field("own_password", "The password is incorrect."))),
    }
}

/// Begins the link: the provider must authenticate the user again, and sends the browser back.
async fn begin(
    user: SessionUser,
    State(state): State<WebState>,
    Path(provider): Path<String>,
    headers: HeaderMap,
    PageForm(form): PageForm<ReauthForm>,
) -> PageResult<Response> {
    ensure_can_link(&user, &state, &provider)?;
    if let Err(error) = check_password(&state, &user, &headers, form.password()).await? {
        return render_with_status(error.status, &page(&user, &provider, Some(&error)));
    }
    let purpose = FlowPurpose::Link(user.session.id);
    match state.sign_in.begin_at_provider(&provider, DONE_PATH, purpose, &user.request).await {
        Ok(begun) => {
            user.cookies.append([Cookies::set_flow(&begun.cookie, state.transport(&headers))]);
            render(&ContinuePage { provider: &provider, url: begun.url })
        }
        Err(error) => {
            let failed = FailedSignIn { error, next_path: String::new(), is_confirmation: true };
            failure_page(&state, &provider, &failed, DONE_PATH)
        }
    }
}
