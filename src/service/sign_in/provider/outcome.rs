//! The input and the outcome of sign-ins through identity providers to which browsers are redirected.

use crate::{
    domain::source::DeviceValue,
    service::{Login, sessions::ActiveSession, sign_in::SignInError},
};

/// The reason why a sign-in through a provider failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderSignInError {
    #[error("there is no such identity provider")]
    UnknownProvider,
    #[error("too many sign-ins from this address")]
    RateLimited { retry_after_millis: u64 },
    /// No sign-in at this provider was begun in this browser, or it was used, or has expired.
    #[error("the sign-in was not begun in this browser, was completed already, or is too old")]
    UnknownFlow,
    /// The provider did not sign the person in, or its response is not accepted.
    #[error("the identity provider did not sign the person in")]
    Rejected,
    /// The user of a session confirmed as another person.
    #[error("another person authenticated at the identity provider")]
    AnotherPerson,
    /// The user authenticated at the provider, but the account there cannot be linked.
    #[error("the account is not linked")]
    NotLinked(LinkRefusal),
    /// The provider did not respond, or the configuration does not fit it.
    #[error("the identity provider did not respond as expected; retry")]
    Unavailable,
    #[error(transparent)]
    SignIn(#[from] SignInError),
}

/// The reason why an account at a provider is not linked to the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkRefusal {
    /// The account is linked to a person already, or the user is linked to an account.
    AlreadyLinked,
    /// No rule would admit the user through the provider.
    NotInAllowedGroup,
    /// No administrator of the workspace could sign in without a provider.
    LastLocalAdministrator,
}

/// A sign-in that has begun.
pub struct BegunSignIn {
    /// The URL at the provider to which the browser goes.
    pub url: String,
    /// The value for the browser's cookie.
    pub cookie: String,
}

/// The parameters with which the provider sends the browser back (RFC 6749, section 4.1.2; RFC 9207).
#[derive(Clone, Copy)]
pub struct Callback<'a> {
    pub state: Option<&'a str>,
    pub code: Option<&'a str>,
    pub error: Option<&'a str>,
    pub issuer: Option<&'a str>,
}

/// The state of the browser that completes a sign-in.
#[derive(Clone, Copy)]
pub struct BrowserState<'a> {
    /// The value of the flow cookie.
    pub flow: Option<&'a str>,
    /// The session, if the user is signed in.
    pub session: Option<&'a ActiveSession>,
    pub device: &'a DeviceValue,
}

/// A sign-in that the provider has completed.
pub struct CompletedSignIn {
    /// The page to open.
    pub next_path: String,
    /// `None`: the user of the browser's session has authenticated again.
    pub login: Option<Login>,
}

/// A sign-in that failed.
pub struct FailedSignIn {
    pub error: ProviderSignInError,
    /// The page to open after another try; empty if the flow is not known.
    pub next_path: String,
    /// The user of a session had to authenticate again, to confirm an operation or to link the account.
    pub is_confirmation: bool,
}

impl From<ProviderSignInError> for FailedSignIn {
    fn from(error: ProviderSignInError) -> Self {
        Self { error, next_path: String::new(), is_confirmation: false }
    }
}
