//! Messages by SMTP (RFC 5321): the settings of the server, the connection and one plain-text message.
//!
//! A connection is encrypted unless the server is on loopback: a server that does not offer STARTTLS
//! gets neither the password nor a message.

mod client;
mod error;
mod message;
mod settings;

pub use client::Mailer;
pub use error::MailError;
pub use message::OutgoingMessage;
pub use settings::{SmtpCredentials, SmtpSettings, SmtpSettingsError, SmtpTls};
