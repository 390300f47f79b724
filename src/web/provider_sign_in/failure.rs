//! The pages after a sign-in at an identity provider that failed.

use axum::{
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::Response,
};

use crate::{
    http::ApiError,
    service::sign_in::{FailedSignIn, LinkRefusal, ProviderSignInError, SignInError},
    web::{
        error::{PageError, PageResult},
        layout::render_with_status,
        messages,
        sign_in::SignInPage,
        state::WebState,
    },
};
use tokenward_guard::{AuthError, DenialReason};

/// Shows the sign-in page with the reason of a failure; after a failed confirmation, an error page.
pub(super) fn failure_page(
    state: &WebState,
    provider: &str,
    failed: &FailedSignIn,
    next: &str,
) -> PageResult<Response> {
    let has_own_page = matches!(failed.error, ProviderSignInError::SignIn(_) | ProviderSignInError::RateLimited { .. });
    if failed.is_confirmation && !has_own_page {
        return Err(not_confirmed(failed.error));
    }
    let (status, message) = match failed.error {
        ProviderSignInError::UnknownProvider => return Err(PageError::not_found()),
        ProviderSignInError::RateLimited { retry_after_millis } => {
            let wait = messages::retry_after(retry_after_millis.div_ceil(1_000));
            (StatusCode::TOO_MANY_REQUESTS, format!("Too many sign-ins were begun. {wait}"))
        }
        ProviderSignInError::UnknownFlow => (
            StatusCode::FORBIDDEN,
            "This sign-in was not begun in this browser, was completed already, or took longer than 10 minutes. Begin again."
                .to_owned(),
        ),
        ProviderSignInError::Rejected | ProviderSignInError::AnotherPerson | ProviderSignInError::NotLinked(_) => (
            StatusCode::FORBIDDEN,
            format!("{provider} did not sign you in. Begin again. If it fails again, ask your administrator."),
        ),
        ProviderSignInError::Unavailable => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!(
                "{provider} did not respond as expected, so you are not signed in. Try again in a minute. Tokens and open \
                 sessions work as before. The log of the service has the reason."
            ),
        ),
        // An outage of the database.
        ProviderSignInError::SignIn(error) => match error {
            SignInError::Denied(AuthError::Denied(reason)) => (StatusCode::FORBIDDEN, denial_message(provider, reason)),
            error => return Err(ApiError::from(error).into()),
        },
    };
    let page = SignInPage { error: Some(&message), ..SignInPage::new(state, next) };
    let mut response = render_with_status(status, &page)?;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
    }
    Ok(response)
}

/// Returns the page after a confirmation that failed. The user is still signed in.
fn not_confirmed(error: ProviderSignInError) -> PageError {
    let (status, advice) = match error {
        ProviderSignInError::Unavailable => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The identity provider did not respond as expected. You are still signed in. Go back, and try again in a minute.",
        ),
        ProviderSignInError::AnotherPerson => (
            StatusCode::FORBIDDEN,
            "Another account was used at the identity provider. You are still signed in. Go back, and confirm with your own.",
        ),
        ProviderSignInError::UnknownFlow => (
            StatusCode::FORBIDDEN,
            "This was begun in a session that has ended, or in another one. Sign in, and begin again.",
        ),
        ProviderSignInError::NotLinked(refusal) => return not_linked(refusal),
        _ => (
            StatusCode::FORBIDDEN,
            "The identity provider did not confirm that it is you. You are still signed in. Go back, and try again.",
        ),
    };
    PageError::message(status, "Not confirmed", advice)
}

/// Returns the page after an account at the provider was not linked. The user is still signed in.
fn not_linked(refusal: LinkRefusal) -> PageError {
    let (status, advice) = match refusal {
        LinkRefusal::AlreadyLinked => (
            StatusCode::CONFLICT,
            "The account that you used at the identity provider is linked to a person here already, or yours is. Nothing was changed. Ask \
             your administrator.",
        ),
        LinkRefusal::NotInAllowedGroup => (
            StatusCode::FORBIDDEN,
            "Your account at the identity provider is in no group that may sign in to this workspace. Nothing was changed. Ask your \
             administrator.",
        ),
        LinkRefusal::LastLocalAdministrator => (
            StatusCode::CONFLICT,
            "You are the last administrator who can sign in without an identity provider. Nothing was changed. Make another person with \
             a local password administrator first.",
        ),
    };
    PageError::message(status, "Not linked", advice)
}

/// Returns the reason why a person is not admitted. The provider has authenticated the person, so it reveals
/// nothing to strangers.
fn denial_message(provider: &str, reason: DenialReason) -> String {
    match reason {
        DenialReason::NotInAllowedGroup => {
            format!("Your account at {provider} is in no group that may sign in here. Ask your administrator.")
        }
        DenialReason::PersonDisabled => "Your account here is disabled. Ask your administrator.".to_owned(),
        DenialReason::NoAccount => {
            format!("You have no account here, and {provider} creates none. Ask your administrator.")
        }
        DenialReason::LocalPassword => {
            "Your account here has a local password. Sign in with it, or ask your administrator.".to_owned()
        }
        DenialReason::NoEmailAddress => {
            format!("{provider} sent no verified e-mail address, and a new account needs one. Ask your administrator.")
        }
        DenialReason::EmailTaken => format!(
            "Another account here has your e-mail address. Ask the operator to link it to your account at {provider}."
        ),
        _ => format!("{provider} did not sign you in. Ask your administrator."),
    }
}
