//! What a service refuses, in the words of whoever asked.

use crate::{
    domain::{Invalid, authority::AuthorityLost, setting::Key},
    store,
};

/// The result of asking a service for something.
pub type Result<T> = std::result::Result<T, Refusal>;

/// Why something was not done. The messages are sentences for the caller; what is behind a failure of ours is in the
/// source, for the log.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Invalid(#[from] Invalid),

    #[error("the workspace has API access tokens switched off")]
    FeatureOff,
    #[error(
        "only administrators may generate access tokens in this workspace; an administrator can set {} to true, or \
         tokenAccess to enabled for this person",
        Key::AllowUsers.as_str()
    )]
    GeneratingIsForAdministrators,
    #[error(
        "no token may make another in this workspace: authenticate with e-mail and password, or generate it on a page; an \
         administrator can change {}",
        Key::TokenMinted.as_str()
    )]
    TokensMakeNone,
    #[error(
        "there are {most} live tokens already, as many as one person may have; delete one that is no longer needed"
    )]
    TooManyTokens { most: u32 },
    #[error("the token that this request made is deleted; to make another, use another Idempotency-Key")]
    RepeatedIsDeleted,
    #[error("that is too much at once; wait {} s", millis.div_ceil(1_000))]
    TooFast { millis: u64 },
    #[error("this person's tokenAccess is disabled; an administrator of the workspace can change it")]
    TokenAccessDisabled,
    #[error("this is for administrators of the workspace; ask one of them to do it or to set isAdmin")]
    NotAdministrator,
    #[error("this is for platform administrators; ask whoever runs the service")]
    NotPlatformAdministrator,
    #[error("only a platform administrator may change or remove a platform administrator")]
    ProtectedPerson,
    #[error("platform administrators are people of workspace 1")]
    PlatformAdministratorElsewhere,
    #[error("{field} may be set only by an administrator of the workspace")]
    FieldForAdministrators { field: &'static str },
    #[error("{field} cannot be set by a request")]
    FieldFixed { field: &'static str },
    #[error(
        "changing one's own password needs the present one: authenticate with e-mail and password, not with a token"
    )]
    OwnPasswordNeedsPassword,
    #[error(
        "the password must be changed before anything else: send PATCH /v4/people/{person_id} with password and password2, \
         authenticated with e-mail and present password"
    )]
    PasswordChangeRequired { person_id: i64 },
    #[error("nobody can remove the own account; ask another administrator")]
    OwnAccount,

    #[error("the caller is not what the service behind this check asks for: another workspace, or no administrator")]
    RequirementsNotMet,
    #[error(
        "the check is misconfigured: what stands behind /v4/auth/ must be any, or workspace=<id> and admin with a comma"
    )]
    UnknownRequirement,
    #[error("the caller's account or credential was disabled, changed or removed in the meantime")]
    CallerGone,
    #[error("there is no such token among those you may see")]
    TokenNotFound,
    #[error("there is no such person in your workspace")]
    PersonNotFound,
    #[error("there is no such workspace, or it is not yours")]
    WorkspaceNotFound,

    #[error("this form has made its token already, or its session is over; open the form again to make another")]
    FormSpent,
    #[error("somebody has this e-mail already")]
    EmailTaken,
    #[error("this is the last enabled administrator of the workspace; make somebody else administrator first")]
    LastAdministrator,
    #[error("this is the last enabled platform administrator of the service; there must be one")]
    LastPlatformAdministrator,
    #[error("workspace 1 holds the platform administrators and cannot be removed")]
    FirstWorkspace,

    #[error("too many passwords are being checked at the moment; try again in a second, or use a token")]
    Busy,
    #[error("the store cannot be reached or is too slow; try again")]
    Unavailable(#[source] store::Error),
    #[error("something went wrong that should not")]
    Bug(#[source] store::Error),
}

impl From<store::Error> for Refusal {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Unavailable(_) | store::Error::InUse => Self::Unavailable(error),
            store::Error::AuthorityLost(lost) => lost.into(),
            // A conflict that a service expects it turns into its own word before.
            store::Error::Conflict | store::Error::Corrupt(_) => Self::Bug(error),
        }
    }
}

impl From<AuthorityLost> for Refusal {
    fn from(lost: AuthorityLost) -> Self {
        match lost {
            // A token of a workspace without tokens does not authenticate; the token routes say it their own way.
            AuthorityLost::CallerGone | AuthorityLost::FeatureOff => Self::CallerGone,
            AuthorityLost::PasswordChangeRequired { person_id } => Self::PasswordChangeRequired { person_id },
            AuthorityLost::NotAdministrator => Self::NotAdministrator,
            AuthorityLost::NotPlatformAdministrator => Self::NotPlatformAdministrator,
        }
    }
}

/// Turns a conflict into "that e-mail is taken", the one unique value that callers choose.
pub(super) fn email_taken(error: store::Error) -> Refusal {
    match error {
        store::Error::Conflict => Refusal::EmailTaken,
        other => other.into(),
    }
}
