//! URLs that may contain a secret, with redacted output.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::store::{DatabaseUrl, InvalidDatabaseUrl};

/// A database URL as configured. Output formats redact the password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrlSetting(String);

impl DatabaseUrlSetting {
    /// Creates a setting without parsing the URL.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Returns the URL with its password.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    /// Returns `true` if the URL has a password, or may have one because it cannot be parsed.
    #[must_use]
    pub fn may_have_password(&self) -> bool {
        self.address().map_or(true, |address| address.has_password())
    }

    /// Returns `true` for a SQLite URL.
    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        self.0.starts_with("sqlite:")
    }

    /// Returns the URL without its password, and with the absolute path of a SQLite file.
    #[must_use]
    pub fn absolute(&self) -> String {
        let address = self.address().ok();
        let file = address.as_ref().and_then(|address| std::path::absolute(address.sqlite_file()?).ok());
        file.map_or_else(|| self.to_string(), |file| format!("sqlite:{}", file.display()))
    }

    /// Parses the URL.
    ///
    /// # Errors
    /// [`InvalidDatabaseUrl`] if the URL is malformed or has an unsupported parameter.
    pub fn address(&self) -> Result<DatabaseUrl, InvalidDatabaseUrl> {
        DatabaseUrl::from_str(&self.0)
    }
}

impl FromStr for DatabaseUrlSetting {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Display for DatabaseUrlSetting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.address() {
            Ok(address) => std::fmt::Display::fmt(&address, f),
            Err(_) => f.write_str("[invalid]"),
        }
    }
}

impl std::fmt::Debug for DatabaseUrlSetting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl Serialize for DatabaseUrlSetting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DatabaseUrlSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

/// The URL of a webhook. Output formats redact everything after the host, which may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(String);

impl WebhookUrl {
    /// Returns the whole URL.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns whether the URL has the scheme http or https and a host.
    #[must_use]
    pub fn is_http(&self) -> bool {
        let uri = self.0.parse::<http::Uri>().ok();
        uri.is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some())
    }
}

impl std::fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let uri = self.0.parse::<http::Uri>().unwrap_or_default();
        write!(f, "{}://{}/…", uri.scheme_str().unwrap_or("?"), uri.host().unwrap_or("?"))
    }
}

impl Serialize for WebhookUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self:?}"))
    }
}

impl<'de> Deserialize<'de> for WebhookUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}
