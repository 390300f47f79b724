//! The directories of the configuration, and the choice of one by the name that a person types.

use std::{sync::Arc, time::Duration};

use crate::{
    directory::{Directory, DirectorySettings, SettingsError},
    domain::{allow_rule::AllowRule, directory::ProviderName, id::WorkspaceId},
};

/// The configuration of a directory as an identity provider.
#[derive(Clone, Debug)]
pub struct DirectoryProviderSettings {
    pub directory: DirectorySettings,
    /// The groups whose members may sign in. No other entry is admitted.
    pub rules: Vec<AllowRule>,
    /// The domains in names that belong to this directory, such as `ad.example.org` and `ADTEST`.
    pub domains: Vec<String>,
    /// Names without a domain belong to this directory.
    pub is_default: bool,
    pub sync_interval: Duration,
    /// Wrong passwords from unknown places, within half an hour, that the directory is asked about.
    pub lockout_guard: u32,
}

/// A directory cannot be used as configured.
#[derive(Debug, thiserror::Error)]
#[error("sso.{provider}")]
pub struct InvalidDirectory {
    pub provider: ProviderName,
    pub source: SettingsError,
}

/// A directory as an identity provider.
pub struct DirectoryProvider {
    pub(super) directory: Directory,
    pub(super) rules: Vec<AllowRule>,
    domains: Vec<String>,
    is_default: bool,
    pub(super) sync_interval: Duration,
    pub(super) lockout_guard: u32,
}

/// All directories. Cheap to clone.
#[derive(Clone, Default)]
pub struct Directories(Arc<[Arc<DirectoryProvider>]>);

impl Directories {
    /// Creates the clients of all directories. None of them connects before it is asked.
    ///
    /// # Errors
    /// [`InvalidDirectory`] if a file with certificates cannot be read, or a setting is invalid.
    pub fn new(settings: Vec<DirectoryProviderSettings>) -> Result<Self, InvalidDirectory> {
        let providers = settings.into_iter().map(|settings| {
            let DirectoryProviderSettings { directory, rules, domains, is_default, sync_interval, lockout_guard } =
                settings;
            let provider = directory.name.clone();
            let directory = Directory::new(directory).map_err(|source| InvalidDirectory { provider, source })?;
            Ok(Arc::new(DirectoryProvider { directory, rules, domains, is_default, sync_interval, lockout_guard }))
        });
        Ok(Self(providers.collect::<Result<_, _>>()?))
    }

    /// Returns all directories.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<DirectoryProvider>> {
        self.0.iter()
    }

    /// Returns the names of all directories.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.iter().map(|provider| provider.name().to_owned()).collect()
    }

    /// Returns whether no directory is configured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Finds a directory by its name in the configuration.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Arc<DirectoryProvider>> {
        self.iter().find(|provider| provider.name() == name)
    }

    /// Returns the directory of a typed name, and the name to search for. A name belongs to one
    /// directory at most, so that no password is sent to another one. `DOMAIN\` is removed.
    #[must_use]
    pub fn route<'a>(&self, name: &'a str) -> Option<(&Arc<DirectoryProvider>, &'a str)> {
        let (domain, login) = match (name.split_once('\\'), name.rsplit_once('@')) {
            (Some((domain, login)), _) => (Some(domain), login),
            (None, Some((_, domain))) => (Some(domain), name),
            (None, None) => (None, name),
        };
        let provider = match domain {
            Some(domain) => self.iter().find(|provider| provider.has_domain(domain)).or_else(|| {
                self.default_provider().filter(|provider| provider.domains.is_empty() && !name.contains('\\'))
            }),
            None => self.default_provider(),
        };
        provider.filter(|_| !login.trim().is_empty()).map(|provider| (provider, login))
    }

    /// Returns whether a name has a domain, and this domain belongs to no directory.
    #[must_use]
    pub fn lack_domain_of(&self, name: &str) -> bool {
        !self.is_empty() && name.contains(['@', '\\']) && self.route(name).is_none()
    }

    /// Returns the directory of names without a domain: the only one, or the one that is marked.
    fn default_provider(&self) -> Option<&Arc<DirectoryProvider>> {
        if let [only] = &*self.0 { Some(only) } else { self.iter().find(|provider| provider.is_default) }
    }
}

impl DirectoryProvider {
    /// Returns the name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        self.directory.name().as_str()
    }

    /// Returns the client.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Returns the rules that admit people.
    #[must_use]
    pub fn rules(&self) -> &[AllowRule] {
        &self.rules
    }

    /// Returns the number of wrong passwords from unknown places that the directory is asked about.
    #[must_use]
    pub fn lockout_guard(&self) -> u32 {
        self.lockout_guard
    }

    /// Returns the workspace of the first rule, which has the events about unknown people.
    pub(super) fn first_workspace(&self) -> WorkspaceId {
        self.rules.first().map_or(WorkspaceId::FIRST, |rule| rule.workspace_id)
    }

    fn has_domain(&self, domain: &str) -> bool {
        self.domains.iter().any(|known| known.eq_ignore_ascii_case(domain))
    }
}
