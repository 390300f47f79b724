//! Signing in and out.

use askama::Template;
use axum::{
    Extension, Router,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::USER_AGENT},
    response::Response,
    routing::{get, post},
};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    cookie::Cookies,
    error::{PageResult, see_other},
    extract::{Asked, Posted},
    layout::{show, show_as},
    response_cookies::Outbox,
    state::Site,
};
use crate::{
    domain::session::UserAgent,
    http::ApiError,
    service::sign_in::{NotSignedIn, SignedIn, Via},
};
use tokenward_guard::AuthError;

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
/// The same for every failure: a stranger learns nothing of any account.
const REFUSED: &str = "That did not work. Check e-mail and password; if both are right, the account may be disabled.";

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    problem: Option<&'a str>,
    notice: Option<&'a str>,
    next: &'a str,
    email: &'a str,
}

#[derive(Default, Deserialize)]
struct Ask {
    next: Option<String>,
    out: Option<String>,
    ended: Option<String>,
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

pub(super) fn routes() -> Router<Site> {
    Router::new().route("/sign-in", get(ask).post(sign_in)).route("/sign-out", post(sign_out))
}

async fn ask(State(site): State<Site>, headers: HeaderMap, Asked(ask): Asked<Ask>) -> PageResult<Response> {
    let next = own_path(ask.next.as_deref());
    if let Some(value) = site.cookies.read(&headers)
        && site.sessions.find(&value).await?.is_some()
    {
        return Ok(see_other(next));
    }
    let notice = match (ask.out, ask.ended) {
        (Some(_), _) => Some("You are signed out."),
        (None, Some(_)) => Some("Your session had ended, so nothing was done. Sign in, and send the form again."),
        (None, None) => None,
    };
    show(&SignInPage { problem: None, notice, next, email: "" })
}

async fn sign_in(
    State(site): State<Site>,
    Extension(outbox): Extension<Outbox>,
    headers: HeaderMap,
    Posted(form): Posted<SignInForm>,
) -> PageResult<Response> {
    let way = site.way(&headers);
    let next = own_path(Some(&form.next));
    let device = site.cookies.read_device(&headers).unwrap_or_else(|| site.sign_in.new_device());
    let via = Via::Page { device: Some(&device) };
    let who = match site.sign_in.by_password(&form.email, &form.password, via).await {
        Ok(who) => Some(who),
        Err(NotSignedIn::Denied(denied @ AuthError::Denied(_))) => {
            tracing::info!(cause = %denied, "a sign-in was refused");
            None
        }
        // An outage, or too many tries.
        Err(error) => return Err(ApiError::from(error).into()),
    };
    let begun = match &who {
        Some(who) => site.sessions.begin(who, browser_of(&headers)).await?,
        None => None,
    };
    let (Some(who), Some(value)) = (who, begun) else {
        let page = SignInPage { problem: Some(REFUSED), notice: None, next: &form.next, email: &form.email };
        return show_as(StatusCode::FORBIDDEN, &page);
    };
    end_former(&site, &headers).await?;
    let next = if who.must_change_password { "/change-password" } else { next };
    outbox.put([Cookies::set_device(&device, way)].into_iter().chain(Cookies::set(&value, way)));
    Ok(see_other(next))
}

/// Ends the session that this browser had, whoever's it was: its cookie is about to go, and nobody could sign out of it here.
async fn end_former(site: &Site, headers: &HeaderMap) -> PageResult<()> {
    let Some(value) = site.cookies.read(headers) else { return Ok(()) };
    if let Some(former) = site.sessions.find(&value).await? {
        site.sessions.sign_out(&former).await?;
    }
    Ok(())
}

async fn sign_out(
    State(site): State<Site>,
    Extension(outbox): Extension<Outbox>,
    headers: HeaderMap,
) -> PageResult<Response> {
    if let Some(value) = site.cookies.read(&headers)
        && let Some(visit) = site.sessions.find(&value).await?
    {
        site.sessions.sign_out(&visit).await?;
    }
    outbox.put(Cookies::clear());
    let mut response = see_other("/sign-in?out=yes");
    response.headers_mut().insert(CLEAR_SITE_DATA, HeaderValue::from_static("\"cache\""));
    Ok(response)
}

/// Begins a session anew, for somebody whose others have just been ended.
pub(super) async fn begin_again(site: &Site, headers: &HeaderMap, who: &SignedIn, outbox: &Outbox) -> PageResult<()> {
    if let Some(value) = site.sessions.begin(who, browser_of(headers)).await? {
        outbox.put(Cookies::set(&value, site.way(headers)));
    }
    Ok(())
}

fn browser_of(headers: &HeaderMap) -> UserAgent {
    headers.get(USER_AGENT).map(|value| UserAgent::of(&String::from_utf8_lossy(value.as_bytes()))).unwrap_or_default()
}

/// Where to go after signing in: a page of ours, or the first. A browser takes `//` and `/\` for another host.
fn own_path(asked: Option<&str>) -> &str {
    const FIRST: &str = "/preferences/access-tokens";
    let ours = |path: &&str| {
        let plain = path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        let known = ["/preferences", "/admin"]
            .iter()
            .any(|place| path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?'])));
        plain && known
    };
    asked.filter(ours).unwrap_or(FIRST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_goes_on_to_a_page_of_ours_alone() {
        for fine in ["/admin", "/admin/users?search=a%20b", "/preferences/profile"] {
            assert_eq!(own_path(Some(fine)), fine);
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
        ] {
            assert_eq!(own_path(Some(foreign)), "/preferences/access-tokens", "{foreign}");
        }
    }
}
