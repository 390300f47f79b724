//! The sections `[sso.NAME]`: identity providers through which people sign in.

mod check;
mod keys;
mod openid_connect;
mod provider;
mod saml;

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::{ConfigDuration, Error, secret_file};
use crate::{
    directory::{BindPassword, DirectorySettings, ServerUrl},
    domain::{
        allow_rule::AllowRule,
        directory::{DirectoryKind, ProviderName},
        id::WorkspaceId,
        person::TokenAccess,
    },
    service::directories::DirectoryProviderSettings,
};
pub(super) use check::check;
pub use keys::{ALLOW_KEYS, DIRECTORY_KEYS, OPENID_CONNECT_KEYS, SAML_KEYS};
pub(super) use keys::{nearest_key, without_index};
pub use openid_connect::OpenIdConnectConfig;
pub use provider::{ProviderConfig, SsoConfig};
pub(super) use provider::{contains_secret, find_invalid};
pub use saml::SamlConfig;

/// The maximum number of concurrent password checks at one directory.
const MAX_PASSWORD_CHECKS: usize = 8;

/// A directory, reached by LDAP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryConfig {
    pub kind: DirectoryKindName,
    /// The servers, in the order in which they are tried.
    #[serde(deserialize_with = "one_or_many")]
    pub url: Vec<String>,
    /// Upgrades `ldap://` connections to TLS.
    #[serde(default)]
    pub starttls: bool,
    /// Certificates (PEM) of the authorities that sign the servers'; `None`: those of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The name in the servers' certificates; `None`: the host of the URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// The account that searches.
    pub bind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_password: Option<SecretText>,
    /// A file with the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_password_file: Option<PathBuf>,
    /// The entry below which people and groups are.
    pub base: String,
    /// A filter that people must match in addition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_filter: Option<String>,
    /// The domains in names, such as `ad.example.org` and `ADTEST`.
    #[serde(default)]
    pub domains: Vec<String>,
    /// Names without a domain belong to this provider.
    #[serde(default)]
    pub default: bool,
    /// The time between two syncs.
    #[serde(default = "default_sync_interval")]
    pub sync_interval: ConfigDuration,
    /// Wrong passwords within half an hour from unknown places that the directory is asked about.
    #[serde(default = "default_lockout_guard")]
    pub lockout_guard: u32,
    #[serde(default)]
    pub allow: Vec<AllowConfig>,
}

/// A rule that admits the members of a group. In a directory, the group is a distinguished name; at an
/// OpenID provider, it is a value of the claim with the groups, and at a SAML provider one of the attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowConfig {
    pub group: String,
    /// The ID of the workspace.
    pub workspace: i64,
    #[serde(default)]
    pub admin: bool,
    #[serde(default)]
    pub token_access: TokenAccessName,
    /// Creates an account at the first sign-in.
    #[serde(default = "yes")]
    pub create: bool,
}

/// The kind of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DirectoryKindName {
    #[serde(rename = "active-directory")]
    ActiveDirectory,
    #[serde(rename = "openldap")]
    OpenLdap,
    #[serde(rename = "freeipa")]
    FreeIpa,
}

/// The access to tokens of new people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenAccessName {
    #[default]
    Default,
    Enabled,
    Disabled,
}

/// A secret in the configuration. Output formats redact it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Returns the secret.
    pub(super) fn expose(&self) -> &Zeroizing<String> {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText([hidden])")
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("[hidden]")
    }
}

fn default_sync_interval() -> ConfigDuration {
    ConfigDuration::from_secs(15 * 60)
}

fn default_lockout_guard() -> u32 {
    3
}

fn yes() -> bool {
    true
}

/// Reads a text or a list of texts.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Visitor;

    impl<'de> serde::de::Visitor<'de> for Visitor {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a URL such as \"ldaps://dc1.example.org\", or a list of them")
        }

        fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
            Ok(vec![text.to_owned()])
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut urls = Vec::new();
            while let Some(url) = list.next_element()? {
                urls.push(url);
            }
            Ok(urls)
        }
    }

    deserializer.deserialize_any(Visitor)
}

impl DirectoryConfig {
    /// Returns the settings of the directory, with the password from its file.
    ///
    /// # Errors
    /// [`Error`] if the file cannot be read, or is readable by other users.
    pub(super) fn settings(&self, name: &str) -> Result<DirectoryProviderSettings, Error> {
        let invalid = |key: &str, reason: String| Error::Key(format!("sso.{name}.{key} {reason}"));
        let password = match (&self.bind_password, &self.bind_password_file) {
            (Some(SecretText(password)), _) => password.clone(),
            (None, Some(path)) => secret_file::read(path)?,
            (None, None) => return Err(invalid("bind_password_file", "must be set".to_owned())),
        };
        let parse =
            |url: &String| ServerUrl::parse(url).map_err(|error| invalid("url", format!("is invalid: {error}")));
        let provider = ProviderName::parse(name).map_err(|_| invalid("kind", "has an invalid name".to_owned()))?;
        Ok(DirectoryProviderSettings {
            directory: DirectorySettings {
                name: provider,
                kind: self.kind.into(),
                servers: self.url.iter().map(parse).collect::<Result<_, _>>()?,
                start_tls: self.starttls,
                server_name: self.server_name.clone(),
                ca_file: self.ca_file.clone(),
                bind_dn: self.bind.clone(),
                bind_password: BindPassword::new(password.to_string()),
                base: self.base.clone(),
                user_filter: self.user_filter.clone(),
                groups: self.allow.iter().map(|rule| rule.group.clone()).collect(),
                max_password_checks: MAX_PASSWORD_CHECKS,
            },
            rules: self.allow.iter().map(AllowConfig::rule).collect(),
            domains: self.domains.clone(),
            is_default: self.default,
            sync_interval: self.sync_interval.get(),
            lockout_guard: self.lockout_guard,
        })
    }
}

impl AllowConfig {
    fn rule(&self) -> AllowRule {
        AllowRule {
            group: self.group.clone(),
            workspace_id: WorkspaceId::new(self.workspace),
            is_admin: self.admin,
            token_access: match self.token_access {
                TokenAccessName::Default => TokenAccess::Default,
                TokenAccessName::Enabled => TokenAccess::Enabled,
                TokenAccessName::Disabled => TokenAccess::Disabled,
            },
            creates: self.create,
        }
    }
}

impl From<DirectoryKindName> for DirectoryKind {
    fn from(name: DirectoryKindName) -> Self {
        match name {
            DirectoryKindName::ActiveDirectory => Self::ActiveDirectory,
            DirectoryKindName::OpenLdap => Self::OpenLdap,
            DirectoryKindName::FreeIpa => Self::FreeIpa,
        }
    }
}
