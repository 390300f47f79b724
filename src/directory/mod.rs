//! The LDAP client for sign-in through a company's directory: Active Directory, `OpenLDAP` and
//! `FreeIPA`.
//!
//! # Layers
//!
//! 1. [`Directory`] has the operations of a sign-in and of the sync.
//! 2. `connection` runs LDAP operations with ldap3, which sees one end of a socket pair.
//! 3. `relay` passes bytes between the other end and the server. From the server it passes only
//!    messages that [`pdu`] accepts, because ldap3 parses by recursion without a limit.
//! 4. `transport` opens TCP, `StartTLS` and TLS connections.
//!
//! docs/adr/0014-ldap-behind-a-guard.md has the reasons.

mod ber;
mod client;
mod connection;
mod denial;
mod dn;
mod entry;
mod error;
mod group_tree;
mod groups;
mod obstacle;
pub mod pdu;
mod people;
mod probe;
mod relay;
mod schema;
mod search;
mod settings;
mod tls;
mod transport;

use std::{fmt, sync::Arc};

use crate::domain::directory::{DirectoryDenial, DirectoryKind, DirectoryPerson, ProviderName};
use crate::domain::time::Clock;

use client::Client;
pub use error::{DirectoryError, InvalidAnswer};
pub use obstacle::PasswordObstacle;
pub use probe::ServerReport;
use search::{Found, Query, code};
pub use settings::{BindPassword, DirectorySettings, ServerUrl, SettingsError};

/// The longest name that is searched, in bytes. A longer one has no entry.
pub const MAX_LOGIN_BYTES: usize = 256;

/// A directory of people. Cheap to clone; clones share connections and limits.
#[derive(Clone)]
pub struct Directory {
    inner: Arc<Inner>,
    clock: Clock,
}

struct Inner {
    settings: DirectorySettings,
    client: Client,
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}

/// The entries that a name matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// No entry.
    None,
    /// Exactly one entry.
    One(DirectoryPerson),
    /// Several entries. The caller must deny the sign-in.
    Several,
}

impl Directory {
    /// Reads the certificate authorities and prepares the client. Opens no connection.
    ///
    /// # Errors
    /// A [`SettingsError`] for settings that cannot be used.
    pub fn new(settings: DirectorySettings) -> Result<Self, SettingsError> {
        settings.validate()?;
        let client = Client::new(&settings)?;
        Ok(Self { inner: Arc::new(Inner { settings, client }), clock: Clock::system() })
    }

    /// Uses another clock to decide which accounts have expired. For tests.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Returns the name of the identity provider.
    #[must_use]
    pub fn name(&self) -> &ProviderName {
        &self.inner.settings.name
    }

    /// Returns the kind of the directory.
    #[must_use]
    pub fn kind(&self) -> DirectoryKind {
        self.inner.settings.kind
    }

    /// Returns the number of connections that ended because of an invalid answer.
    #[must_use]
    pub fn broken_connections(&self) -> u64 {
        self.inner.client.broken_connections()
    }

    /// Searches the entry whose login name, principal name or e-mail address is `login`. A name
    /// over [`MAX_LOGIN_BYTES`] or an empty one has no entry; the directory is not asked.
    ///
    /// # Errors
    /// A [`DirectoryError`] if the directory did not answer completely.
    pub async fn find_by_login(&self, login: &str) -> Result<Lookup, DirectoryError> {
        if login.is_empty() || login.len() > MAX_LOGIN_BYTES {
            return Ok(Lookup::None);
        }
        self.find(&schema::login_filter(self.kind(), login)).await
    }

    /// Searches the entry with a [`DirectoryPerson::subject`]. Like all searches, it finds only
    /// people below the base who match the operator's filter.
    ///
    /// # Errors
    /// A [`DirectoryError`] if the directory did not answer completely.
    pub async fn find_by_subject(&self, subject: &str) -> Result<Option<DirectoryPerson>, DirectoryError> {
        let Some(filter) = schema::subject_filter(self.kind(), subject) else { return Ok(None) };
        match self.find(&filter).await? {
            Lookup::None => Ok(None),
            Lookup::One(person) => Ok(Some(person)),
            Lookup::Several => Err(DirectoryError::AmbiguousSubject { subject: subject.to_owned() }),
        }
    }

    /// Binds as the entry on a connection of its own. An empty password is denied unasked, because
    /// servers may answer it with success (RFC 4513, section 5.1.2).
    ///
    /// # Errors
    /// A [`DirectoryError`] if the directory did not decide.
    pub async fn check_password(
        &self,
        person: &DirectoryPerson,
        password: &str,
    ) -> Result<Result<(), DirectoryDenial>, DirectoryError> {
        // An empty name would bind anonymously.
        if password.is_empty() || person.dn.is_empty() {
            return Ok(Err(DirectoryDenial::WrongPassword));
        }
        let client = &self.inner.client;
        let asks_policy = self.kind() != DirectoryKind::ActiveDirectory;
        let result = client.bind_once(&person.dn, password, asks_policy).await?;
        denial::decide(self.kind(), &result)
    }

    /// Returns those of the configured groups, in the spelling of the configuration, of which the
    /// entry is a member, directly or through other groups.
    ///
    /// # Errors
    /// A [`DirectoryError`] if the directory did not answer completely.
    pub async fn groups_of(&self, person: &DirectoryPerson) -> Result<Vec<String>, DirectoryError> {
        self.inner.client.within_limit(self.inner.groups_of_dn(&person.dn)).await
    }

    /// Returns all people below the base, each with the configured groups as in
    /// [`Directory::groups_of`].
    ///
    /// # Errors
    /// A [`DirectoryError`] unless every page of every search ended with result code 0.
    pub async fn list_people(&self) -> Result<Vec<(DirectoryPerson, Vec<String>)>, DirectoryError> {
        self.inner.list(self.clock.now()).await
    }

    /// Opens a connection, binds as the service and reads the description of the server.
    ///
    /// # Errors
    /// A [`DirectoryError`] if one of these fails.
    pub async fn probe(&self) -> Result<ServerReport, DirectoryError> {
        let client = &self.inner.client;
        client.within_limit(async { probe::read(&client.open_bound().await?).await }).await
    }

    /// Does the same as [`Directory::probe`] with every server, in the order of the configuration.
    pub async fn probe_servers(&self) -> Vec<(ServerUrl, Result<ServerReport, DirectoryError>)> {
        self.inner.probe_servers().await
    }

    /// Returns the configured groups that the directory does not have.
    ///
    /// # Errors
    /// A [`DirectoryError`] if the directory did not answer completely.
    pub async fn missing_groups(&self) -> Result<Vec<String>, DirectoryError> {
        self.inner.client.within_limit(self.inner.missing_groups()).await
    }

    /// Returns the number of wrong passwords after which a domain of Active Directory locks an account,
    /// without the password settings that apply to some accounts only. Returns `None` if it locks none,
    /// and for other kinds of directories.
    ///
    /// # Errors
    /// A [`DirectoryError`] if the directory did not answer completely.
    pub async fn lockout_threshold(&self) -> Result<Option<u32>, DirectoryError> {
        self.inner.client.within_limit(self.inner.lockout_threshold()).await
    }

    /// Returns the reason why even the correct password of an active entry would be rejected.
    ///
    /// # Errors
    /// A [`DirectoryError`] if the directory did not answer completely.
    pub async fn password_obstacle(
        &self,
        person: &DirectoryPerson,
    ) -> Result<Option<PasswordObstacle>, DirectoryError> {
        self.inner.client.within_limit(self.inner.password_obstacle(&person.dn)).await
    }

    /// Searches the people who match a filter, up to two.
    async fn find(&self, filter: &str) -> Result<Lookup, DirectoryError> {
        let settings = &self.inner.settings;
        let people = schema::person_filter(settings.kind, settings.user_filter.as_deref());
        let attributes = schema::person_attributes(settings.kind);
        let mut query = Query::below(&settings.base, format!("(&{people}{filter})"), attributes);
        query.size_limit = 2;
        let client = &self.inner.client;
        let Found { entries, result } = client.within_limit(client.search(&query)).await?;
        // With more entries than the limit, the result code is 4.
        if entries.len() > 1 && matches!(result.rc, code::SUCCESS | code::SIZE_LIMIT_EXCEEDED) {
            return Ok(Lookup::Several);
        }
        match &(Found { entries, result }).complete()?[..] {
            [] => Ok(Lookup::None),
            [entry] => Ok(Lookup::One(schema::to_person(settings.kind, entry, self.clock.now())?)),
            _ => Ok(Lookup::Several),
        }
    }
}

#[cfg(test)]
mod tests;
