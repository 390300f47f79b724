//! The error of a message that was not sent.

use std::{error::Error as _, time::Duration};

use lettre::transport::smtp::Error as SmtpError;
use rustls::CertificateError;

/// A message that was not sent. The texts name the server, the cause and the remedy, and no password.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    #[error("{server} cannot be reached: {reason}")]
    Connect { server: String, reason: String },
    #[error("{server} did not complete within {limit:?}")]
    TimedOut { server: String, limit: Duration },
    #[error(
        "{server} does not offer STARTTLS, so nothing was sent; set mail.tls = \"implicit\" if it expects TLS at once"
    )]
    NoStartTls { server: String },
    #[error("the certificate of {server} is not accepted: {remedy}")]
    Certificate { server: String, remedy: String },
    #[error("{server} rejected mail.username or its password: {reason}")]
    Authentication { server: String, reason: String },
    /// The server rejected this message, and would reject it again.
    #[error("{server} rejected the message: {reason}")]
    Rejected { server: String, reason: String },
    /// The server did not accept this message now.
    #[error("{server} deferred the message: {reason}")]
    Deferred { server: String, reason: String },
    #[error("the e-mail address of the recipient cannot be used by SMTP")]
    Recipient,
}

impl MailError {
    /// Returns whether another attempt with the same message is in vain.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        matches!(self, Self::Rejected { .. } | Self::Recipient)
    }

    /// Returns whether the server could not be used, whatever the message is.
    #[must_use]
    pub const fn is_of_server(&self) -> bool {
        !matches!(self, Self::Rejected { .. } | Self::Recipient | Self::Deferred { .. })
    }

    /// Converts an error before the first message.
    pub(super) fn of_connection(server: &str, error: &SmtpError) -> Self {
        let server = server.to_owned();
        match certificate_error(error) {
            Some(reason) => Self::Certificate { server, remedy: remedy(&reason) },
            None => Self::Connect { server, reason: error.to_string() },
        }
    }

    pub(super) fn of_authentication(server: &str, error: &SmtpError) -> Self {
        let (server, reason) = (server.to_owned(), error.to_string());
        if error.is_permanent() || error.is_client() {
            Self::Authentication { server, reason }
        } else {
            Self::Connect { server, reason }
        }
    }

    pub(super) fn of_message(server: &str, error: &SmtpError) -> Self {
        let (server, reason) = (server.to_owned(), error.to_string());
        // The server demands a password or encryption (RFC 4954, section 6), whatever the message is.
        let code = error.status().map(|code| code.to_string());
        if code.is_some_and(|code| ["530", "534", "535", "538"].contains(&code.as_str())) {
            Self::Authentication { server, reason }
        } else if error.is_permanent() || error.is_client() {
            Self::Rejected { server, reason }
        } else if error.is_transient() {
            Self::Deferred { server, reason }
        } else {
            Self::Connect { server, reason }
        }
    }
}

fn certificate_error(error: &SmtpError) -> Option<CertificateError> {
    let mut source = error.source();
    while let Some(cause) = source {
        let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let found = inner.and_then(|inner| inner.downcast_ref()).or_else(|| cause.downcast_ref());
        if let Some(rustls::Error::InvalidCertificate(reason)) = found {
            return Some(reason.clone());
        }
        source = cause.source();
    }
    None
}

fn remedy(reason: &CertificateError) -> String {
    match reason {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "set mail.ca_file to the certificate authority that issued it".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another name; set mail.host to a name in the certificate".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired; renew it".to_owned(),
        other => other.to_string(),
    }
}
