//! The relay between ldap3 and a server, which passes on only acceptable messages.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf, split},
    net::UnixStream,
    time::timeout,
};

use super::pdu::{self, PduError};

/// The maximum time until the server, or ldap3, takes what it is sent.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// The bytes that are read at once.
const CHUNK: usize = 16 * 1024;

/// The reason why a relay ended.
#[derive(Debug)]
pub(super) enum RelayEnd {
    /// One side closed the connection, or it failed.
    Closed(io::Error),
    /// The server sent something that is not an acceptable message.
    Invalid(PduError),
}

impl From<io::Error> for RelayEnd {
    fn from(error: io::Error) -> Self {
        Self::Closed(error)
    }
}

impl From<PduError> for RelayEnd {
    fn from(error: PduError) -> Self {
        Self::Invalid(error)
    }
}

/// Passes bytes in both directions until one side ends or sends an invalid message. Drops both
/// streams at the end.
pub(super) async fn relay<S: AsyncRead + AsyncWrite>(server: S, client: UnixStream) -> RelayEnd {
    let (mut from_server, mut to_server) = split(server);
    let (mut from_client, mut to_client) = split(client);
    tokio::select! {
        end = pass_messages(&mut from_server, &mut to_client) => end,
        end = pass_bytes(&mut from_client, &mut to_server) => end,
    }
}

/// Passes the requests of ldap3 to the server.
async fn pass_bytes<S: AsyncWrite>(client: &mut ReadHalf<UnixStream>, server: &mut WriteHalf<S>) -> RelayEnd {
    let mut chunk = vec![0; CHUNK];
    loop {
        let written = match client.read(&mut chunk).await {
            // Ends TLS, so that the server does not log a lost connection.
            Ok(0) => {
                timeout(WRITE_TIMEOUT, server.shutdown()).await.ok();
                return RelayEnd::Closed(io::ErrorKind::NotConnected.into());
            }
            Ok(length) => timeout(WRITE_TIMEOUT, write_all(server, &chunk[..length])).await,
            Err(error) => return error.into(),
        };
        match written {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.into(),
            Err(_) => return RelayEnd::Closed(io::ErrorKind::TimedOut.into()),
        }
    }
}

async fn write_all<S: AsyncWrite>(server: &mut WriteHalf<S>, bytes: &[u8]) -> io::Result<()> {
    server.write_all(bytes).await?;
    server.flush().await
}

/// Passes the responses of the server to ldap3, one complete message after the other.
async fn pass_messages<S: AsyncRead>(server: &mut ReadHalf<S>, client: &mut WriteHalf<UnixStream>) -> RelayEnd {
    let mut pending = Vec::new();
    loop {
        let mut complete = 0;
        let invalid = loop {
            match pdu::message_length(&pending[complete..]) {
                Ok(Some(length)) => complete += length,
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        // ldap3 may still be waiting for the messages before an invalid one.
        match timeout(WRITE_TIMEOUT, client.write_all(&pending[..complete])).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.into(),
            Err(_) => return RelayEnd::Closed(io::ErrorKind::TimedOut.into()),
        }
        if let Some(error) = invalid {
            return error.into();
        }
        pending.drain(..complete);
        pending.reserve(CHUNK);
        match server.read_buf(&mut pending).await {
            Ok(0) if pending.is_empty() => return RelayEnd::Closed(io::ErrorKind::UnexpectedEof.into()),
            Ok(0) => return PduError::Truncated.into(),
            Ok(_) => {}
            Err(error) => return error.into(),
        }
    }
}

#[cfg(test)]
mod tests;
