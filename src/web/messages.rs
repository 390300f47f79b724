//! Messages of forms and error pages. They avoid the terms of the API, such as `lifetimeSeconds`.

use axum::http::StatusCode;

use crate::{
    domain::{ValidationError, setting::SettingKey},
    http::sentence::capitalized_sentence,
    service::Error,
};

/// Returns the message for an error of a service.
pub(super) fn for_error(error: &Error) -> String {
    let message = match error {
        Error::Invalid(invalid) => return for_invalid(invalid),
        Error::TokenCreationRestricted => "Only administrators may generate tokens in this workspace.",
        Error::TokenAccessDisabled => "Your token access is disabled.",
        Error::NotAdministrator => "Only administrators of the workspace can do this.",
        Error::EmailTaken => "An account with this e-mail address already exists in the service.",
        Error::FormAlreadyUsed => "Your token was created and shown once. Lost it? Delete it and generate a new one.",
        Error::LastAdministrator => {
            "This is the last enabled administrator of the workspace. Make another person an administrator first."
        }
        Error::PersonDisabled => "The account is disabled, so a link would not work. Enable the account first.",
        Error::HasherBusy => "Too many people are signing in. Try again in a second.",
        Error::TokenNotFound => "The token does not exist. It may have been deleted already.",
        Error::PersonNotFound => "The person does not exist in this workspace.",
        error => return capitalized_sentence(&error.to_string()),
    };
    message.to_owned()
}

/// Returns the message for an invalid value.
pub(super) fn for_invalid(invalid: &ValidationError) -> String {
    match invalid {
        ValidationError::Lifetime => {
            "Enter a whole number of days from 1 to 36500, or -1 for a token that never expires.".to_owned()
        }
        ValidationError::LifetimeTooLong { max_days } => {
            format!("The maximum lifetime in this workspace is {max_days} days.")
        }
        ValidationError::InvalidSettingValue { key, .. } if *key == SettingKey::MaxLifetimeDays.as_str() => {
            "Enter a whole number of days from 1 to 36500, or -1 for unlimited.".to_owned()
        }
        ValidationError::InvalidSettingValue { key, .. } if *key == SettingKey::ExpiryWarningDays.as_str() => {
            "Enter at most 8 whole numbers of days from 1 to 3650, separated by commas, or none.".to_owned()
        }
        ValidationError::InvalidSettingValue { .. } => "Choose one of the values.".to_owned(),
        ValidationError::TooManyEntries { field, max, .. } => {
            let name = match *field {
                "custodians" => "custodians",
                name if name.ends_with("scopes") => "scopes",
                _ => "networks",
            };
            format!("Enter at most {max} {name}.")
        }
        ValidationError::ScopesRequired => {
            "This workspace requires scopes. Choose Only these scopes. The field may be empty.".to_owned()
        }
        ValidationError::NetworkOfAllAddresses { text } => {
            format!("The network {text} contains all addresses. Clear the field to allow any address.")
        }
        ValidationError::NoCustodians => "Enter the e-mail address of at least one custodian.".to_owned(),
        ValidationError::UnknownCustodian { email } => {
            format!("No enabled user of this workspace has the e-mail address {email}.")
        }
        ValidationError::DuplicateCustodian { .. } => "Enter each custodian once.".to_owned(),
        ValidationError::GraceSeconds { .. } => "Choose one of the grace periods.".to_owned(),
        ValidationError::TokenAccess => "Choose one of the options for token access.".to_owned(),
        ValidationError::PasswordMismatch => "The two new passwords do not match.".to_owned(),
        ValidationError::PasswordUnchanged => "The new password must differ from the current one.".to_owned(),
        ValidationError::Email => "Enter an e-mail address such as ada@example.com.".to_owned(),
        ValidationError::EmailInvisibleCharacter { .. } => {
            "The e-mail address contains an invisible character. Type it instead of pasting it.".to_owned()
        }
        invalid => capitalized_sentence(&invalid.to_string()),
    }
}

/// Returns a sentence that says when to try again.
pub(super) fn retry_after(seconds: u64) -> String {
    let (count, unit) = if seconds < 120 { (seconds, "second") } else { (seconds.div_ceil(60), "minute") };
    let plural = if count == 1 { "" } else { "s" };
    format!("Try again in {count} {unit}{plural}.")
}

/// Returns title and advice of the error page for a status.
pub(super) fn for_status(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::FORBIDDEN => {
            ("You don’t have access", "Your account may not open this page. Ask an administrator of your workspace.")
        }
        StatusCode::NOT_FOUND => {
            ("Page not found", "The page does not exist, or its content was deleted. Check the address.")
        }
        StatusCode::CONFLICT => ("This conflicts with a recent change", "Go back, reload the page and try again."),
        StatusCode::PAYLOAD_TOO_LARGE => {
            ("The request is too large", "No form of this service needs that much data. Go back and try again.")
        }
        StatusCode::TOO_MANY_REQUESTS => ("Too many failed attempts", "Existing sessions and tokens are not affected."),
        StatusCode::SERVICE_UNAVAILABLE => (
            "Service unavailable",
            "The database is unreachable, or the service is overloaded. You have not been signed out. Try again in a moment.",
        ),
        status if status.is_server_error() => {
            ("Something went wrong", "An internal error occurred and was logged. Try again.")
        }
        _ => ("Invalid request", "The service does not understand what the browser sent. Go back and try again."),
    }
}
