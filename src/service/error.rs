//! Errors of the services, with messages for the caller.

use crate::{
    domain::{ValidationError, authority::AuthorizationLost, id::PersonId, setting::SettingKey},
    outbound::InvalidOutboundUrl,
    service::KeysUnavailable,
    store,
};

/// The result of a service operation.
pub type Result<T> = std::result::Result<T, Error>;

/// The error of a service operation. The messages address the caller. The source of an internal
/// failure is for the log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Invalid(#[from] ValidationError),

    #[error("API access tokens are switched off in this workspace")]
    FeatureOff,
    #[error(
        "only administrators may generate access tokens in this workspace; an administrator can set {} to true, or \
         tokenAccess to enabled for this person",
        SettingKey::AllowUsers.as_str()
    )]
    TokenCreationRestricted,
    #[error(
        "tokens cannot create tokens in this workspace; authenticate with e-mail and password, generate the token on a \
         page, or ask an administrator to change {}",
        SettingKey::ChildTokens.as_str()
    )]
    ChildTokensDisabled,
    #[error(
        "a token that was issued in exchange for a JWT creates no tokens; exchange another JWT, or authenticate with another token"
    )]
    ExchangedTokenCreates,
    #[error("this person has {max} active tokens, which is the maximum; delete a token that is no longer needed")]
    TooManyTokens { max: u32 },
    #[error("the token created with this Idempotency-Key was deleted; use another key to create a new token")]
    IdempotentTokenDeleted,
    #[error("rate limit exceeded; retry in {} s", retry_after_millis.div_ceil(1_000))]
    RateLimited { retry_after_millis: u64 },
    #[error("a token cannot be created for another person; personId must be your own ID or that of a service account")]
    TokenForAnotherPerson,
    #[error("only custodians of the service account and administrators may perform this operation")]
    NotCustodian,
    #[error("the service account is an administrator, so only administrators create its tokens")]
    AdministratorAccount,
    #[error("the service account is disabled; enable it before you create tokens")]
    ServiceAccountDisabled,
    #[error("another service account has this name; choose another one")]
    ServiceNameTaken,
    #[error("tokenAccess is disabled for this person; ask an administrator of the workspace to change it")]
    TokenAccessDisabled,
    #[error(
        "only administrators of the workspace may perform this operation; ask one of them, or have them set isAdmin"
    )]
    NotAdministrator,
    #[error("only platform administrators may perform this operation; ask the operator of the service")]
    NotPlatformAdministrator,
    #[error("only a platform administrator may change or remove a platform administrator")]
    ProtectedPerson,
    #[error("platform administrators must belong to workspace 1")]
    PlatformAdministratorOutsideFirstWorkspace,
    #[error("{field} can be set only by an administrator of the workspace")]
    AdminOnlyField { field: &'static str },
    #[error("{field} is read-only; remove it from the request")]
    ReadOnlyField { field: &'static str },
    #[error(
        "changing your own password requires the current one; authenticate with e-mail and password, not with a token"
    )]
    PasswordCredentialRequired,
    #[error(
        "the password must be changed first; send PATCH /v4/people/{person_id} with password and password2, \
         authenticated with e-mail and current password"
    )]
    PasswordChangeRequired { person_id: PersonId },
    #[error("you cannot remove your own account; ask another administrator")]
    CannotRemoveSelf,
    #[error("you cannot create an invite link for your own account; change the password, or ask another administrator")]
    CannotInviteSelf,

    #[error(
        "the token to replace has expired; create a token without replaces, authenticated with e-mail and password"
    )]
    ReplacedTokenExpired,
    #[error("the token was replaced before; replace the newer token instead")]
    AlreadyReplaced,
    #[error(
        "a node of an older version is running, which would ignore the limits of the token or treat a service account as a person; retry when all nodes are upgraded"
    )]
    OlderNodes,
    #[error(
        "the scopes of the token do not permit this operation; use a token with {}",
        required.as_deref().map_or("full access".to_owned(), |scopes| format!("the scope {scopes}, or with full access"))
    )]
    InsufficientScope {
        /// The scopes that would suffice, separated by spaces. `None`: only an unrestricted token does.
        required: Option<String>,
    },
    #[error("a token with scopes cannot set {field}; use a token with full access")]
    UnrestrictedOnlyField { field: &'static str },

    #[error("the caller does not meet the requirements of this auth check: another workspace, or not an administrator")]
    RequirementsNotMet,
    #[error(
        "the requirements in the path are invalid; use /v4/auth/any, or join with commas: workspace=<id>, admin, \
         unrestricted, and scope=<word> for each scope"
    )]
    InvalidRequirement,
    #[error("the caller's account or credential was disabled, changed or removed during the request")]
    CallerRevoked,
    #[error("there is no such token, or you may not access it")]
    TokenNotFound,
    #[error("there is no such person in your workspace")]
    PersonNotFound,
    #[error("there is no such webhook in your workspace")]
    WebhookNotFound,
    #[error(transparent)]
    InvalidWebhookUrl(#[from] InvalidOutboundUrl),
    #[error("this workspace has {max} webhooks, which is the maximum; delete one that is no longer needed")]
    TooManyWebhooks { max: i64 },
    #[error("the webhook is disabled, so it receives nothing; enable it first")]
    WebhookDisabled,
    #[error("there is no such trust rule of this service account")]
    TrustRuleNotFound,
    #[error("this service account has {max} trust rules, which is the maximum; delete one that is no longer needed")]
    TooManyTrustRules { max: i64 },
    #[error("this account is not a service account; only service accounts have trust rules")]
    NotServiceAccount,
    #[error("there is no such workspace, or you may not access it")]
    WorkspaceNotFound,

    #[error("this form already created a token, or its session has ended; open the form again to create another token")]
    FormAlreadyUsed,
    #[error("the device code was used before, or its authorization has ended; begin again")]
    DeviceAuthorizationSpent,
    #[error("the account is disabled, so an invite link would not work; enable the account first")]
    PersonDisabled,
    #[error("this e-mail address is already in use")]
    EmailTaken,
    #[error("this is the last enabled administrator of the workspace; make another person administrator first")]
    LastAdministrator,
    #[error("this is the last enabled platform administrator of the service; at least one is required")]
    LastPlatformAdministrator,
    #[error(
        "people of this workspace sign in through an identity provider, and this is the last administrator who can sign in \
         without it; make another person with a local password administrator first"
    )]
    LastLocalAdministrator,
    #[error("this person signs in through {provider}; the password is changed there")]
    PasswordOfProvider { provider: String },
    #[error("the directory disabled this person; enable the entry there, or add it to an allowed group again")]
    DisabledByDirectory,
    #[error("the provisioning system disabled this person through SCIM; activate or assign the user there")]
    DisabledByScim,
    #[error("there is no such user, or this credential may not access it")]
    ScimUserNotFound,
    #[error(
        "another account has this userName, externalId or e-mail address; it is never taken over by its address: rename or \
         remove that account, or link it"
    )]
    ScimUserTaken,
    #[error(
        "this person is an administrator who signs in with a local password; an administrator changes the e-mail address"
    )]
    ScimAdministratorEmail,
    #[error("the filter of the path selects no e-mail address of the user")]
    ScimNoTarget,
    #[error("externalId is the identifier of the person at {provider} and cannot be changed")]
    ScimExternalIdImmutable { provider: String },
    #[error("there is no such SCIM credential")]
    ScimCredentialNotFound,
    #[error("the workspace has a SCIM credential with this name; choose another one with --name")]
    ScimCredentialNameTaken,
    #[error("the directory made this person an administrator; remove the entry from the group there")]
    AdministratorByDirectory,
    #[error("this entry of the directory or this person is linked already")]
    IdentityTaken,
    #[error("a node runs a sync with this directory; wait until it ends, or a minute if its process was killed")]
    SyncInProgress,
    #[error("workspace 1 contains the platform administrators and cannot be removed")]
    CannotRemoveFirstWorkspace,

    #[error("too many password checks are queued; retry in a second, or use a token")]
    HasherBusy,
    #[error("the issuer of the token is unreachable or too slow, so the token could not be checked; retry")]
    IssuerUnavailable(#[source] Box<KeysUnavailable>),
    #[error("the database is unreachable or too slow; retry")]
    Unavailable(#[source] store::Error),
    #[error("internal error")]
    Internal(#[source] store::Error),
}

impl Error {
    /// Returns the error of an operation that the database did not complete in time.
    #[must_use]
    pub fn timed_out() -> Self {
        store::Error::timed_out().into()
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Unavailable(_) => Self::Unavailable(error),
            store::Error::AuthorizationLost(lost) => lost.into(),
            // Services that expect a conflict map it before this conversion.
            store::Error::Conflict | store::Error::Corrupt(_) => Self::Internal(error),
        }
    }
}

impl From<AuthorizationLost> for Error {
    fn from(lost: AuthorizationLost) -> Self {
        match lost {
            // A token does not authenticate while its workspace has the feature switched off. The
            // token routes map this case themselves, see `map_feature_off`.
            AuthorizationLost::CallerRevoked | AuthorizationLost::FeatureOff => Self::CallerRevoked,
            AuthorizationLost::PasswordChangeRequired { person_id } => Self::PasswordChangeRequired { person_id },
            AuthorizationLost::NotAdministrator => Self::NotAdministrator,
            AuthorizationLost::NotCustodian => Self::NotCustodian,
            AuthorizationLost::NotPlatformAdministrator => Self::NotPlatformAdministrator,
        }
    }
}

/// Maps a unique-constraint conflict to [`Error::ServiceNameTaken`], for operations on service accounts.
pub(super) fn name_taken(error: store::Error) -> Error {
    match error {
        store::Error::Conflict => Error::ServiceNameTaken,
        other => other.into(),
    }
}

/// Maps a unique-constraint conflict to [`Error::EmailTaken`]. The e-mail address is the only
/// unique value that callers choose for people.
pub(super) fn email_taken(error: store::Error) -> Error {
    match error {
        store::Error::Conflict => Error::EmailTaken,
        other => other.into(),
    }
}
