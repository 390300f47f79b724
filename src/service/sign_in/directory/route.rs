//! The choice of the directory for a typed name.

use std::sync::Arc;

use super::SignIn;
use crate::{
    domain::person::Person,
    service::{directories::DirectoryProvider, sign_in::LoginChannel},
    store::PersonWithHash,
};
use tokenward_guard::DenialReason;

/// The directory to ask, and the entry to look for.
pub(in crate::service::sign_in) enum DirectoryRoute {
    /// The account of this person is linked to an entry.
    Linked { provider: Arc<DirectoryProvider>, person: Person },
    /// No account has the typed name.
    Search { provider: Arc<DirectoryProvider>, login: String },
}

impl DirectoryRoute {
    pub(super) fn provider(&self) -> &Arc<DirectoryProvider> {
        match self {
            Self::Linked { provider, .. } | Self::Search { provider, .. } => provider,
        }
    }
}

impl SignIn {
    /// Returns the directory of a name; `None` if a local account has it, or no directory does. A
    /// person with a local password is local only: a directory can neither lock out nor take over
    /// that account.
    pub(in crate::service::sign_in) fn directory_route(
        &self,
        name: &str,
        found: Option<&PersonWithHash>,
        channel: LoginChannel<'_>,
    ) -> Option<DirectoryRoute> {
        if !channel.accepts_directories() {
            return None;
        }
        let directories = &self.directory.directories;
        let Some(found) = found else {
            let (provider, login) = directories.route(name)?;
            return Some(DirectoryRoute::Search { provider: provider.clone(), login: login.to_owned() });
        };
        let linked = found.person.provider.as_deref().filter(|_| found.password_hash.is_none())?;
        let provider = directories.find(linked)?.clone();
        Some(DirectoryRoute::Linked { provider, person: found.person.clone() })
    }

    /// Returns the reason why a name is rejected that no local account has and that belongs to no
    /// directory.
    pub(in crate::service::sign_in) fn reason_of_unknown_name(
        &self,
        name: &str,
        channel: LoginChannel<'_>,
    ) -> DenialReason {
        let is_of_no_directory = channel.accepts_directories() && self.directory.directories.lack_domain_of(name);
        if is_of_no_directory { DenialReason::DomainNotAccepted } else { DenialReason::UnknownEmail }
    }
}
