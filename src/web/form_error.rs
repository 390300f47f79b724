//! Rejected forms, which are shown again with the reason.

use axum::http::StatusCode;

use super::{error::PageError, messages};
use crate::{http::ApiError, service::Error};

/// The reason why a form was rejected. The form is shown again with the message.
#[derive(Debug)]
pub(super) struct FormError {
    pub status: StatusCode,
    pub message: String,
}

impl FormError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.into() }
    }

    /// Converts an error of a service.
    ///
    /// # Errors
    /// Returns an error page if the form is not the cause: an outage, a bug, a revoked caller, or
    /// tokens that are switched off.
    pub(super) fn from_error(error: Error) -> Result<Self, PageError> {
        match error {
            Error::Unavailable(_) | Error::Internal(_) | Error::CallerRevoked | Error::FeatureOff => Err(error.into()),
            error => {
                let message = messages::for_error(&error);
                Ok(Self { status: ApiError::from(error).status(), message })
            }
        }
    }
}
