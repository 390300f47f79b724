//! Error pages and redirects of the page handlers.

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
use crate::{http::ApiError, service::Error};

/// A response of a page handler other than its page.
#[derive(Debug)]
pub(super) enum PageError {
    /// Redirects to the sign-in page, because there is no session. After signing in, the browser
    /// returns to `return_to`.
    SignedOut { return_to: Option<String>, was_post: bool },
    /// Redirects to the page on which the person must choose a new password.
    PasswordChangeRequired,
    /// Redirects to a page that shows the reason.
    Redirect(&'static str),
    /// An error of a service, with the same status as in the API.
    Api(ApiError),
    /// An error page with its own title and advice.
    Message { status: StatusCode, title: &'static str, advice: &'static str },
}

/// The result of a page handler.
pub(super) type PageResult<T> = Result<T, PageError>;

impl PageError {
    pub(super) fn message(status: StatusCode, title: &'static str, advice: &'static str) -> Self {
        Self::Message { status, title, advice }
    }

    pub(super) fn signed_out() -> Self {
        Self::SignedOut { return_to: None, was_post: false }
    }

    pub(super) fn not_found() -> Self {
        Self::Api(ApiError::RouteNotFound)
    }
}

impl From<Error> for PageError {
    fn from(error: Error) -> Self {
        match error {
            Error::CallerRevoked => Self::signed_out(),
            error => Self::Api(error.into()),
        }
    }
}

impl From<ApiError> for PageError {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<askama::Error> for PageError {
    fn from(error: askama::Error) -> Self {
        tracing::error!(%error, "failed to render page");
        Self::Api(ApiError::Internal)
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        match self {
            Self::SignedOut { return_to, was_post } => {
                let next = return_to.map(|path| format!("next={}", utf8_percent_encode(&path, NON_ALPHANUMERIC)));
                let query: Vec<String> = next.into_iter().chain(was_post.then(|| "ended=yes".to_owned())).collect();
                let separator = if query.is_empty() { "" } else { "?" };
                Redirect::to(&format!("/sign-in{separator}{}", query.join("&"))).into_response()
            }
            Self::PasswordChangeRequired => Redirect::to("/change-password").into_response(),
            Self::Redirect(path) => Redirect::to(path).into_response(),
            // `render_error_page` turns this response into a page.
            Self::Api(error) => error.into_response(),
            Self::Message { status, title, advice } => error_page(status, title, advice, None),
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

fn error_page(status: StatusCode, title: &str, advice: &str, request_id: Option<&str>) -> Response {
    let page = ErrorPage { status: status.as_u16(), title, advice, request_id };
    let text = page.render().unwrap_or_else(|_| title.to_owned());
    let mut response = (status, Html(text)).into_response();
    response.extensions_mut().insert(RenderedPage);
    response
}

/// Marks responses that are pages already.
#[derive(Clone, Copy)]
struct RenderedPage;

/// Turns an error response for a browser into an error page, and adds the security headers.
///
/// The error may come from a service, a panic, a size or time limit, or an unknown path.
pub(crate) fn render_error_page(response: Response, request_id: &str, has_https_url: bool) -> Response {
    let status = response.status();
    let needs_page = (status.is_client_error() || status.is_server_error()) && !is_html(response.headers());
    let mut response = if needs_page && response.extensions().get::<RenderedPage>().is_none() {
        let (title, advice) = messages::for_status(status);
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let advice = match retry_after {
            Some(seconds) if status == StatusCode::TOO_MANY_REQUESTS => {
                format!("{} {advice}", messages::retry_after(seconds))
            }
            _ => advice.to_owned(),
        };
        let request_id = status.is_server_error().then_some(request_id);
        let mut page = error_page(status, title, &advice, request_id);
        for name in [RETRY_AFTER, SET_COOKIE] {
            for value in response.headers().get_all(&name) {
                page.headers_mut().append(&name, value.clone());
            }
        }
        page
    } else {
        response
    };
    // Browsers would show their own password dialog.
    response.headers_mut().remove(WWW_AUTHENTICATE);
    security_headers::insert(response.headers_mut(), has_https_url);
    response
}

fn is_html(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|content_type| content_type.as_bytes().starts_with(b"text/html"))
}

/// Redirects the browser to a path of this service, which it requests with GET.
pub(super) fn see_other(path: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, location);
    response
}
