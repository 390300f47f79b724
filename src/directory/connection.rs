//! One LDAP connection: ldap3 with a relay to the server, in a task of its own.

use std::{
    any::Any,
    io,
    os::unix::net::UnixStream as StdUnixStream,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt as _;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, StdStream, controls::RawControl};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixStream,
    sync::watch,
    time::timeout,
};

use super::{
    error::{DirectoryError, InvalidAnswer},
    relay::{RelayEnd, relay},
    settings::ServerUrl,
    transport::Transport,
};

/// The maximum time of a bind.
const BIND_TIMEOUT: Duration = Duration::from_millis(1_500);
/// The maximum time until a connection that failed reports the reason.
const END_TIMEOUT: Duration = Duration::from_millis(500);
/// The control that asks for the reason of a failed bind (draft-behera-ldap-password-policy-10,
/// section 6.1).
pub(super) const PASSWORD_POLICY: &str = "1.3.6.1.4.1.42.2.27.8.5.1";

/// A connection to a directory server. It closes when it is dropped.
pub(super) struct Connection {
    ldap: Ldap,
    end: watch::Receiver<Option<End>>,
    broken: Arc<AtomicU64>,
    pub(super) server: ServerUrl,
    pub(super) certificate_names: Vec<String>,
}

/// The reason why a connection ended.
#[derive(Clone, Debug)]
enum End {
    Closed(io::ErrorKind, String),
    Invalid(InvalidAnswer),
}

/// The error of one operation.
pub(super) enum OperationError {
    Ldap(LdapError),
    Invalid(InvalidAnswer),
}

impl From<LdapError> for OperationError {
    fn from(error: LdapError) -> Self {
        Self::Ldap(error)
    }
}

impl From<InvalidAnswer> for OperationError {
    fn from(error: InvalidAnswer) -> Self {
        Self::Invalid(error)
    }
}

impl Connection {
    /// Starts LDAP over an encrypted connection. `broken` counts the connections that end because
    /// of an invalid answer.
    ///
    /// # Errors
    /// [`DirectoryError::Unreachable`] if the system has no more sockets.
    pub(super) async fn start<S>(transport: Transport<S>, broken: Arc<AtomicU64>) -> Result<Self, DirectoryError>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let Transport { server, certificate_names, stream } = transport;
        let failed = |error: LdapError| DirectoryError::Unreachable { server: server.clone(), source: error.into() };
        let (ours, theirs) = StdUnixStream::pair().map_err(|error| failed(error.into()))?;
        ours.set_nonblocking(true).map_err(|error| failed(error.into()))?;
        let ours = UnixStream::from_std(ours).map_err(|error| failed(error.into()))?;
        let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(theirs));
        let (driver, ldap) = LdapConnAsync::with_settings(settings, "ldapi:///").await.map_err(failed)?;
        let (report_end, end) = watch::channel(None);
        let counter = Arc::clone(&broken);
        tokio::spawn(async move {
            let driver = AssertUnwindSafe(driver.drive()).catch_unwind();
            let relay = relay(stream, ours);
            tokio::pin!(driver, relay);
            let report = |end: End| {
                if matches!(end, End::Invalid(_)) {
                    counter.fetch_add(1, Ordering::Relaxed);
                }
                report_end.send_replace(Some(end));
            };
            tokio::select! {
                // The driver still reads the messages that were passed on before the end.
                end = &mut relay => report(End::of(end, &driver.await)),
                driven = &mut driver => {
                    let closed = RelayEnd::Closed(io::ErrorKind::NotConnected.into());
                    report(End::of(closed, &driven));
                    relay.await;
                }
            }
        });
        Ok(Self { ldap, end, broken, server, certificate_names })
    }

    /// Binds with a name and a password. With `asks_policy`, the server is asked for the reason of
    /// a failure.
    ///
    /// # Errors
    /// A [`DirectoryError`] if there was no response. Any result code is a response.
    pub(super) async fn bind(&self, dn: &str, password: &str, asks_policy: bool) -> Result<LdapResult, DirectoryError> {
        self.run(BIND_TIMEOUT, async {
            let mut ldap = self.ldap.clone();
            if asks_policy {
                ldap.with_controls(RawControl { ctype: PASSWORD_POLICY.to_owned(), crit: false, val: None });
            }
            Ok(ldap.simple_bind(dn, password).await?)
        })
        .await
    }

    /// Returns a handle for one operation in [`Connection::run`].
    pub(super) fn handle(&self) -> Ldap {
        self.ldap.clone()
    }

    /// Runs an operation of ldap3. Its conversions of responses may panic, here and in the driver.
    ///
    /// # Errors
    /// [`DirectoryError::Timeout`] after `limit`, [`DirectoryError::InvalidAnswer`] for a panic or
    /// an invalid message, [`DirectoryError::Unreachable`] if the connection ended.
    pub(super) async fn run<T>(
        &self,
        limit: Duration,
        operation: impl Future<Output = Result<T, OperationError>>,
    ) -> Result<T, DirectoryError> {
        match timeout(limit, AssertUnwindSafe(operation).catch_unwind()).await {
            Err(_) => Err(DirectoryError::Timeout { limit }),
            Ok(Ok(Ok(output))) => Ok(output),
            Ok(Ok(Err(OperationError::Ldap(error)))) => Err(self.explain(error).await),
            Ok(Ok(Err(OperationError::Invalid(error)))) => Err(self.count_broken(error)),
            Ok(Err(_panic)) => Err(self.count_broken(InvalidAnswer::Malformed)),
        }
    }

    fn count_broken(&self, error: InvalidAnswer) -> DirectoryError {
        self.broken.fetch_add(1, Ordering::Relaxed);
        error.into()
    }

    /// Returns the reason of an error of ldap3, which does not contain it.
    async fn explain(&self, error: LdapError) -> DirectoryError {
        let mut end = self.end.clone();
        let reason = match timeout(END_TIMEOUT, end.wait_for(Option::is_some)).await {
            Ok(Ok(reason)) => reason.clone(),
            _ => None,
        };
        match reason {
            Some(End::Invalid(error)) => error.into(),
            Some(End::Closed(kind, text)) => {
                DirectoryError::Unreachable { server: self.server.clone(), source: io::Error::new(kind, text) }
            }
            None => DirectoryError::Unreachable { server: self.server.clone(), source: error.into() },
        }
    }
}

impl End {
    /// Returns the reason from the end of the relay and of the driver.
    fn of(relay: RelayEnd, driver: &Result<Result<(), LdapError>, Box<dyn Any + Send>>) -> Self {
        match (relay, driver) {
            (RelayEnd::Invalid(error), _) => Self::Invalid(error.into()),
            (_, Err(_panic)) => Self::Invalid(InvalidAnswer::Malformed),
            // ldap3 reports a message that it cannot decode in this way.
            (_, Ok(Err(LdapError::Io { source }))) if source.kind() == io::ErrorKind::Other => {
                Self::Invalid(InvalidAnswer::Malformed)
            }
            (RelayEnd::Closed(error), _) => Self::Closed(error.kind(), error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
