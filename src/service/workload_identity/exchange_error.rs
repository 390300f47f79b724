//! The reasons why an exchange issues no token.

use tokenward_oidc::Denial;

use super::ExchangeResult;
use crate::{
    domain::{
        token::IssueError,
        trust_rule::{InvalidAssertion, Mismatch, ScopeDenied},
    },
    service::{Error, tokens::map_issue_error},
};

/// The reason why an exchange issues no token.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// No trust rule verifies the JWT. The text is the same for all reasons: a client whose JWT is not
    /// verified learns nothing about accounts and their rules.
    #[error(
        "no trust rule of the service account verifies the token; check the parameter audience, and the issuer, the \
         audience and the signature of the token"
    )]
    NotAccepted(NotAccepted),
    /// The JWT is verified, and expired or not valid yet.
    #[error("{0}")]
    NotValidNow(Denial),
    #[error(transparent)]
    Assertion(#[from] InvalidAssertion),
    /// The JWT is verified, and no rule permits its claims.
    #[error("no trust rule permits the token: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Mismatch(Vec<Mismatch>),
    #[error("the token was exchanged before; request a new one for each exchange")]
    AlreadyUsed,
    #[error(transparent)]
    Scope(#[from] ScopeDenied),
    /// A rule of the workspace or the account forbids the token.
    #[error("{}", map_account_error(.0))]
    Issue(IssueError),
    /// Says nothing about the JWT.
    #[error(transparent)]
    Service(#[from] Error),
}

/// The reason why no trust rule verifies a JWT, for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    #[error("the subject token is longer than the limit")]
    TooLong,
    #[error("the subject token is not a JWT with an issuer")]
    Malformed,
    #[error("there is no service account with this name that trusts the issuer")]
    NoRule,
    #[error("the trust rule was deleted meanwhile")]
    RuleDeleted,
    #[error("{0}")]
    Denied(Denial),
}

impl ExchangeError {
    /// Returns the result for the metrics.
    #[must_use]
    pub fn result(&self) -> ExchangeResult {
        match self {
            Self::NotAccepted(_) => ExchangeResult::NotAccepted,
            Self::AlreadyUsed => ExchangeResult::AlreadyUsed,
            Self::Service(Error::RateLimited { .. }) => ExchangeResult::Throttled,
            Self::Service(_) | Self::Issue(IssueError::OlderNodes) => ExchangeResult::Unavailable,
            Self::NotValidNow(_) | Self::Assertion(_) | Self::Mismatch(_) | Self::Scope(_) | Self::Issue(_) => {
                ExchangeResult::Denied
            }
        }
    }

    /// Returns the reason for the log, which a client must not learn.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        if let Self::NotAccepted(reason) = self { Some(reason.to_string()) } else { None }
    }
}

/// Maps the reason why the store issued no token of a service account.
pub(super) fn map_account_error(reason: &IssueError) -> Error {
    match reason {
        IssueError::PersonUnavailable => Error::ServiceAccountDisabled,
        other => map_issue_error(other.clone()),
    }
}
