//! The section `[mail]`: the SMTP server. E-mail is off without `host`.

use std::{net::IpAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{Error, secret_file, sso::SecretText};
use crate::mail::{Mailer, SmtpCredentials, SmtpSettings, SmtpTls};

/// Messages by SMTP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MailConfig {
    /// Host name or address of the SMTP server; `None`: no e-mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// `None`: the port that servers use for `tls`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    pub tls: MailTls,
    /// The account at the server; `None`: no authentication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretText>,
    /// A file with the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// The sender: an address, with or without a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Certificates (PEM) of the authorities that sign the server's; `None`: those of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

/// The encryption of connections to the SMTP server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    #[default]
    StartTls,
    Implicit,
    /// Only to a server on loopback.
    None,
}

impl From<MailTls> for SmtpTls {
    fn from(tls: MailTls) -> Self {
        match tls {
            MailTls::StartTls => Self::StartTls,
            MailTls::Implicit => Self::Implicit,
            MailTls::None => Self::None,
        }
    }
}

impl MailConfig {
    /// Checks the values. `has_public_url` states whether messages can contain links.
    ///
    /// # Errors
    /// [`Error::Value`] for a missing or an invalid value.
    pub(super) fn check(&self, has_public_url: bool) -> Result<(), Error> {
        let Some(host) = &self.host else { return self.check_off() };
        if host.is_empty() || !host.chars().all(|c| c.is_ascii_alphanumeric() || "-.:_".contains(c)) {
            return invalid("mail.host", "must be a host name or an address, without a scheme and without a port");
        }
        if !has_public_url {
            return invalid("mail.host", "requires public_url, because messages contain links to the pages");
        }
        if self.port == Some(0) {
            return invalid("mail.port", "must be from 1 to 65535");
        }
        if self.from.is_none() {
            return invalid("mail.from", "must be set, for example to \"Tokenward <tokenward@example.com>\"");
        }
        if self.tls == MailTls::None && !is_loopback(host) {
            return invalid(
                "mail.tls",
                "is \"none\", which only a server on loopback may have; use \"starttls\" or \"implicit\"",
            );
        }
        match (&self.username, self.password.is_some(), self.password_file.is_some()) {
            (_, true, true) => invalid("mail.password", "and mail.password_file are both set; keep one of them"),
            (Some(_), false, false) => invalid("mail.username", "requires mail.password_file or mail.password"),
            (None, true, _) | (None, _, true) => invalid("mail.username", "must be set, because there is a password"),
            _ => Ok(()),
        }
    }

    fn check_off(&self) -> Result<(), Error> {
        if *self == Self::default() {
            return Ok(());
        }
        invalid("mail.host", "must be set, because [mail] has other keys; remove them to send no e-mail")
    }

    /// Returns the mailer; `None` if e-mail is off. Reads the password and the authorities.
    ///
    /// # Errors
    /// [`Error`] if a file cannot be read, or a value is invalid.
    pub(super) fn mailer(&self) -> Result<Option<Mailer>, Error> {
        let (Some(host), Some(from)) = (&self.host, &self.from) else { return Ok(None) };
        let password = match (&self.password, &self.password_file) {
            (Some(password), _) => Some(password.expose().clone()),
            (None, Some(path)) => Some(secret_file::read(path)?),
            (None, None) => None,
        };
        let credentials = self.username.clone().zip(password);
        let tls = SmtpTls::from(self.tls);
        let settings = SmtpSettings {
            host: host.clone(),
            port: self.port.unwrap_or(tls.default_port()),
            tls,
            credentials: credentials.map(|(username, password)| SmtpCredentials { username, password }),
            from: from.clone(),
            ca_file: self.ca_file.clone(),
        };
        Mailer::new(settings).map(Some).map_err(|error| Error::Key(error.to_string()))
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn invalid(key: &'static str, reason: &str) -> Result<(), Error> {
    Err(Error::Value { key, reason: reason.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        let config: MailConfig = toml::from_str(text).unwrap();
        config.check(true).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn without_a_host_there_is_no_mailer_and_no_other_key() {
        assert!(MailConfig::default().check(false).is_ok() && MailConfig::default().mailer().unwrap().is_none());
        assert!(error("from = \"a@example.com\"").starts_with("mail.host must be set"));
    }

    #[test]
    fn plain_text_is_for_loopback_only() {
        let config = |host: &str| error(&format!("host = \"{host}\"\nfrom = \"a@example.com\"\ntls = \"none\""));
        for loopback in ["localhost", "127.0.0.1", "127.9.0.1", "::1"] {
            assert_eq!(config(loopback), "", "{loopback}");
        }
        for other in ["10.0.0.1", "smtp.example.com", "localhost.example.com", "::2", "0.0.0.0"] {
            assert!(config(other).starts_with("mail.tls is \"none\""), "{other}");
        }
    }

    #[test]
    fn missing_and_contradictory_values_are_errors() {
        let with = |rest: &str| error(&format!("host = \"smtp.example.com\"\nfrom = \"a@example.com\"\n{rest}"));
        assert_eq!(with("username = \"u\"\npassword = \"p\""), "");
        assert!(with("username = \"u\"").starts_with("mail.username requires"));
        assert!(with("password = \"p\"").starts_with("mail.username must be set"));
        let both = with("username = \"u\"\npassword = \"p\"\npassword_file = \"/x\"");
        assert!(both.starts_with("mail.password and mail.password_file"), "{both}");
        assert!(with("port = 0").starts_with("mail.port"));
        assert!(error("host = \"smtp.example.com\"").starts_with("mail.from must be set"));
        assert!(error("host = \"smtp://example.com\"\nfrom = \"a@example.com\"").starts_with("mail.host must be"));
        let config: MailConfig = toml::from_str("host = \"localhost\"\nfrom = \"a@example.com\"").unwrap();
        assert!(config.check(false).unwrap_err().to_string().contains("requires public_url"));
    }

    #[test]
    fn an_invalid_sender_is_an_error_and_no_password_is_printed() {
        let text =
            "host = \"localhost\"\ntls = \"none\"\nfrom = \"nonsense\"\nusername = \"u\"\npassword = \"hunter2\"";
        let config: MailConfig = toml::from_str(text).unwrap();
        let error = config.mailer().unwrap_err().to_string();
        assert!(error.starts_with("mail.from is not an e-mail address"), "{error}");
        assert!(!format!("{config:?}{}", toml::to_string(&config).unwrap()).contains("hunter2"));
    }
}
