//! Forms and query strings as parameters of handlers.

use axum::{
    extract::{FromRequest, FromRequestParts, Path, Query, Request, rejection::FormRejection},
    http::{StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{error::PageError, state::Site};
use crate::{http::content_encoding, service::Refusal};

/// What a form on a page sent.
pub(super) struct Posted<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Posted<T> {
    type Rejection = PageError;

    async fn from_request(request: Request, state: &S) -> Result<Self, PageError> {
        if content_encoding::is_encoded(request.headers()) {
            return Err(PageError::told(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "That was not understood",
                "The form was sent with a Content-Encoding, which is not accepted here. Send it uncompressed.",
            ));
        }
        match axum::Form::<T>::from_request(request, state).await {
            Ok(axum::Form(form)) => Ok(Self(form)),
            Err(FormRejection::InvalidFormContentType(_)) => Err(not_ours(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
            Err(_) => Err(not_ours(StatusCode::BAD_REQUEST)),
        }
    }
}

/// What a page's path says behind the question mark. What cannot be read is passed over: a link is not worth an error.
pub(super) struct Asked<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequestParts<S> for Asked<T> {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, PageError> {
        let read = Query::<T>::from_request_parts(parts, state).await;
        Ok(Self(read.map(|Query(asked)| asked).unwrap_or_default()))
    }
}

fn not_ours(status: StatusCode) -> PageError {
    let (title, advice) = super::messages::of_status(status);
    PageError::told(status, title, advice)
}

/// A token, or a web session, named in the path.
pub(super) struct Named(pub Uuid);

impl FromRequestParts<Site> for Named {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &Site) -> Result<Self, PageError> {
        let text = Path::<String>::from_request_parts(parts, state).await.map(|Path(text)| text).unwrap_or_default();
        let id = if text.len() == 36 { Uuid::try_parse(&text).ok() } else { None };
        id.map(Self).ok_or(Refusal::TokenNotFound.into())
    }
}

/// A person, or a workspace, named in the path.
pub(super) struct Numbered(pub i64);

impl FromRequestParts<Site> for Numbered {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &Site) -> Result<Self, PageError> {
        let text = Path::<String>::from_request_parts(parts, state).await.map(|Path(text)| text).unwrap_or_default();
        text.parse().ok().filter(|id: &i64| id.to_string() == text).map(Self).ok_or(PageError::not_found())
    }
}

/// A checkbox: there when it is ticked.
pub(super) fn is_ticked(field: Option<&String>) -> bool {
    field.is_some_and(|value| value == "yes")
}
