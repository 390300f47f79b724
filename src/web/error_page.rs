//! Error pages. A signed-in user keeps the header and the navigation.

use std::net::IpAddr;

use askama::Template;
use axum::{
    http::{
        HeaderMap, StatusCode, Uri,
        header::{CONTENT_TYPE, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE},
    },
    response::{Html, IntoResponse as _, Response},
};

use super::{
    cookie::Cookies,
    error::ErrorText,
    layout::{Layout, NavItem},
    messages, security_headers,
};
use crate::{
    app::App,
    config::Config,
    service::{Sessions, sessions::ActiveSession},
};

/// Turns error responses into pages.
#[derive(Default)]
pub(crate) struct ErrorPages {
    /// `None`: no page has a header.
    sessions: Option<(Sessions, Cookies)>,
    has_https_url: bool,
}

/// The parts of a request that its error page depends on.
pub(crate) struct FailedRequest {
    headers: HeaderMap,
    path: String,
    client_ip: Option<IpAddr>,
}

impl FailedRequest {
    pub(crate) fn new(headers: &HeaderMap, uri: &Uri, client_ip: Option<IpAddr>) -> Self {
        Self { headers: headers.clone(), path: uri.path().to_owned(), client_ip }
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

#[derive(Template)]
#[template(path = "error_signed_in.html")]
struct SignedInErrorPage<'a> {
    layout: Layout,
    status: u16,
    title: &'a str,
    advice: &'a str,
    request_id: Option<&'a str>,
}

impl ErrorPages {
    pub(crate) fn new(app: &App, config: &Config) -> Self {
        let has_https_url = config.public_url().starts_with("https://");
        Self { sessions: Some((app.sessions().clone(), Cookies::new(has_https_url))), has_https_url }
    }

    /// Turns an error response for a browser into an error page, and adds the security headers.
    ///
    /// The error may come from a service, a panic, a size or time limit, or an unknown path.
    pub(crate) async fn render(&self, response: Response, request: &FailedRequest, request_id: &str) -> Response {
        let status = response.status();
        let is_error = status.is_client_error() || status.is_server_error();
        let mut response = if is_error && !is_html(response.headers()) {
            let layout = self.layout(status, request).await;
            error_page(&response, layout, request_id)
        } else {
            response
        };
        // Browsers would show their own password dialog.
        response.headers_mut().remove(WWW_AUTHENTICATE);
        security_headers::insert(response.headers_mut(), &request.path, self.has_https_url);
        response
    }

    /// Returns the layout for the user of a request, or `None` if there is no session or it cannot be
    /// read.
    async fn layout(&self, status: StatusCode, request: &FailedRequest) -> Option<Layout> {
        let (sessions, cookies) = self.sessions.as_ref()?;
        if status == StatusCode::SERVICE_UNAVAILABLE {
            return None;
        }
        let value = cookies.read_session(&request.headers)?;
        let session: ActiveSession = sessions.find(&value, request.client_ip).await.ok()??;
        let is_below_admin =
            request.path.strip_prefix("/admin").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let in_admin = session.person.is_admin && is_below_admin;
        // A person who must change the password can open no other page.
        (!session.person.force_password_change).then(|| Layout::new(&session, NavItem::Error { in_admin }))
    }
}

fn error_page(response: &Response, layout: Option<Layout>, request_id: &str) -> Response {
    let status = response.status();
    let text = response.extensions().get::<ErrorText>().copied();
    let text = text.unwrap_or_else(|| {
        let (title, advice) = messages::for_status(status);
        ErrorText { title, advice }
    });
    let title = text.title;
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let advice = match retry_after {
        Some(seconds) if status == StatusCode::TOO_MANY_REQUESTS => {
            format!("{} {}", messages::retry_after(seconds), text.advice)
        }
        _ => text.advice.to_owned(),
    };
    let (advice, request_id) = (advice.as_str(), status.is_server_error().then_some(request_id));
    let page = match layout {
        Some(layout) => SignedInErrorPage { layout, status: status.as_u16(), title, advice, request_id }.render(),
        None => ErrorPage { status: status.as_u16(), title, advice, request_id }.render(),
    };
    let mut page = (status, Html(page.unwrap_or_else(|_| title.to_owned()))).into_response();
    for name in [RETRY_AFTER, SET_COOKIE] {
        for value in response.headers().get_all(&name) {
            page.headers_mut().append(&name, value.clone());
        }
    }
    page
}

fn is_html(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|content_type| content_type.as_bytes().starts_with(b"text/html"))
}
