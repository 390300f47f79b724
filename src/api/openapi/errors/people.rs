//! Errors of the operations on people and service accounts.

use super::{
    NamedError, administrator, invalid, join, limit, person_not_found, reads, service, with_body, workspace_not_found,
};
use crate::{domain::ValidationError, service::Error};

/// Returns the errors of an operation on people.
pub(super) fn person_errors(operation: &str) -> Vec<NamedError> {
    match operation {
        "listPeople" => join([administrator(), reads(), vec![limit()]]),
        "getPerson" => join([administrator(), vec![person_not_found()]]),
        "createPerson" => join([administrator(), with_body(), create_person(), custodians()]),
        "patchPerson" => join([with_body(), patch_person(), custodians()]),
        "invitePerson" => {
            let own = vec![
                invalid("serviceAccount", ValidationError::NotForServiceAccounts { field: "invite" }),
                service("ownAccount", Error::CannotInviteSelf),
                service("protectedPerson", Error::ProtectedPerson),
                person_not_found(),
                service("personDisabled", Error::PersonDisabled),
            ];
            join([administrator(), own])
        }
        "deletePerson" => {
            let own = vec![
                service("ownAccount", Error::CannotRemoveSelf),
                service("protectedPerson", Error::ProtectedPerson),
                person_not_found(),
                service("lastAdministrator", Error::LastAdministrator),
                service("lastPlatformAdministrator", Error::LastPlatformAdministrator),
            ];
            join([administrator(), own])
        }
        _ => vec![person_not_found()],
    }
}

fn password() -> NamedError {
    invalid("passwordTooShort", ValidationError::PasswordLength { min: 15 })
}

/// Returns the errors of the fields of a service account.
fn custodians() -> Vec<NamedError> {
    let no_field = ValidationError::NotForServiceAccounts { field: "password" };
    vec![
        invalid("invalidServiceName", ValidationError::ServiceName),
        invalid("invalidCustodian", ValidationError::InvalidCustodian { id: 7 }),
        invalid("fieldOfPeople", no_field),
        invalid("fieldOfServiceAccounts", ValidationError::ForServiceAccountsOnly { field: "custodians" }),
        service("serviceNameTaken", Error::ServiceNameTaken),
    ]
}

fn create_person() -> Vec<NamedError> {
    vec![
        invalid("invalidEmail", ValidationError::Email),
        password(),
        invalid("commonPassword", ValidationError::PasswordCommon),
        invalid("passwordMismatch", ValidationError::PasswordMismatch),
        invalid("passwordOrInviteMissing", ValidationError::PasswordOrInviteMissing),
        invalid("passwordWithInvite", ValidationError::PasswordWithInvite),
        invalid("custodiansMissing", ValidationError::CustodiansMissing),
        service("unrestrictedField", Error::UnrestrictedOnlyField { field: "custodians" }),
        service("olderNodes", Error::OlderNodes),
        workspace_not_found(),
        service("emailTaken", Error::EmailTaken),
    ]
}

fn patch_person() -> Vec<NamedError> {
    vec![
        password(),
        invalid("passwordMismatch", ValidationError::PasswordMismatch),
        invalid("invalidTokenAccess", ValidationError::TokenAccess),
        service("unrestrictedField", Error::UnrestrictedOnlyField { field: "email" }),
        service("administratorField", Error::AdminOnlyField { field: "isAdmin" }),
        service("readOnlyField", Error::ReadOnlyField { field: "workspaceId" }),
        service("passwordRequired", Error::PasswordCredentialRequired),
        service("protectedPerson", Error::ProtectedPerson),
        person_not_found(),
        service("emailTaken", Error::EmailTaken),
        service("lastAdministrator", Error::LastAdministrator),
    ]
}
