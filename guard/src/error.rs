//! Why a request is not authenticated.

/// Why a request is rejected before it reaches the inner service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The request has no credential.
    #[error("no credential was presented")]
    Missing,
    /// The `Authorization` header has no valid reading under RFC 6750 or RFC 9110, such as two `Authorization` fields.
    #[error("the Authorization header is malformed")]
    Malformed,
    /// The credential does not authenticate. The reason is for logs and metrics; responses never depend on it.
    #[error("the credential was rejected: {0}")]
    Denied(DenialReason),
    /// The caller is authenticated and lacks a requirement of the layer: another workspace, or no administrator.
    #[error("the caller does not meet the requirements")]
    Forbidden,
    /// The caller is authenticated, but the token's scopes do not include a requirement of the layer.
    #[error("the token lacks a required scope")]
    InsufficientScope,
    /// The check could not be performed. The credential may be valid.
    #[error("the credential could not be checked")]
    Unavailable,
}

/// Why a credential does not authenticate. Never sent to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DenialReason {
    /// The text has the form of no credential.
    #[error("malformed credential")]
    Malformed,
    /// The token was never issued, or was deleted.
    #[error("unknown token")]
    UnknownToken,
    /// The token's lifetime ended.
    #[error("expired")]
    Expired,
    /// The owner's account is disabled.
    #[error("person disabled")]
    PersonDisabled,
    /// The owner is not allowed to use tokens.
    #[error("token access disabled")]
    AccessDisabled,
    /// The owner has not signed in through the identity provider for too long.
    #[error("paused until the owner signs in")]
    Paused,
    /// The owner's workspace has tokens switched off.
    #[error("feature off")]
    FeatureOff,
    /// The client's address is outside the token's allowed networks.
    #[error("outside the allowed networks")]
    OutsideNetworks,
    /// The token has allowed networks, and the client's address is not known.
    #[error("client address unknown")]
    ClientAddressUnknown,
    /// A remote Tokenward server reports the token as inactive, without a reason.
    #[error("inactive")]
    Inactive,
    /// No account has this e-mail.
    #[error("unknown e-mail")]
    UnknownEmail,
    /// The password does not match.
    #[error("wrong password")]
    WrongPassword,
    /// The attempt was not evaluated, because too many failed attempts preceded it.
    #[error("too many failed logins")]
    Throttled,
    /// The domain of the name belongs to no identity provider, and no account has the name.
    #[error("e-mail domain not accepted")]
    DomainNotAccepted,
    /// The directory no longer has the entry of the person.
    #[error("not in the directory")]
    NotInDirectory,
    /// Several entries of the directory have the name.
    #[error("several entries have this name")]
    AmbiguousName,
    /// The person is in no group that the identity provider admits.
    #[error("not in an allowed group")]
    NotInAllowedGroup,
    /// The person has no account, and the identity provider creates none.
    #[error("no account, and none is created")]
    NoAccount,
    /// The person has no account, and the entry of the directory lacks the e-mail address of a new one.
    #[error("the entry has no e-mail address")]
    NoEmailAddress,
    /// The person has no account, and another account has the e-mail address of the entry.
    #[error("e-mail address taken")]
    EmailTaken,
    /// The identity provider authenticated the person, whose account has a local password.
    #[error("the account has a local password")]
    LocalPassword,
    /// The password is correct, but has expired or must be changed first.
    #[error("password expired")]
    PasswordExpired,
    /// The account has expired in the directory.
    #[error("account expired")]
    AccountExpired,
    /// The directory locked the account after wrong passwords.
    #[error("locked in the directory")]
    LockedInDirectory,
}
