//! Sign-in and sign-out.

use askama::Template;
use axum::{
    Extension, Router,
    extract::State,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{RETRY_AFTER, USER_AGENT},
    },
    response::Response,
    routing::{get, post},
};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    cookie::Cookies,
    draft,
    error::{PageResult, see_other},
    extract::{LenientQuery, PageForm},
    layout::{render, render_with_status},
    messages,
    response_cookies::ResponseCookies,
    session_user::SessionUser,
    state::WebState,
};
use crate::{
    domain::{event::RequestContext, id::PersonId, session::UserAgent},
    http::ApiError,
    service::{
        Login,
        sign_in::{LoginChannel, SignInError},
    },
};
use tokenward_guard::AuthError;

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
/// The same for every failure, so that it reveals nothing about accounts.
const SIGN_IN_FAILED: &str =
    "Wrong e-mail or password. If you are sure of both, ask your administrator whether the account is disabled.";

#[derive(Template)]
#[template(path = "sign_in.html")]
pub(super) struct SignInPage<'a> {
    pub error: Option<&'a str>,
    pub notice: Option<&'a str>,
    pub next: &'a str,
    pub email: &'a str,
    /// The names of the directories whose passwords are accepted.
    pub providers: &'a [String],
    /// The names of the providers to which browsers are redirected, and the paths that do so.
    pub redirects: Vec<(&'a str, String)>,
    /// The service sends links that reset a password.
    pub can_reset: bool,
}

impl<'a> SignInPage<'a> {
    /// Creates the page, which opens the page `next` after the sign-in.
    pub(super) fn new(state: &'a WebState, next: &'a str) -> Self {
        let encoded: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
        let path = |name: &'a String| (name.as_str(), format!("/sign-in/{name}?next={encoded}"));
        Self {
            error: None,
            notice: None,
            next,
            email: "",
            providers: &state.providers,
            redirects: state.redirects.iter().map(path).collect(),
            can_reset: state.mail.is_on(),
        }
    }
}

#[derive(Default, Deserialize)]
struct SignInQuery {
    next: Option<String>,
    out: Option<String>,
    ended: Option<String>,
    /// The user has set the password with an invite link.
    set: Option<String>,
}

#[derive(Deserialize)]
struct SignInForm {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: Zeroizing<String>,
    #[serde(default)]
    next: String,
}

pub(super) fn routes() -> Router<WebState> {
    Router::new().route("/sign-in", get(show_form).post(sign_in)).route("/sign-out", post(sign_out))
}

async fn show_form(
    State(state): State<WebState>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    LenientQuery(query): LenientQuery<SignInQuery>,
) -> PageResult<Response> {
    let next = return_path(query.next.as_deref());
    if let Some(value) = state.cookies.read_session(&headers)
        && state.sessions.find(&value, context.client_ip).await?.is_some()
    {
        return Ok(see_other(next));
    }
    let notice = match (query.out, query.ended) {
        _ if query.set.is_some() => Some("Your password is set. Sign in with it."),
        (Some(_), _) => Some("You are signed out."),
        (None, Some(_)) if draft::is_kept(&state, &headers) => {
            Some("You were signed out for inactivity. Sign in to continue. The text that you entered is kept.")
        }
        (None, Some(_)) => Some("You were signed out for inactivity. Sign in to continue."),
        (None, None) => None,
    };
    render(&SignInPage { notice, ..SignInPage::new(&state, next) })
}

async fn sign_in(
    State(state): State<WebState>,
    Extension(context): Extension<RequestContext>,
    Extension(cookies): Extension<ResponseCookies>,
    headers: HeaderMap,
    PageForm(form): PageForm<SignInForm>,
) -> PageResult<Response> {
    let transport = state.transport(&headers);
    let next = return_path(Some(&form.next));
    let device = state.cookies.read_device(&headers).unwrap_or_else(|| state.sign_in.generate_device_value());
    let channel = LoginChannel::Page { device: Some(&device) };
    let login = match state.sign_in.authenticate(&form.email, &form.password, channel, &context).await {
        Ok(login) => Some(login),
        Err(SignInError::Denied(AuthError::Denied(_))) => None,
        Err(SignInError::Throttled { seconds }) => return throttled_page(&state, &form, seconds),
        Err(error @ (SignInError::DirectoryUnavailable | SignInError::DirectoryPasswordExpired)) => {
            return directory_page(&state, &form, &error);
        }
        // An outage.
        Err(error) => return Err(ApiError::from(error).into()),
    };
    let session_value = match &login {
        Some(login) => state.sessions.create(login, user_agent(&headers), &context).await?,
        None => None,
    };
    let (Some(login), Some(value)) = (login, session_value) else {
        let page =
            SignInPage { error: Some(SIGN_IN_FAILED), email: &form.email, ..SignInPage::new(&state, &form.next) };
        return render_with_status(StatusCode::FORBIDDEN, &page);
    };
    replace_session(&state, &headers, &context, &cookies, &login).await?;
    let next = if login.must_change_password { "/change-password" } else { next };
    cookies.set([Cookies::set_device(&device, transport)].into_iter().chain(Cookies::set_session(&value, transport)));
    Ok(see_other(next))
}

/// Ends the session that this browser had before a sign-in, and removes form text of another user.
pub(super) async fn replace_session(
    state: &WebState,
    headers: &HeaderMap,
    context: &RequestContext,
    cookies: &ResponseCookies,
    login: &Login,
) -> PageResult<()> {
    end_previous_session(state, headers, context).await?;
    draft::remove_of_others(state, headers, cookies, PersonId::of(&login.principal)).await;
    Ok(())
}

/// Shows the form again after an outage of the directory, or if the password has expired there.
fn directory_page(state: &WebState, form: &SignInForm, error: &SignInError) -> PageResult<Response> {
    let (status, message) = match error {
        SignInError::DirectoryPasswordExpired => (
            StatusCode::FORBIDDEN,
            "Your password has expired. Change it where you sign in to your computer, then sign in here.",
        ),
        _ => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The directory does not respond, so your password could not be checked. Try again in a minute. Tokens and \
             open sessions work as before.",
        ),
    };
    let page = SignInPage { error: Some(message), email: &form.email, ..SignInPage::new(state, &form.next) };
    let mut response = render_with_status(status, &page)?;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
    }
    Ok(response)
}

/// Shows the form again after too many failed attempts.
fn throttled_page(state: &WebState, form: &SignInForm, seconds: u64) -> PageResult<Response> {
    let wait = messages::retry_after(seconds);
    let message = format!("Too many failed attempts. {wait} Existing sessions and tokens are not affected.");
    let page = SignInPage { error: Some(&message), email: &form.email, ..SignInPage::new(state, &form.next) };
    let mut response = render_with_status(StatusCode::TOO_MANY_REQUESTS, &page)?;
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    Ok(response)
}

/// Ends the previous session of this browser, even one of another user. Its cookie is replaced, so
/// that it could no longer be used to sign out.
pub(super) async fn end_previous_session(
    state: &WebState,
    headers: &HeaderMap,
    context: &RequestContext,
) -> PageResult<()> {
    let Some(value) = state.cookies.read_session(headers) else { return Ok(()) };
    if let Some(previous) = state.sessions.find(&value, context.client_ip).await? {
        state.sessions.sign_out(&previous).await?;
    }
    Ok(())
}

async fn sign_out(
    State(state): State<WebState>,
    Extension(context): Extension<RequestContext>,
    Extension(cookies): Extension<ResponseCookies>,
    headers: HeaderMap,
) -> PageResult<Response> {
    let mut provider = None;
    if let Some(value) = state.cookies.read_session(&headers)
        && let Some(active) = state.sessions.find(&value, context.client_ip).await?
    {
        state.sessions.sign_out(&active).await?;
        provider = active.session.provider;
    }
    cookies.set(Cookies::clear_session());
    cookies.append(draft::clear());
    let mut response = signed_out(&state, provider.as_deref()).await?;
    response.headers_mut().insert(CLEAR_SITE_DATA, HeaderValue::from_static("\"cache\""));
    Ok(response)
}

/// The page after a sign-out, which continues at the identity provider. A redirect would be blocked, because
/// it would belong to the form.
#[derive(Template)]
#[template(path = "signed_out.html")]
struct SignedOutPage<'a> {
    provider: &'a str,
    url: String,
}

/// Returns the response to a sign-out: the sign-in page, or the way to the provider that ends its own session.
async fn signed_out(state: &WebState, provider: Option<&str>) -> PageResult<Response> {
    let provider = provider.filter(|name| state.redirects.iter().any(|known| known == name));
    if let Some(provider) = provider
        && let Some(url) = state.sign_in.provider_logout_url(provider).await
    {
        return render(&SignedOutPage { provider, url });
    }
    Ok(see_other("/sign-in?out=yes"))
}

/// Starts a session for a user whose other sessions have just been ended.
pub(super) async fn start_session(
    state: &WebState,
    headers: &HeaderMap,
    login: &Login,
    user: &SessionUser,
) -> PageResult<()> {
    if let Some(value) = state.sessions.create(login, user_agent(headers), &user.request).await? {
        user.cookies.set(Cookies::set_session(&value, state.transport(headers)));
    }
    Ok(())
}

pub(super) fn user_agent(headers: &HeaderMap) -> UserAgent {
    headers
        .get(USER_AGENT)
        .map(|value| UserAgent::from_header(&String::from_utf8_lossy(value.as_bytes())))
        .unwrap_or_default()
}

/// Returns the path to open after sign-in: the requested one if it is a page, else the token list.
/// Browsers treat `//` and `/\` as the start of another host.
pub(super) fn return_path(requested: Option<&str>) -> &str {
    const DEFAULT: &str = "/preferences/access-tokens";
    const MAX_PATH_BYTES: usize = 2_048;
    let is_own_page = |path: &&str| {
        let is_safe_text = path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        let is_known = ["/preferences", "/admin", "/device"].iter().any(|prefix| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
        });
        is_safe_text && is_known && path.len() <= MAX_PATH_BYTES
    };
    requested.filter(is_own_page).unwrap_or(DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sign_in_redirects_only_to_own_pages() {
        for own in ["/admin", "/admin/users?search=a%20b", "/preferences/profile", "/device", "/device/x"] {
            assert_eq!(return_path(Some(own)), own);
        }
        for foreign in [
            "//e.example",
            "/\\e.example",
            "/%09/e.example",
            "https:e.example",
            "https://e.example",
            "",
            "admin",
            "/adminx",
            "/admin\r\nset-cookie:x",
            "/admin/\\e",
            "/sign-in",
            "/v4/people",
            "javascript:alert(1)",
            "/admin é",
            &format!("/admin?{}", "x".repeat(2_048)),
        ] {
            assert_eq!(return_path(Some(foreign)), "/preferences/access-tokens", "{foreign}");
        }
    }
}
