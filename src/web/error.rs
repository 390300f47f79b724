//! Errors and redirects of the page handlers.

use axum::{
    http::{HeaderValue, StatusCode, header::LOCATION},
    response::{IntoResponse, Redirect, Response},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::messages;
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

    /// Returns the error page for users without the required role.
    fn no_access(advice: &'static str) -> Self {
        let (title, _) = messages::for_status(StatusCode::FORBIDDEN);
        Self::message(StatusCode::FORBIDDEN, title, advice)
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
            Error::NotAdministrator => Self::no_access("This page is for administrators."),
            Error::NotPlatformAdministrator => Self::no_access("This page is for platform administrators."),
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
                let next =
                    return_to.as_deref().map(|path| format!("next={}", utf8_percent_encode(path, NON_ALPHANUMERIC)));
                let query: Vec<String> = next.into_iter().chain(was_post.then(|| "ended=yes".to_owned())).collect();
                let form_page = was_post.then(|| path_without_query(return_to.as_deref())).flatten();
                let separator = if query.is_empty() { "" } else { "?" };
                let mut response = Redirect::to(&format!("/sign-in{separator}{}", query.join("&"))).into_response();
                response.extensions_mut().insert(EndedSession { form_page });
                response
            }
            Self::PasswordChangeRequired => Redirect::to("/change-password").into_response(),
            Self::Redirect(path) => Redirect::to(path).into_response(),
            // `ErrorPages` turns these responses into pages.
            Self::Api(error) => error.into_response(),
            Self::Message { status, title, advice } => {
                let mut response = status.into_response();
                response.extensions_mut().insert(ErrorText { title, advice });
                response
            }
        }
    }
}

/// Marks the redirect to the sign-in page.
#[derive(Clone)]
pub(super) struct EndedSession {
    /// The path of the page that contained a submitted form.
    pub form_page: Option<String>,
}

fn path_without_query(path: Option<&str>) -> Option<String> {
    path.and_then(|path| path.split('?').next()).map(str::to_owned)
}

/// The title and the advice of an error page.
#[derive(Clone, Copy, Debug)]
pub(super) struct ErrorText {
    pub title: &'static str,
    pub advice: &'static str,
}

/// Redirects the browser to a path of this service, which it requests with GET.
pub(super) fn see_other(path: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, location);
    response
}
