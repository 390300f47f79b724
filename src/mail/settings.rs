//! The settings of the SMTP server, and its certificate authorities.

use std::{fmt, path::PathBuf};

use lettre::{
    message::Mailbox,
    transport::smtp::client::{Certificate, CertificateStore, TlsParameters},
};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use zeroize::Zeroizing;

/// The encryption of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// The connection is upgraded by STARTTLS (RFC 3207) before anything else is sent.
    StartTls,
    /// The connection is encrypted from its beginning (RFC 8314).
    Implicit,
    /// Plain text. The configuration allows it on loopback only.
    None,
}

impl SmtpTls {
    /// Returns the name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StartTls => "starttls",
            Self::Implicit => "implicit",
            Self::None => "none",
        }
    }

    /// Returns the port that servers use for it.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::StartTls => 587,
            Self::Implicit => 465,
            Self::None => 25,
        }
    }
}

/// The account at the SMTP server. `Debug` does not print the password.
#[derive(Clone)]
pub struct SmtpCredentials {
    pub username: String,
    pub password: Zeroizing<String>,
}

impl fmt::Debug for SmtpCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpCredentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// The SMTP server and the sender of messages.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    /// A host name or an address.
    pub host: String,
    pub port: u16,
    pub tls: SmtpTls,
    /// `None`: the service does not authenticate.
    pub credentials: Option<SmtpCredentials>,
    /// The sender, such as `Tokenward <tokenward@example.com>`.
    pub from: String,
    /// Certificates (PEM) of the authorities that sign the server's; `None`: those of the system.
    pub ca_file: Option<PathBuf>,
}

/// A setting with which no message can be sent. The text continues the name of the setting.
#[derive(Debug, thiserror::Error)]
pub enum SmtpSettingsError {
    #[error("mail.from is not an e-mail address; set it to an address such as \"Tokenward <tokenward@example.com>\"")]
    From,
    #[error("mail.ca_file {path}: {reason}")]
    CaFile { path: PathBuf, reason: String },
    #[error("the system has no certificate authorities; set mail.ca_file")]
    NoRoots,
    #[error("TLS cannot be used: {0}")]
    Tls(String),
}

impl SmtpSettings {
    /// Parses the sender.
    pub(super) fn mailbox(&self) -> Result<Mailbox, SmtpSettingsError> {
        self.from.parse().map_err(|_| SmtpSettingsError::From)
    }

    /// Returns the TLS parameters with the authorities; `None` for plain text.
    pub(super) fn tls_parameters(&self) -> Result<Option<TlsParameters>, SmtpSettingsError> {
        if self.tls == SmtpTls::None {
            return Ok(None);
        }
        let mut builder = TlsParameters::builder(self.host.clone()).certificate_store(CertificateStore::None);
        for root in self.roots()? {
            let certificate = Certificate::from_der(root.to_vec()).map_err(|error| tls_error(&error))?;
            builder = builder.add_root_certificate(certificate);
        }
        builder.build().map(Some).map_err(|error| tls_error(&error))
    }

    /// Loads the authorities of the file, or those of the system. A root of the system that cannot be
    /// parsed is left out.
    fn roots(&self) -> Result<Vec<CertificateDer<'static>>, SmtpSettingsError> {
        let is_usable = |root: &CertificateDer<'static>| RootCertStore::empty().add(root.clone());
        let Some(path) = &self.ca_file else {
            let mut roots = rustls_native_certs::load_native_certs().certs;
            roots.retain(|root| is_usable(root).is_ok());
            return if roots.is_empty() { Err(SmtpSettingsError::NoRoots) } else { Ok(roots) };
        };
        let invalid = |reason: String| SmtpSettingsError::CaFile { path: path.clone(), reason };
        let mut roots = Vec::new();
        for root in CertificateDer::pem_file_iter(path).map_err(|error| invalid(error.to_string()))? {
            let root = root.map_err(|error| invalid(error.to_string()))?;
            is_usable(&root).map_err(|error| invalid(error.to_string()))?;
            roots.push(root);
        }
        if roots.is_empty() { Err(invalid("contains no certificate".to_owned())) } else { Ok(roots) }
    }
}

fn tls_error(error: &lettre::transport::smtp::Error) -> SmtpSettingsError {
    SmtpSettingsError::Tls(error.to_string())
}
