//! Rejected forms, which are shown again with the reason.

use axum::http::StatusCode;

use super::{error::PageError, messages};
use crate::{domain::ValidationError, http::ApiError, service::Error};

/// The reason why a form was rejected. The form is shown again with the message.
#[derive(Debug)]
pub(super) struct FormError {
    pub status: StatusCode,
    pub message: String,
    /// The name of the rejected field, if the cause is one field.
    pub field: Option<&'static str>,
    /// The form had generated a token before.
    pub is_resubmission: bool,
}

impl FormError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.into(), field: None, is_resubmission: false }
    }

    /// Creates the error of one field. Pages mark the field.
    pub(super) fn of_field(field: &'static str, message: impl Into<String>) -> Self {
        Self { field: Some(field), ..Self::new(message) }
    }

    /// Creates the error of an invalid value.
    pub(super) fn from_invalid(invalid: &ValidationError) -> Self {
        Self { field: invalid_field(invalid), ..Self::new(messages::for_invalid(invalid)) }
    }

    /// Returns whether the field was rejected.
    pub(super) fn is_of(&self, field: &str) -> bool {
        self.field == Some(field)
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
                let field = rejected_field(&error);
                let is_resubmission = matches!(error, Error::FormAlreadyUsed);
                Ok(Self { status: ApiError::from(error).status(), message, field, is_resubmission })
            }
        }
    }
}

/// Returns the name of the form field that an error is about.
fn rejected_field(error: &Error) -> Option<&'static str> {
    match error {
        Error::EmailTaken => Some("email"),
        Error::ServiceNameTaken => Some("name"),
        Error::InvalidWebhookUrl(_) => Some("url"),
        Error::Invalid(invalid) => invalid_field(invalid),
        _ => None,
    }
}

/// Returns the name of the form field with an invalid value.
fn invalid_field(invalid: &ValidationError) -> Option<&'static str> {
    match invalid {
        ValidationError::Lifetime
        | ValidationError::LifetimeTooLong { .. }
        | ValidationError::InvalidSettingValue { .. } => Some("days"),
        ValidationError::Email | ValidationError::EmailInvisibleCharacter { .. } => Some("email"),
        ValidationError::PasswordLength { .. }
        | ValidationError::PasswordCommon
        | ValidationError::PasswordUnchanged => Some("password"),
        ValidationError::PasswordMismatch => Some("repeated_password"),
        ValidationError::ScopeSyntax { .. }
        | ValidationError::DuplicateScope { .. }
        | ValidationError::UnknownReservedScope { .. }
        | ValidationError::ScopeNotInCatalog { .. }
        | ValidationError::ScopesRequired => Some("scopes"),
        ValidationError::Network { .. }
        | ValidationError::NetworkHostBits { .. }
        | ValidationError::NetworkOfAllAddresses { .. } => Some("allowedNetworks"),
        ValidationError::GraceSeconds { .. } => Some("grace"),
        ValidationError::ServiceName => Some("name"),
        ValidationError::NoCustodians
        | ValidationError::DuplicateCustodian { .. }
        | ValidationError::InvalidCustodian { .. }
        | ValidationError::UnknownCustodian { .. } => Some("custodians"),
        ValidationError::TooLong { field, .. }
        | ValidationError::TooManyEntries { field, .. }
        | ValidationError::Empty { field }
        | ValidationError::ForbiddenCharacter { field } => Some(field),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_value_names_its_field() {
        let field = |invalid: ValidationError| FormError::from_error(invalid.into()).unwrap().field;
        assert_eq!(field(ValidationError::Lifetime), Some("days"));
        assert_eq!(field(ValidationError::TooLong { field: "description", max: 255 }), Some("description"));
        assert_eq!(field(ValidationError::PasswordLength { min: 15 }), Some("password"));
        assert_eq!(field(ValidationError::TokenAccess), None);
        let invalid = ValidationError::TooManyEntries { field: "allowedNetworks", count: 33, max: 32 };
        assert_eq!(FormError::from_invalid(&invalid).field, Some("allowedNetworks"));
    }
}
