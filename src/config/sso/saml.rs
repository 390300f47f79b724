//! The keys of a provider of the kind `saml`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::AllowConfig;
use crate::{
    config::{ConfigDuration, Error, secret_file},
    domain::directory::ProviderName,
    service::saml_providers::{NameIdFormat, SamlProviderSettings, SamlSubject},
};

/// A SAML 2.0 provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamlConfig {
    kind: KindName,
    /// A file with the metadata of the provider.
    pub metadata_file: PathBuf,
    /// The entity ID of this service at the provider; `None`: the URL of its metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_id: Option<String>,
    /// The format of the `NameID` that identifies an account; `None`: persistent, without a `subject_attribute`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_id_format: Option<NameIdFormatName>,
    /// The attribute that identifies an account, instead of the `NameID`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_attribute: Option<String>,
    #[serde(default = "default_email_attribute")]
    pub email_attribute: String,
    #[serde(default = "default_name_attribute")]
    pub name_attribute: String,
    /// The attribute with the groups.
    #[serde(default = "default_groups_attribute")]
    pub groups_attribute: String,
    /// A file (PEM) with the private key that signs requests, and its certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_requests_key: Option<PathBuf>,
    /// The time from the last sign-in of a person until the person's tokens pause; `None`: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reaffirm_after: Option<ConfigDuration>,
    #[serde(default)]
    pub allow: Vec<AllowConfig>,
}

/// The kind of this section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum KindName {
    #[serde(rename = "saml")]
    Saml,
}

/// The values of `name_id_format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameIdFormatName {
    Persistent,
    EmailAddress,
    Unspecified,
}

impl From<NameIdFormatName> for NameIdFormat {
    fn from(name: NameIdFormatName) -> Self {
        match name {
            NameIdFormatName::Persistent => Self::Persistent,
            NameIdFormatName::EmailAddress => Self::EmailAddress,
            NameIdFormatName::Unspecified => Self::Unspecified,
        }
    }
}

fn default_email_attribute() -> String {
    "email".to_owned()
}

fn default_name_attribute() -> String {
    "name".to_owned()
}

fn default_groups_attribute() -> String {
    "groups".to_owned()
}

impl SamlConfig {
    /// Returns the settings of the provider, with its metadata and the key from their files. `public_url` is
    /// the URL of this service, without a trailing slash.
    ///
    /// # Errors
    /// [`Error`] if a file cannot be read, or the key is readable by other users.
    pub(in crate::config) fn settings(&self, name: &str, public_url: &str) -> Result<SamlProviderSettings, Error> {
        let file_error = |source| Error::File { path: self.metadata_file.display().to_string(), source };
        let invalid_name = |_| Error::Key(format!("sso.{name} has an invalid name"));
        Ok(SamlProviderSettings {
            name: ProviderName::parse(name).map_err(invalid_name)?,
            metadata: std::fs::read(&self.metadata_file).map_err(file_error)?,
            entity_id: self.entity_id.clone(),
            subject: match &self.subject_attribute {
                Some(attribute) => SamlSubject::Attribute(attribute.clone()),
                None => SamlSubject::NameId(self.name_id_format.map_or(NameIdFormat::Persistent, NameIdFormat::from)),
            },
            email_attribute: self.email_attribute.clone(),
            name_attribute: self.name_attribute.clone(),
            groups_attribute: self.groups_attribute.clone(),
            request_key: self.sign_requests_key.as_deref().map(secret_file::read).transpose()?,
            public_url: public_url.to_owned(),
            rules: self.allow.iter().map(AllowConfig::rule).collect(),
        })
    }
}
