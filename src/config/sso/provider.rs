//! The kinds of identity providers, which have different keys.

use std::collections::BTreeMap;

use figment::{Figment, error::Kind};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::{DirectoryConfig, OpenIdConnectConfig, SamlConfig};
use crate::config::ConfigDuration;

/// The identity providers by name.
pub type SsoConfig = BTreeMap<String, ProviderConfig>;

/// A section `[sso.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ProviderConfig {
    Directory(DirectoryConfig),
    OpenIdConnect(OpenIdConnectConfig),
    Saml(SamlConfig),
}

/// The values of `kind`.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KindName {
    ActiveDirectory,
    #[serde(rename = "openldap")]
    OpenLdap,
    #[serde(rename = "freeipa")]
    FreeIpa,
    #[serde(rename = "openid-connect")]
    OpenIdConnect,
    Saml,
}

impl ProviderConfig {
    /// Returns the directory, if it is one.
    #[must_use]
    pub fn directory(&self) -> Option<&DirectoryConfig> {
        if let Self::Directory(directory) = self { Some(directory) } else { None }
    }

    /// Returns the time from the last sign-in until tokens pause; `None`: never. A directory reports who has
    /// left, so its people need not sign in.
    #[must_use]
    pub fn reaffirm_after(&self) -> Option<ConfigDuration> {
        match self {
            Self::Directory(_) => None,
            Self::OpenIdConnect(provider) => provider.reaffirm_after,
            Self::Saml(provider) => provider.reaffirm_after,
        }
    }

    /// Returns the `OpenID` provider, if it is one.
    #[must_use]
    pub fn openid_connect(&self) -> Option<&OpenIdConnectConfig> {
        if let Self::OpenIdConnect(provider) = self { Some(provider) } else { None }
    }

    /// Returns the SAML provider, if it is one.
    #[must_use]
    pub fn saml(&self) -> Option<&SamlConfig> {
        if let Self::Saml(provider) = self { Some(provider) } else { None }
    }
}

impl<'de> Deserialize<'de> for ProviderConfig {
    /// The kind may follow the keys whose meaning depends on it, so the section is read first.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let section = toml::Value::deserialize(deserializer)?;
        let parsed = match section.get("kind").and_then(toml::Value::as_str) {
            Some("openid-connect") => section.try_into().map(Self::OpenIdConnect),
            Some("saml") => section.try_into().map(Self::Saml),
            _ => section.try_into().map(Self::Directory),
        };
        parsed.map_err(D::Error::custom)
    }
}

/// Finds the first invalid value of a provider, with its key. Errors of [`ProviderConfig`] do not have
/// it.
///
/// # Errors
/// The error of the value.
pub(in crate::config) fn find_invalid(figment: &Figment) -> Result<(), Box<figment::Error>> {
    let providers = figment.find_value("sso").ok().and_then(figment::value::Value::into_dict);
    // A name with a dot is rejected by the check of names.
    for name in providers.into_iter().flatten().map(|(name, _)| name).filter(|name| !name.contains('.')) {
        let section = format!("sso.{name}");
        let kind = match extract::<KindName>(figment, &format!("{section}.kind")) {
            Err(error) if !matches!(error.kind, Kind::MissingField(_)) => return Err(error),
            kind => kind.ok(),
        };
        match kind {
            Some(KindName::OpenIdConnect) => drop(extract::<OpenIdConnectConfig>(figment, &section)?),
            Some(KindName::Saml) => drop(extract::<SamlConfig>(figment, &section)?),
            _ => drop(extract::<DirectoryConfig>(figment, &section)?),
        }
    }
    Ok(())
}

/// Reads the value of a key. An error has the full path of the invalid value.
fn extract<'a, T: Deserialize<'a>>(figment: &Figment, key: &str) -> Result<T, Box<figment::Error>> {
    figment.extract_inner(key).map_err(|mut error| {
        let section: Vec<String> = key.split('.').map(str::to_owned).collect();
        // figment appends the key to the path of some errors, instead of prepending it.
        if error.path.ends_with(&section) {
            error.path.truncate(error.path.len() - section.len());
        }
        error.path.splice(..0, section);
        Box::new(error)
    })
}

/// Returns `true` if a file contains the secret of a provider.
pub(in crate::config) fn contains_secret(file: &toml::Table) -> bool {
    let providers = file.get("sso").and_then(toml::Value::as_table);
    let has_secret =
        |provider: &toml::Value| ["bind_password", "client_secret"].iter().any(|key| provider.get(key).is_some());
    providers.is_some_and(|providers| providers.values().any(has_secret))
}
