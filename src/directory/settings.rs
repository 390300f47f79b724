//! The settings of a directory.

use std::{fmt, path::PathBuf};

use zeroize::Zeroizing;

use crate::domain::directory::{DirectoryKind, ProviderName};

use super::dn::DnKey;

/// The settings of one directory: `[sso.NAME]` in the configuration.
#[derive(Clone, Debug)]
pub struct DirectorySettings {
    /// The name of the identity provider.
    pub name: ProviderName,
    /// The kind of the directory.
    pub kind: DirectoryKind,
    /// The servers in the order in which they are tried; at least one.
    pub servers: Vec<ServerUrl>,
    /// Encrypts `ldap://` connections by `StartTLS` (RFC 4511, section 4.14). Without it `ldap://` is
    /// an error: passwords are never sent in plain text.
    pub start_tls: bool,
    /// The name that the certificate must have, instead of the host of the server's URL.
    pub server_name: Option<String>,
    /// A PEM file with the accepted certificate authorities. By default the roots of the system.
    pub ca_file: Option<PathBuf>,
    /// The name that the service binds with: a DN, or for Active Directory also `user@domain`.
    pub bind_dn: String,
    /// The password of `bind_dn`; not empty.
    pub bind_password: BindPassword,
    /// The DN below which people are searched. Groups are searched below the longest common ending
    /// of this DN and `groups`.
    pub base: String,
    /// One LDAP filter in parentheses (RFC 4515) that people must match, besides the client's own.
    pub user_filter: Option<String>,
    /// The DNs of the groups whose members are reported.
    pub groups: Vec<String>,
    /// The maximum number of concurrent password checks; at least 1. The default is
    /// [`DirectorySettings::DEFAULT_MAX_PASSWORD_CHECKS`].
    pub max_password_checks: usize,
}

impl DirectorySettings {
    /// The default of `max_password_checks`.
    pub const DEFAULT_MAX_PASSWORD_CHECKS: usize = 8;

    /// Checks everything but the servers and the certificate authorities.
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        if self.bind_dn.is_empty() || self.bind_password.expose().is_empty() {
            return Err(SettingsError::EmptyBind);
        }
        if self.base.trim().is_empty() {
            return Err(SettingsError::EmptyBase);
        }
        if DnKey::of(&self.base).is_none() {
            return Err(SettingsError::Base { base: self.base.clone() });
        }
        if let Some(filter) = &self.user_filter {
            let is_enclosed = filter.starts_with('(') && filter.ends_with(')');
            if !is_enclosed || ldap3::parse_filter(filter).is_err() {
                return Err(SettingsError::UserFilter { filter: filter.clone() });
            }
        }
        if let Some(group) = self.groups.iter().find(|group| DnKey::of(group).is_none()) {
            return Err(SettingsError::Group { group: group.clone() });
        }
        if self.max_password_checks == 0 { Err(SettingsError::NoPasswordChecks) } else { Ok(()) }
    }
}

/// The password of the service's account in the directory. Wiped from memory when dropped. `Debug`
/// prints `BindPassword([hidden])`.
#[derive(Clone)]
pub struct BindPassword(Zeroizing<String>);

impl BindPassword {
    /// Wraps a password.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Returns the secret text.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BindPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BindPassword([hidden])")
    }
}

/// The address of a directory server: `ldaps://HOST[:636]` or `ldap://HOST[:389]`. HOST is a name,
/// an IPv4 address, or an IPv6 address in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl {
    /// TLS begins with the connection.
    pub(super) is_ldaps: bool,
    /// The host, without brackets.
    pub(super) host: String,
    /// The TCP port.
    pub(super) port: u16,
}

impl ServerUrl {
    /// Parses a URL. A path, a query, a fragment and user information are errors, except for one
    /// slash at the end.
    ///
    /// # Errors
    /// [`SettingsError::ServerUrl`] for any other text.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        Self::split(text).ok_or_else(|| SettingsError::ServerUrl { url: text.to_owned() })
    }

    fn split(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let is_ldaps = if scheme.eq_ignore_ascii_case("ldaps") {
            true
        } else if scheme.eq_ignore_ascii_case("ldap") {
            false
        } else {
            return None;
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match authority.strip_prefix('[') {
            Some(literal) => {
                let (host, port) = literal.split_once(']')?;
                host.parse::<std::net::Ipv6Addr>().ok()?;
                (host, port)
            }
            None => authority.find(':').map_or((authority, ""), |colon| authority.split_at(colon)),
        };
        let port = match port {
            "" if is_ldaps => 636,
            "" => 389,
            _ => port.strip_prefix(':').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?,
        };
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
        (!host.is_empty() && host.bytes().all(is_host) && port != 0).then(|| Self {
            is_ldaps,
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_ldaps { "ldaps" } else { "ldap" };
        let Self { host, port, .. } = self;
        if host.contains(':') { write!(f, "{scheme}://[{host}]:{port}") } else { write!(f, "{scheme}://{host}:{port}") }
    }
}

/// Settings of a directory that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The text is not the URL of a directory server.
    #[error(
        "{url:?} is not the URL of a directory server; write ldaps://HOST, ldaps://HOST:PORT, ldap://HOST or ldap://HOST:PORT"
    )]
    ServerUrl { url: String },
    /// The list of servers is empty.
    #[error("no directory server is configured; add the URL of at least one")]
    NoServer,
    /// Passwords would be sent in plain text.
    #[error("{url} would send passwords in plain text; use ldaps:// or set starttls = true")]
    PlainText { url: ServerUrl },
    /// The name is neither a DNS name nor an IP address.
    #[error("{name:?} cannot be the name of a certificate; write a DNS name or an IP address")]
    ServerName { name: String },
    /// The file with the certificate authorities cannot be read.
    #[error("cannot read the certificate authorities in {}", path.display())]
    CaFile { path: PathBuf, source: rustls::pki_types::pem::Error },
    /// A certificate in the file is invalid.
    #[error("{} contains an invalid certificate", path.display())]
    CaCertificate { path: PathBuf, source: rustls::Error },
    /// There is no certificate authority to trust.
    #[error(
        "no certificate authority is available; set ca_file to a PEM file, or install the system's CA certificates"
    )]
    NoRoots,
    /// TLS cannot be set up.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
    /// The service cannot bind without a password. Some servers accept an empty one as anonymous
    /// access (RFC 4513, section 5.1.2).
    #[error(
        "the name or the password to bind with is empty; the directory must know the service by an account of its own"
    )]
    EmptyBind,
    /// The base is empty.
    #[error("base is empty; set it to the DN below which people are, such as DC=example,DC=org")]
    EmptyBase,
    /// The base is not a DN.
    #[error("base {base:?} is not a distinguished name; write one such as DC=example,DC=org")]
    Base { base: String },
    /// The filter for people is not one complete filter.
    #[error("user_filter {filter:?} is not an LDAP filter; write one filter in parentheses, such as (department=IT)")]
    UserFilter { filter: String },
    /// A group is not a DN.
    #[error("the group {group:?} is not a distinguished name; write one such as CN=staff,OU=groups,DC=example,DC=org")]
    Group { group: String },
    /// No password could ever be checked.
    #[error("the maximum number of concurrent password checks is 0; it must be at least 1")]
    NoPasswordChecks,
}

#[cfg(test)]
mod tests;
