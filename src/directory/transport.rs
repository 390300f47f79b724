//! Encrypted connections to directory servers.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    ber,
    error::{DirectoryError, InvalidAnswer},
    pdu::{self, PduError},
    settings::{DirectorySettings, ServerUrl, SettingsError},
    tls,
};

/// The maximum time until a server has an encrypted connection: TCP, `StartTLS` and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The request to begin TLS (RFC 4511, section 4.14): an extended request with message ID 1.
const START_TLS: &[u8; 31] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
/// The tag of an extended response.
const EXTENDED_RESPONSE: u8 = 0x78;

/// The servers of a directory.
pub(super) struct Servers {
    targets: Vec<Target>,
    start_tls: bool,
    config: Arc<ClientConfig>,
    /// Index of the server that is tried first.
    preferred: AtomicUsize,
}

struct Target {
    url: ServerUrl,
    /// The name that the certificate must have.
    name: ServerName<'static>,
}

/// An encrypted connection.
pub(super) struct Transport<S = TlsStream<TcpStream>> {
    pub(super) server: ServerUrl,
    /// The names in the `subjectAltName` of the server's certificate.
    pub(super) certificate_names: Vec<String>,
    pub(super) stream: S,
}

impl Servers {
    pub(super) fn new(settings: &DirectorySettings) -> Result<Self, SettingsError> {
        let mut targets = Vec::new();
        for url in settings.servers.clone() {
            if !url.is_ldaps && !settings.start_tls {
                return Err(SettingsError::PlainText { url });
            }
            let name = settings.server_name.as_ref().unwrap_or(&url.host).clone();
            let name = ServerName::try_from(name.clone()).map_err(|_| SettingsError::ServerName { name })?;
            targets.push(Target { url, name });
        }
        if targets.is_empty() {
            return Err(SettingsError::NoServer);
        }
        let config = tls::client_config(settings.ca_file.as_deref())?;
        Ok(Self { targets, start_tls: settings.start_tls, config, preferred: AtomicUsize::new(0) })
    }

    /// Connects to the first server that accepts, beginning with the one that did last time.
    ///
    /// # Errors
    /// The error of the first server, if all of them fail.
    pub(super) async fn connect(&self) -> Result<Transport, DirectoryError> {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut first_error = None;
        for attempt in 0..self.targets.len() {
            let index = (first + attempt) % self.targets.len();
            match self.connect_to(&self.targets[index]).await {
                Ok(transport) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return Ok(transport);
                }
                Err(error) => {
                    self.avoid(&self.targets[index].url);
                    first_error.get_or_insert(error);
                }
            }
        }
        Err(first_error.unwrap_or(DirectoryError::Busy))
    }

    /// Returns the URLs of all servers, in the order of the configuration.
    pub(super) fn urls(&self) -> impl Iterator<Item = &ServerUrl> {
        self.targets.iter().map(|target| &target.url)
    }

    /// Connects to the server with this URL only.
    ///
    /// # Errors
    /// The error of this server.
    pub(super) async fn connect_only_to(&self, server: &ServerUrl) -> Result<Transport, DirectoryError> {
        match self.targets.iter().find(|target| target.url == *server) {
            Some(target) => self.connect_to(target).await,
            None => Err(DirectoryError::Busy),
        }
    }

    /// Tries another server first from now on, because this one does not answer.
    pub(super) fn avoid(&self, server: &ServerUrl) {
        if let Some(index) = self.targets.iter().position(|target| target.url == *server) {
            let next = (index + 1) % self.targets.len();
            self.preferred.compare_exchange(index, next, Ordering::Relaxed, Ordering::Relaxed).ok();
        }
    }

    async fn connect_to(&self, target: &Target) -> Result<Transport, DirectoryError> {
        let unreachable = |source| DirectoryError::Unreachable { server: target.url.clone(), source };
        let connected = timeout(CONNECT_TIMEOUT, async {
            let url = &target.url;
            let mut tcp = TcpStream::connect((url.host.as_str(), url.port)).await.map_err(unreachable)?;
            tcp.set_nodelay(true).map_err(unreachable)?;
            if !url.is_ldaps && self.start_tls {
                start_tls(&mut tcp, url).await?;
            }
            let connector = TlsConnector::from(Arc::clone(&self.config));
            let stream = connector.connect(target.name.clone(), tcp).await;
            let stream = stream.map_err(|error| tls::handshake_error(url, &target.name, error))?;
            let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
            let certificate_names = certificate.map(tls::certificate_names).unwrap_or_default();
            Ok(Transport { server: url.clone(), certificate_names, stream })
        });
        connected.await.unwrap_or_else(|_| Err(unreachable(io::ErrorKind::TimedOut.into())))
    }
}

/// Asks the server to begin TLS.
///
/// # Errors
/// [`DirectoryError::StartTlsRejected`] for another result code than 0, and
/// [`DirectoryError::InvalidAnswer`] for anything but one response. Bytes after it would have been
/// sent before TLS, perhaps by an attacker (as in CVE-2011-0411 of another protocol).
pub(super) async fn start_tls<S>(stream: &mut S, server: &ServerUrl) -> Result<(), DirectoryError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let unreachable = |source| DirectoryError::Unreachable { server: server.clone(), source };
    stream.write_all(START_TLS).await.map_err(unreachable)?;
    let mut answer = Vec::new();
    let length = loop {
        if let Some(length) = pdu::message_length(&answer).map_err(InvalidAnswer::from)? {
            break length;
        }
        if stream.read_buf(&mut answer).await.map_err(unreachable)? == 0 {
            return Err(if answer.is_empty() {
                unreachable(io::ErrorKind::UnexpectedEof.into())
            } else {
                InvalidAnswer::from(PduError::Truncated).into()
            });
        }
    };
    if answer.len() != length {
        return Err(InvalidAnswer::AfterStartTls.into());
    }
    match start_tls_code(&answer) {
        Some(0) => Ok(()),
        Some(code) => Err(DirectoryError::StartTlsRejected { server: server.clone(), code }),
        None => Err(InvalidAnswer::NotStartTls.into()),
    }
}

/// Returns the result code of the response to [`START_TLS`].
fn start_tls_code(message: &[u8]) -> Option<u32> {
    let (message, _) = ber::read(message, ber::SEQUENCE)?;
    let (id, rest) = ber::read(message, ber::INTEGER)?;
    if ber::small_number(id)? != 1 {
        return None;
    }
    let (response, _) = ber::read(rest, EXTENDED_RESPONSE)?;
    let (code, _) = ber::read(response, ber::ENUMERATED)?;
    ber::small_number(code)
}

#[cfg(test)]
mod tests;
