//! External identities: the accounts of people at identity providers, such as a company's directory.

use uuid::Uuid;

use super::{
    id::{PersonId, WorkspaceId},
    time::Timestamp,
};

/// The issuer of all subjects of directories. The provider's name tells directories apart.
pub const DIRECTORY_ISSUER: &str = "ldap";

/// A person's account at an identity provider. Provider, issuer and subject together identify it; an
/// e-mail address never does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalIdentity {
    pub id: Uuid,
    pub workspace_id: WorkspaceId,
    pub person_id: PersonId,
    /// The name of the provider in the configuration, which may have been removed from it since.
    pub provider: String,
    /// The namespace of the subject; [`DIRECTORY_ISSUER`] for directories.
    pub issuer: String,
    /// The identifier that the provider never assigns to another account: `objectGUID`, `entryUUID`.
    pub subject: String,
    /// The login as the provider shows it.
    pub label: String,
    pub linked_at: Timestamp,
    /// When the person last authenticated at the provider.
    pub last_sign_in_at: Option<Timestamp>,
    /// When a sync last found the entry.
    pub seen_at: Option<Timestamp>,
}

/// The parties that have disabled a person. Each lifts only its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DisabledBy {
    /// An administrator or the operator.
    pub administrator: bool,
    /// The sync with a directory, or a sign-in that the directory rejected.
    pub directory: bool,
    /// A provisioning client.
    pub scim: bool,
}

impl DisabledBy {
    /// Returns the party outside the service that disabled the person, in words; `None`: there is none.
    #[must_use]
    pub fn outside_party(self) -> Option<&'static str> {
        match (self.directory, self.scim) {
            (true, _) => Some("the directory"),
            (false, true) => Some("SCIM"),
            (false, false) => None,
        }
    }

    /// Returns the names of the parties in the API.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let parties = [(self.administrator, "administrator"), (self.directory, "directory"), (self.scim, "scim")];
        parties.into_iter().filter_map(|(has_disabled, name)| has_disabled.then_some(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_party_that_disabled_a_person_is_named() {
        let names =
            |administrator, directory, scim| DisabledBy { administrator, directory, scim }.names().collect::<Vec<_>>();
        assert!(names(false, false, false).is_empty());
        assert_eq!(names(true, true, true), ["administrator", "directory", "scim"]);
        assert_eq!(names(false, true, false), ["directory"]);
        assert_eq!(names(false, false, true), ["scim"]);
        let party = |directory, scim| DisabledBy { administrator: true, directory, scim }.outside_party();
        assert_eq!([party(false, false), party(false, true)], [None, Some("SCIM")]);
        assert_eq!([party(true, false), party(true, true)], [Some("the directory"); 2]);
    }
}
