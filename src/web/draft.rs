//! Text of forms that were submitted after the session had ended, to be shown again after sign-in.
//!
//! A cookie keeps the text in the browser for ten minutes. The sign-in form does not contain it, and
//! only the page of the form reads it. Only listed fields are kept, so a password never is.

use axum::{
    body::{Body, to_bytes},
    extract::{FromRequestParts, Query, Request, State},
    http::{
        HeaderMap, HeaderValue, StatusCode, Uri,
        header::{CONTENT_TYPE, SET_COOKIE},
        request::Parts,
    },
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use serde::de::DeserializeOwned;

use super::{
    cookie::{Transport, sensitive_header},
    error::{EndedSession, PageError},
    messages,
    response_cookies::ResponseCookies,
    state::WebState,
};
use crate::http::error::BODY_LIMIT;

const DRAFT_COOKIE: &str = "__Host-tokenward-draft";
const PLAIN_DRAFT_COOKIE: &str = "tokenward-draft";
const MAX_AGE_SECONDS: u32 = 600;
/// Browsers accept 4,096 bytes for the name, the value and the attributes of a cookie.
const MAX_VALUE_BYTES: usize = 3_800;
/// The fields that are kept.
const KEPT_FIELDS: [&str; 12] = [
    "description",
    "lifetime",
    "days",
    "email",
    "name",
    "admin_email",
    "admin_name",
    "role",
    "token_access",
    "value",
    "must_change",
    "is_admin",
];
/// The field of the cookie value with the path of the page that contains the form.
const PAGE_FIELD: &str = "page";

/// The kept text for the requested page.
pub(super) struct Draft(Option<Uri>);

impl Draft {
    /// Returns the kept text as the fields of a form.
    pub(super) fn form<T: DeserializeOwned>(&self) -> Option<T> {
        Query::try_from_uri(self.0.as_ref()?).ok().map(|Query(form)| form)
    }
}

impl FromRequestParts<WebState> for Draft {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, PageError> {
        let parse = |value: &str| Some(value.to_owned());
        let value = state.cookies.read_cookie(&parts.headers, DRAFT_COOKIE, PLAIN_DRAFT_COOKIE, parse);
        let Some(value) = value.filter(|value| page_of(value).as_deref() == Some(parts.uri.path())) else {
            return Ok(Self(None));
        };
        if let Some(cookies) = parts.extensions.get::<ResponseCookies>() {
            cookies.append(clear());
        }
        Ok(Self(format!("/?{value}").parse().ok()))
    }
}

/// Returns whether the browser keeps the text of a form.
pub(super) fn is_kept(state: &WebState, headers: &HeaderMap) -> bool {
    state.cookies.read_cookie(headers, DRAFT_COOKIE, PLAIN_DRAFT_COOKIE, page_of).is_some()
}

/// Returns the path of the page that a cookie value belongs to.
fn page_of(value: &str) -> Option<String> {
    let (name, page) = form_urlencoded::parse(value.as_bytes()).next()?;
    (name == PAGE_FIELD).then(|| page.into_owned())
}

/// Returns the cookie value that keeps the text of a form, or `None` if it is too long.
fn kept_text(page: &str, form: &[u8]) -> Option<String> {
    let mut text = form_urlencoded::Serializer::new(String::new());
    text.append_pair(PAGE_FIELD, page);
    text.extend_pairs(form_urlencoded::parse(form).filter(|(name, _)| KEPT_FIELDS.contains(&name.as_ref())));
    Some(text.finish()).filter(|text| text.len() <= MAX_VALUE_BYTES)
}

/// Returns the `Set-Cookie` values that remove the cookie under both names.
pub(super) fn clear() -> [HeaderValue; 2] {
    [
        HeaderValue::from_static("__Host-tokenward-draft=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"),
        HeaderValue::from_static("tokenward-draft=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"),
    ]
}

/// Keeps the text of a form if its session has ended.
pub(super) async fn keep(State(state): State<WebState>, request: Request, next: Next) -> Response {
    if request.method().is_safe() || !is_form(request.headers()) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let Ok(form) = to_bytes(body, BODY_LIMIT).await else {
        let (title, advice) = messages::for_status(StatusCode::PAYLOAD_TOO_LARGE);
        return PageError::message(StatusCode::PAYLOAD_TOO_LARGE, title, advice).into_response();
    };
    let transport = state.transport(&parts.headers);
    let mut response = next.run(Request::from_parts(parts, Body::from(form.clone()))).await;
    let page = response.extensions().get::<EndedSession>().and_then(|ended| ended.form_page.clone());
    if let Some(text) = page.and_then(|page| kept_text(&page, &form)) {
        let (name, secure) = match transport {
            Transport::Loopback => (PLAIN_DRAFT_COOKIE, ""),
            Transport::Https | Transport::Insecure => (DRAFT_COOKIE, " Secure;"),
        };
        let cookie = format!("{name}={text}; Path=/; Max-Age={MAX_AGE_SECONDS};{secure} HttpOnly; SameSite=Lax");
        response.headers_mut().append(SET_COOKIE, sensitive_header(&cookie));
    }
    response
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|text| text.starts_with("application/x-www-form-urlencoded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_fields_are_kept() {
        let form = b"form=1&description=a+%26+b&own_password=secret&password=secret&lifetime=30";
        let text = kept_text("/preferences/access-tokens/generate", form).unwrap();
        assert_eq!(text, "page=%2Fpreferences%2Faccess-tokens%2Fgenerate&description=a+%26+b&lifetime=30");
        assert_eq!(page_of(&text).as_deref(), Some("/preferences/access-tokens/generate"));
        assert_eq!(page_of("description=x"), None);
    }

    #[test]
    fn a_text_that_exceeds_a_cookie_is_not_kept() {
        assert!(kept_text("/p", format!("description={}", "x".repeat(3_700)).as_bytes()).is_some());
        assert!(kept_text("/p", format!("description={}", "x".repeat(3_800)).as_bytes()).is_none());
    }
}
