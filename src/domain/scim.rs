//! SCIM provisioning: its credentials, and people as a provisioning client sees them (RFC 7643).

mod attributes;
mod credential;
mod edit;

pub use attributes::{ScimAttributes, ScimEmail, ScimName, ScimProfile, ValidAttributes};
pub use credential::{CREDENTIAL_PREFIX, CredentialName, ScimCredential, ScimProvider, credential_format};
pub use edit::{EditError, EmailEdit, EmailField, EmailSelector, NameField, ScimEdit};

use super::{person::Person, time::Timestamp};

/// A person as a provisioning client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScimUser {
    pub person: Person,
    pub attributes: ScimAttributes,
    /// Grows with each change by a client; 0 before the first one.
    pub revision: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// The condition of a list of users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScimFilter {
    /// The user with this name, in any case.
    UserName(String),
    /// The user with exactly this external ID.
    ExternalId(String),
}
