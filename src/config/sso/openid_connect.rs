//! The keys of a provider of the kind `openid-connect`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokenward_oidc::{ClientSettings, Secret};

use super::{AllowConfig, SecretText};
use crate::{
    config::{ConfigDuration, Error, secret_file},
    domain::directory::ProviderName,
    service::openid_providers::OpenIdProviderSettings,
};

/// An OpenID provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenIdConnectConfig {
    kind: KindName,
    /// The issuer, byte for byte as in its metadata.
    pub issuer: String,
    pub client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<SecretText>,
    /// A file with the secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_file: Option<PathBuf>,
    /// The scopes that are requested beside `openid`.
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
    /// The claim that identifies an account.
    #[serde(default = "default_subject_claim")]
    pub subject_claim: String,
    /// The claim with the groups: its name, or a JSON pointer (RFC 6901) to it.
    #[serde(default = "default_groups_claim")]
    pub groups_claim: String,
    /// Certificates (PEM) of the authorities that sign the provider's; `None`: those of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The time from the last sign-in of a person until the person's tokens pause; `None`: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reaffirm_after: Option<ConfigDuration>,
    #[serde(default)]
    pub allow: Vec<AllowConfig>,
}

/// The kind of this section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum KindName {
    #[serde(rename = "openid-connect")]
    OpenIdConnect,
}

fn default_scopes() -> Vec<String> {
    ["profile", "email", "groups"].map(str::to_owned).into()
}

fn default_subject_claim() -> String {
    "sub".to_owned()
}

fn default_groups_claim() -> String {
    "groups".to_owned()
}

impl OpenIdConnectConfig {
    /// Returns the settings of the provider, with the secret from its file. `public_url` is the URL of
    /// this service, without a trailing slash.
    ///
    /// # Errors
    /// [`Error`] if the file cannot be read, or is readable by other users.
    pub(in crate::config) fn settings(&self, name: &str, public_url: &str) -> Result<OpenIdProviderSettings, Error> {
        let secret = match (&self.client_secret, &self.client_secret_file) {
            (Some(secret), _) => Some(secret.expose().clone()),
            (None, Some(path)) => Some(secret_file::read(path)?),
            (None, None) => None,
        };
        let invalid_name = |_| Error::Key(format!("sso.{name} has an invalid name"));
        Ok(OpenIdProviderSettings {
            name: ProviderName::parse(name).map_err(invalid_name)?,
            client: ClientSettings {
                issuer: self.issuer.clone(),
                client_id: self.client_id.clone(),
                client_secret: secret.map(|secret| Secret::new(secret.to_string())),
                scopes: self.scopes.clone(),
                subject_claim: self.subject_claim.clone(),
                groups_claim: self.groups_claim.clone(),
                ca_file: self.ca_file.clone(),
                redirect_uri: format!("{public_url}/sign-in/{name}/callback"),
                post_logout_redirect_uri: format!("{public_url}/sign-in?out=yes"),
            },
            rules: self.allow.iter().map(AllowConfig::rule).collect(),
        })
    }
}
