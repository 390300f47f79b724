//! What services refuse, in words for people who look at a page: nobody there has heard of `lifetimeSeconds`.

use axum::http::StatusCode;

use super::error::PageError;
use crate::{
    domain::{Invalid, setting::Key},
    http::ApiError,
    service::Refusal,
};

/// A form that was refused for what it says, and is shown again.
#[derive(Debug)]
pub(super) struct Problem {
    pub status: StatusCode,
    pub text: String,
}

impl Problem {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, text: text.into() }
    }

    /// What is wrong with a form.
    ///
    /// # Errors
    /// Where nothing is wrong with it: an outage, a bug, somebody who is gone.
    pub(super) fn of(refusal: Refusal) -> Result<Self, PageError> {
        match refusal {
            Refusal::Unavailable(_) | Refusal::Bug(_) | Refusal::CallerGone | Refusal::FeatureOff => {
                Err(refusal.into())
            }
            refusal => {
                let text = of_refusal(&refusal);
                Ok(Self { status: ApiError::from(refusal).status(), text })
            }
        }
    }
}

/// A refusal as a sentence.
pub(super) fn of_refusal(refusal: &Refusal) -> String {
    let words = match refusal {
        Refusal::Invalid(invalid) => return of_invalid(invalid),
        Refusal::GeneratingIsForAdministrators => "Only administrators may generate tokens in this workspace.",
        Refusal::TokenAccessDisabled => "Your token access is disabled.",
        Refusal::NotAdministrator => "This is for administrators of the workspace.",
        Refusal::EmailTaken => "Somebody has this e-mail already. An address has one account in the whole service.",
        Refusal::FormSpent => "This form has made its token already. It was shown once and cannot be shown again.",
        Refusal::LastAdministrator => {
            "This is the last enabled administrator of the workspace. Make somebody else administrator first."
        }
        Refusal::Busy => "Too many people are signing in at the moment. Try again in a second.",
        Refusal::TokenNotFound => "There is no such token. It may have been deleted already.",
        Refusal::PersonNotFound => "There is no such person in this workspace.",
        refusal => return sentence(&refusal.to_string()),
    };
    words.to_owned()
}

/// What a value was refused for, as a sentence.
pub(super) fn of_invalid(invalid: &Invalid) -> String {
    match invalid {
        Invalid::Lifetime => "The lifetime is a whole number of days from 1 to 36500, or -1 for never.".to_owned(),
        Invalid::LifetimeTooLong { max_days } => {
            format!("In this workspace a token lives for at most {max_days} days.")
        }
        Invalid::SettingValue { key, .. } if *key == Key::MaxLifetimeDays.as_str() => {
            "Write a whole number of days from 1 to 36500, or -1 for unlimited.".to_owned()
        }
        Invalid::SettingValue { .. } => "Choose one of the values.".to_owned(),
        Invalid::TokenAccess => "Choose one of the kinds of token access.".to_owned(),
        Invalid::PasswordRepeat => "The two new passwords differ.".to_owned(),
        Invalid::PasswordUnchanged => "The new password must differ from the present one.".to_owned(),
        Invalid::Email => "Write an e-mail address such as ada@example.com.".to_owned(),
        Invalid::EmailInvisible { .. } => {
            "The e-mail address contains an invisible character. Type it instead of pasting it.".to_owned()
        }
        invalid => sentence(&invalid.to_string()),
    }
}

/// A message as a sentence of its own.
fn sentence(message: &str) -> String {
    let mut chars = message.chars();
    let first = chars.next().map(|c| c.to_uppercase().collect::<String>()).unwrap_or_default();
    let rest = chars.as_str();
    let end = if rest.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{rest}{end}")
}

/// How long to wait, in words.
pub(super) fn of_wait(seconds: u64) -> String {
    let (count, unit) = if seconds < 120 { (seconds, "second") } else { (seconds.div_ceil(60), "minute") };
    let plural = if count == 1 { "" } else { "s" };
    format!("The next try is possible in {count} {unit}{plural}.")
}

/// Title and advice of an error page.
pub(super) fn of_status(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::FORBIDDEN => (
            "This is not open to you",
            "You are signed in, but this page is for somebody else. Ask an administrator of your workspace.",
        ),
        StatusCode::NOT_FOUND => {
            ("There is nothing here", "The page does not exist, or what it showed has been deleted. Check the address.")
        }
        StatusCode::CONFLICT => (
            "That is not possible as things stand",
            "Something else has changed in the meantime. Go back, look, and try again.",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => {
            ("That is too much", "What you sent is larger than anything a form here needs.")
        }
        StatusCode::TOO_MANY_REQUESTS => {
            ("Too many wrong passwords", "Whoever is signed in stays so, and tokens go on working.")
        }
        StatusCode::SERVICE_UNAVAILABLE => (
            "Not available at the moment",
            "The service cannot reach its database, or is too busy. You have not been signed out. Try again in a moment.",
        ),
        status if status.is_server_error() => {
            ("Something went wrong", "This is a fault of the service, and it has been noted. Try again.")
        }
        _ => ("That was not understood", "What the browser sent is not what a form here sends. Go back and try again."),
    }
}
