//! Text of forms that were submitted after the session had ended, to be shown again after sign-in.
//!
//! A cookie keeps the text in the browser for ten minutes. It is encrypted, together with the ID of the
//! person of the ended session, with a key that only the service has. The sign-in form does not
//! contain the text, and only the page of the form shows it, to that person. If another person signs
//! in, the cookie is removed. Only listed fields are kept, so a password never is.

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
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::de::DeserializeOwned;

use super::{
    access_fields::is_checkbox,
    cookie::{Transport, sensitive_header},
    error::{EndedSession, PageError},
    messages,
    response_cookies::ResponseCookies,
    session_user::SignedInPerson,
    state::WebState,
};
use crate::{
    domain::{causes::Causes, draft_key::SealedDraft, id::PersonId, session::SessionValue},
    http::error::BODY_LIMIT,
};

const DRAFT_COOKIE: &str = "__Host-tokenward-draft";
const PLAIN_DRAFT_COOKIE: &str = "tokenward-draft";
const MAX_AGE_SECONDS: u32 = 600;
/// The maximum length of a text in JSON. Browsers accept 4,096 bytes for the name, the value and the
/// attributes of a cookie, and the encrypted value is a third longer.
const MAX_TEXT_BYTES: usize = 2_800;
/// The fields that are kept, beside the checkboxes of scopes.
const KEPT_FIELDS: [&str; 17] = [
    "description",
    "lifetime",
    "days",
    "access",
    "scopes",
    "allowedNetworks",
    "grace",
    "email",
    "name",
    "admin_email",
    "admin_name",
    "role",
    "token_access",
    "credential",
    "value",
    "must_change",
    "is_admin",
];
/// The first field of a kept text, with the path of the page that contains the form.
const PAGE_FIELD: &str = "page";

/// The kept text for the requested page, as the query string of a path.
pub(super) struct Draft(Option<Uri>);

/// The fields of a form that are kept, after the field with the path of its page.
type Fields = Vec<(String, String)>;

impl Draft {
    /// Returns the kept text as the fields of a form.
    pub(super) fn form<T: DeserializeOwned>(&self) -> Option<T> {
        Query::try_from_uri(self.0.as_ref()?).ok().map(|Query(form)| form)
    }
}

impl FromRequestParts<WebState> for Draft {
    type Rejection = PageError;

    /// Reads the text of the user whose extractor precedes this one. Without a user there is none.
    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, PageError> {
        let Some(&SignedInPerson(person_id)) = parts.extensions.get() else { return Ok(Self(None)) };
        let Some(sealed) = read_cookie(state, &parts.headers) else { return Ok(Self(None)) };
        let fields = state.sessions.open_draft(&sealed, person_id).await?.and_then(|text| parse_fields(&text));
        let is_of_other_page = fields.as_ref().is_some_and(|(page, _)| page != parts.uri.path());
        if is_of_other_page {
            return Ok(Self(None));
        }
        if let Some(cookies) = parts.extensions.get::<ResponseCookies>() {
            cookies.append(clear());
        }
        let query = |(_, fields): (String, Fields)| {
            form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
        };
        Ok(Self(fields.map(query).and_then(|query| format!("/?{query}").parse().ok())))
    }
}

/// Returns whether the browser keeps the text of a form.
pub(super) fn is_kept(state: &WebState, headers: &HeaderMap) -> bool {
    read_cookie(state, headers).is_some()
}

/// Removes kept text, unless the person who signs in has typed it. Text that cannot be read is removed
/// as well.
pub(super) async fn remove_of_others(
    state: &WebState,
    headers: &HeaderMap,
    cookies: &ResponseCookies,
    person_id: PersonId,
) {
    let Some(sealed) = read_cookie(state, headers) else { return };
    if !matches!(state.sessions.open_draft(&sealed, person_id).await, Ok(Some(_))) {
        cookies.append(clear());
    }
}

fn read_cookie(state: &WebState, headers: &HeaderMap) -> Option<SealedDraft> {
    let parse = |value: &str| URL_SAFE_NO_PAD.decode(value).ok().and_then(SealedDraft::from_bytes);
    state.cookies.read_cookie(headers, DRAFT_COOKIE, PLAIN_DRAFT_COOKIE, parse)
}

/// Returns the path of the page and the other fields of a kept text.
fn parse_fields(text: &[u8]) -> Option<(String, Fields)> {
    let mut fields: Fields = serde_json::from_slice(text).ok()?;
    let (name, page) = (!fields.is_empty()).then(|| fields.remove(0))?;
    (name == PAGE_FIELD).then_some((page, fields))
}

/// Returns the text of a form that is kept, or `None` if it is too long.
fn kept_text(page: &str, form: &[u8]) -> Option<Vec<u8>> {
    let is_kept = |name: &str| KEPT_FIELDS.contains(&name) || is_checkbox(name);
    let kept = form_urlencoded::parse(form).filter(|(name, _)| is_kept(name));
    let fields: Vec<_> = [(PAGE_FIELD.into(), page.into())].into_iter().chain(kept).collect();
    serde_json::to_vec(&fields).ok().filter(|text| text.len() <= MAX_TEXT_BYTES)
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
    let (transport, session) = (state.transport(&parts.headers), state.cookies.read_session(&parts.headers));
    let mut response = next.run(Request::from_parts(parts, Body::from(form.clone()))).await;
    let page = response.extensions().get::<EndedSession>().and_then(|ended| ended.form_page.clone());
    let text = page.and_then(|page| kept_text(&page, &form));
    if let (Some(session), Some(text)) = (session, text)
        && let Some(sealed) = seal(&state, &session, &text).await
    {
        let (name, secure) = match transport {
            Transport::Loopback => (PLAIN_DRAFT_COOKIE, ""),
            Transport::Https | Transport::Insecure => (DRAFT_COOKIE, " Secure;"),
        };
        let value = URL_SAFE_NO_PAD.encode(sealed.as_bytes());
        let cookie = format!("{name}={value}; Path=/; Max-Age={MAX_AGE_SECONDS};{secure} HttpOnly; SameSite=Lax");
        response.headers_mut().append(SET_COOKIE, sensitive_header(&cookie));
    }
    response
}

/// Encrypts the text for the person of the ended session. An error only loses the text.
async fn seal(state: &WebState, ended: &SessionValue, text: &[u8]) -> Option<SealedDraft> {
    match state.sessions.seal_draft(ended, text).await {
        Ok(sealed) => sealed,
        Err(error) => {
            tracing::warn!(error = %Causes(&error), "failed to keep the text of a form");
            None
        }
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|text| text.starts_with("application/x-www-form-urlencoded"))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{draft_key::DraftKey, random::Random};

    #[test]
    fn only_listed_fields_are_kept() {
        let form = b"form=1&description=a+%26+b&own_password=secret&password=secret&lifetime=30";
        let text = kept_text("/preferences/access-tokens/generate", form).unwrap();
        let (page, fields) = parse_fields(&text).unwrap();
        assert_eq!(page, "/preferences/access-tokens/generate");
        assert_eq!(fields, [("description".into(), "a & b".into()), ("lifetime".into(), "30".into())]);
        for other in [&b"[]"[..], br#"[["description","x"]]"#, b"x"] {
            assert_eq!(parse_fields(other), None);
        }
    }

    #[test]
    fn a_text_that_exceeds_a_cookie_is_not_kept() {
        let text_of = |characters: usize| kept_text("/p", format!("description={}", "x".repeat(characters)).as_bytes());
        assert!(text_of(MAX_TEXT_BYTES).is_none());
        let longest = text_of(MAX_TEXT_BYTES - 100).unwrap();
        let random = Random::system();
        let sealed = DraftKey::generate(&random).seal(Uuid::nil(), PersonId::new(1), &longest, &random).unwrap();
        assert!(URL_SAFE_NO_PAD.encode(sealed.as_bytes()).len() + DRAFT_COOKIE.len() < 4_000);
    }
}
