//! What a browser is shown instead of what it asked for, in the same dress.

use askama::Template;
use axum::{
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CONTENT_TYPE, LOCATION, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE},
    },
    response::{Html, IntoResponse, Redirect, Response},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{messages, security_headers};
use crate::{http::ApiError, service::Refusal};

/// Everything that a page answers instead.
#[derive(Debug)]
pub(super) enum PageError {
    /// Nobody is signed in: the browser is sent to where that is done, and comes back to this path.
    SignedOut { back_to: Option<String>, was_form: bool },
    /// The person must choose a new password before anything else.
    PasswordChangeRequired,
    /// Another page says why.
    SeeInstead(&'static str),
    /// What the services refuse, by the same table as the API's.
    Refused(ApiError),
    /// Something said in words of its own.
    Told { status: StatusCode, title: &'static str, advice: &'static str },
}

/// A page handler's result.
pub(super) type PageResult<T> = Result<T, PageError>;

impl PageError {
    pub(super) fn told(status: StatusCode, title: &'static str, advice: &'static str) -> Self {
        Self::Told { status, title, advice }
    }

    pub(super) fn signed_out() -> Self {
        Self::SignedOut { back_to: None, was_form: false }
    }

    pub(super) fn not_found() -> Self {
        Self::Refused(ApiError::RouteNotFound)
    }
}

impl From<Refusal> for PageError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::CallerGone => Self::signed_out(),
            refusal => Self::Refused(refusal.into()),
        }
    }
}

impl From<ApiError> for PageError {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

impl From<askama::Error> for PageError {
    fn from(error: askama::Error) -> Self {
        tracing::error!(%error, "a page could not be written");
        Self::Refused(ApiError::Internal)
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        match self {
            Self::SignedOut { back_to, was_form } => {
                let next = back_to.map(|path| format!("next={}", utf8_percent_encode(&path, NON_ALPHANUMERIC)));
                let query: Vec<String> = next.into_iter().chain(was_form.then(|| "ended=yes".to_owned())).collect();
                let mark = if query.is_empty() { "" } else { "?" };
                Redirect::to(&format!("/sign-in{mark}{}", query.join("&"))).into_response()
            }
            Self::PasswordChangeRequired => Redirect::to("/change-password").into_response(),
            Self::SeeInstead(path) => Redirect::to(path).into_response(),
            // `dress` makes a page of it.
            Self::Refused(error) => error.into_response(),
            Self::Told { status, title, advice } => page(status, title, advice, None),
        }
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    status: u16,
    title: &'a str,
    advice: &'a str,
    request_id: Option<&'a str>,
}

fn page(status: StatusCode, title: &str, advice: &str, request_id: Option<&str>) -> Response {
    let page = ErrorPage { status: status.as_u16(), title, advice, request_id };
    let text = page.render().unwrap_or_else(|_| title.to_owned());
    let mut response = (status, Html(text)).into_response();
    response.extensions_mut().insert(IsDressed);
    response
}

/// Marks what is a page already.
#[derive(Clone, Copy)]
struct IsDressed;

/// Makes what a browser asked for a page of, whatever answered it: an error of the services, a panic, a limit of time or size, a
/// path that is nowhere. Gives it the headers of all pages.
pub(crate) fn dress(response: Response, request_id: &str, is_known_by_https: bool) -> Response {
    let status = response.status();
    let is_plain = (status.is_client_error() || status.is_server_error()) && !is_html(response.headers());
    let mut response = if is_plain && response.extensions().get::<IsDressed>().is_none() {
        let (title, advice) = messages::of_status(status);
        let wait = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let advice = match wait {
            Some(seconds) if status == StatusCode::TOO_MANY_REQUESTS => {
                format!("{} {advice}", messages::of_wait(seconds))
            }
            _ => advice.to_owned(),
        };
        let is_ours = status.is_server_error();
        let mut dressed = page(status, title, &advice, is_ours.then_some(request_id));
        for name in [RETRY_AFTER, SET_COOKIE] {
            for value in response.headers().get_all(&name) {
                dressed.headers_mut().append(&name, value.clone());
            }
        }
        dressed
    } else {
        response
    };
    // A page never asks for a credential in a header.
    response.headers_mut().remove(WWW_AUTHENTICATE);
    security_headers::finish(response.headers_mut(), is_known_by_https);
    response
}

fn is_html(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

/// Sends the browser to a path of ours, by GET.
pub(super) fn see_other(path: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, location);
    response
}
