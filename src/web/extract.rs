//! Extractors of the page handlers: forms, query strings and path parameters.

use axum::{
    extract::{FromRequest, FromRequestParts, Path, Query, Request, rejection::FormRejection},
    http::{StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{error::PageError, state::WebState};
use crate::{
    domain::{id::parse_uuid, password_link::LinkKind},
    http::content_encoding,
    service::Error,
};

/// The fields of a submitted form.
pub(super) struct PageForm<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for PageForm<T> {
    type Rejection = PageError;

    async fn from_request(request: Request, state: &S) -> Result<Self, PageError> {
        if content_encoding::is_encoded(request.headers()) {
            return Err(PageError::message(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Invalid request",
                "The form has a Content-Encoding, which is not supported. Send it uncompressed.",
            ));
        }
        match axum::Form::<T>::from_request(request, state).await {
            Ok(axum::Form(form)) => Ok(Self(form)),
            Err(FormRejection::InvalidFormContentType(_)) => Err(unreadable_form(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
            Err(_) => Err(unreadable_form(StatusCode::BAD_REQUEST)),
        }
    }
}

/// The query string of a page. A malformed one is ignored, because links to pages should not fail.
pub(super) struct LenientQuery<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequestParts<S> for LenientQuery<T> {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, PageError> {
        let result = Query::<T>::from_request_parts(parts, state).await;
        Ok(Self(result.map(|Query(query)| query).unwrap_or_default()))
    }
}

fn unreadable_form(status: StatusCode) -> PageError {
    let (title, advice) = super::messages::for_status(status);
    PageError::message(status, title, advice)
}

/// The ID of a token or web session in the path.
pub(super) struct UuidPath(pub Uuid);

impl FromRequestParts<WebState> for UuidPath {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, PageError> {
        let text = Path::<String>::from_request_parts(parts, state).await.map(|Path(text)| text).unwrap_or_default();
        parse_uuid(&text).map(Self).ok_or(Error::TokenNotFound.into())
    }
}

/// The ID of a person or workspace in the path.
pub(super) struct IdPath<T>(pub T);

impl<T: From<i64>> FromRequestParts<WebState> for IdPath<T> {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, PageError> {
        let text = Path::<String>::from_request_parts(parts, state).await.map(|Path(text)| text).unwrap_or_default();
        text.parse()
            .ok()
            .filter(|id: &i64| id.to_string() == text)
            .map(|id| Self(id.into()))
            .ok_or(PageError::not_found())
    }
}

/// The secret of a password link in the path, which may be malformed, and the kind that the route adds to
/// the request. `Debug` is not implemented.
pub(super) struct LinkPath {
    pub kind: LinkKind,
    pub value: String,
}

impl FromRequestParts<WebState> for LinkPath {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, PageError> {
        let text = Path::<String>::from_request_parts(parts, state).await.map(|Path(text)| text);
        let kind = parts.extensions.get().copied().unwrap_or(LinkKind::Invite);
        Ok(Self { kind, value: text.unwrap_or_default() })
    }
}

/// Returns whether a checkbox was checked. Browsers omit unchecked ones.
pub(super) fn is_checked(field: Option<&String>) -> bool {
    field.is_some_and(|value| value == "yes")
}
