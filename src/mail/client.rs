//! The connection to the SMTP server. Each message has its own, so an idle server closes nothing.

use std::{fmt, sync::Arc, time::Duration};

use lettre::{
    message::Mailbox,
    transport::smtp::{
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, TlsParameters},
        extension::ClientId,
    },
};
use tokio::time::timeout;

use super::{MailError, OutgoingMessage, SmtpSettings, SmtpSettingsError, SmtpTls};

/// The time limit of one message, from the connection to the last response.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// The time limit of the end of a connection.
const QUIT_LIMIT: Duration = Duration::from_secs(1);

/// Sends messages through one SMTP server. Cheap to clone. `Debug` does not print the password.
#[derive(Clone)]
pub struct Mailer(Arc<Inner>);

struct Inner {
    settings: SmtpSettings,
    from: Mailbox,
    tls: Option<TlsParameters>,
    /// Host and port, for errors.
    server: String,
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mailer").field(&self.0.server).finish()
    }
}

impl Mailer {
    /// Creates a mailer. Does not connect.
    ///
    /// # Errors
    /// [`SmtpSettingsError`] if the sender is invalid or the certificate authorities cannot be read.
    pub fn new(settings: SmtpSettings) -> Result<Self, SmtpSettingsError> {
        let (from, tls) = (settings.mailbox()?, settings.tls_parameters()?);
        let server = format!("{}:{}", settings.host, settings.port);
        Ok(Self(Arc::new(Inner { settings, from, tls, server })))
    }

    /// Returns host and port of the server.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.0.server
    }

    /// Returns the encryption of connections.
    #[must_use]
    pub fn tls(&self) -> SmtpTls {
        self.0.settings.tls
    }

    /// Sends a message on a connection of its own.
    ///
    /// # Errors
    /// A [`MailError`] unless the server has accepted the message.
    pub async fn send(&self, message: &OutgoingMessage) -> Result<(), MailError> {
        let message = message.build(&self.0.from)?;
        let server = &self.0.server;
        let sending = async {
            let mut connection = self.0.connect().await?;
            let sent = connection.send(message.envelope(), &message.formatted()).await;
            // The message is accepted, or not. The end of the connection changes nothing.
            timeout(QUIT_LIMIT, connection.abort()).await.ok();
            sent.map(drop).map_err(|error| MailError::of_message(server, &error))
        };
        let timed_out = |_| Err(MailError::TimedOut { server: server.clone(), limit: TIME_LIMIT });
        timeout(TIME_LIMIT, sending).await.unwrap_or_else(timed_out)
    }
}

impl Inner {
    /// Connects, encrypts and authenticates, in this order.
    async fn connect(&self) -> Result<AsyncSmtpConnection, MailError> {
        let SmtpSettings { host, port, tls, credentials, .. } = &self.settings;
        let hello = ClientId::Domain(self.from.email.domain().to_owned());
        let of_connection = |error| MailError::of_connection(&self.server, &error);
        let at_once = self.tls.clone().filter(|_| *tls == SmtpTls::Implicit);
        let address = (host.as_str(), *port);
        let mut connection = AsyncSmtpConnection::connect_tokio1(address, Some(TIME_LIMIT), &hello, at_once, None)
            .await
            .map_err(of_connection)?;
        if *tls == SmtpTls::StartTls {
            let Some(parameters) = self.tls.clone().filter(|_| connection.can_starttls()) else {
                connection.abort().await;
                return Err(MailError::NoStartTls { server: self.server.clone() });
            };
            connection.starttls(parameters, &hello).await.map_err(of_connection)?;
        }
        if let Some(credentials) = credentials {
            let login = Credentials::new(credentials.username.clone(), credentials.password.to_string());
            let authenticated = connection.auth(&[Mechanism::Plain, Mechanism::Login], &login).await;
            if let Err(error) = authenticated {
                connection.abort().await;
                return Err(MailError::of_authentication(&self.server, &error));
            }
        }
        Ok(connection)
    }
}
