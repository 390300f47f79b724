//! Frames on the command socket: the length of the payload in four bytes (big endian), the kind in
//! one byte, and the payload.

use std::{io, time::Duration};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

/// The maximum length of a payload.
pub(in crate::cli) const MAX_PAYLOAD_BYTES: usize = 64 * 1024;

/// The longest time that a peer may take to read a frame. A client that stops reading must not keep
/// one of the few places for commands.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// The meaning of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Kind {
    /// The command to execute, as JSON. The only frame of the client.
    Request = 1,
    /// Bytes for standard output.
    Output = 2,
    /// Bytes for standard error.
    Notice = 3,
    /// The command succeeded. The last frame, without a payload.
    Success = 4,
    /// The command failed for the reason in the payload. The last frame.
    Failure = 5,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Request, Self::Output, Self::Notice, Self::Success, Self::Failure]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// Reads a frame.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] if the bytes are not a frame or the payload is too long, otherwise
/// the error of the connection.
pub(in crate::cli) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(Kind, Zeroizing<Vec<u8>>)> {
    let length = stream.read_u32().await?;
    let kind = Kind::from_byte(stream.read_u8().await?);
    let invalid = |text| io::Error::new(io::ErrorKind::InvalidData, text);
    let kind = kind.ok_or_else(|| invalid("unknown kind of frame"))?;
    let length = usize::try_from(length).ok().filter(|length| *length <= MAX_PAYLOAD_BYTES);
    let length = length.ok_or_else(|| invalid("the frame is too long"))?;
    let mut payload = Zeroizing::new(vec![0; length]);
    stream.read_exact(&mut payload).await?;
    Ok((kind, payload))
}

/// Writes bytes in frames of one kind: as many as their length needs. Output without bytes has no
/// frame. The last frame of a response is one, and cut if it is too long.
///
/// # Errors
/// The error of the connection, or that the peer did not read for [`WRITE_TIMEOUT`].
pub(in crate::cli) async fn write(stream: &mut (impl AsyncWrite + Unpin), kind: Kind, bytes: &[u8]) -> io::Result<()> {
    if matches!(kind, Kind::Success | Kind::Failure) {
        return write_one(stream, kind, &bytes[..bytes.len().min(MAX_PAYLOAD_BYTES)]).await;
    }
    for chunk in bytes.chunks(MAX_PAYLOAD_BYTES) {
        write_one(stream, kind, chunk).await?;
    }
    Ok(())
}

async fn write_one(stream: &mut (impl AsyncWrite + Unpin), kind: Kind, payload: &[u8]) -> io::Result<()> {
    let written = tokio::time::timeout(WRITE_TIMEOUT, write_unlimited(stream, kind, payload));
    written.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

async fn write_unlimited(stream: &mut (impl AsyncWrite + Unpin), kind: Kind, payload: &[u8]) -> io::Result<()> {
    stream.write_u32(u32::try_from(payload.len()).map_err(io::Error::other)?).await?;
    stream.write_u8(kind as u8).await?;
    stream.write_all(payload).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn long_output_is_split_and_other_bytes_are_rejected() {
        let text = vec![b'x'; 2 * MAX_PAYLOAD_BYTES + 1];
        let mut bytes = Vec::new();
        write(&mut bytes, Kind::Output, &text).await.unwrap();
        write(&mut bytes, Kind::Notice, b"").await.unwrap();
        write(&mut bytes, Kind::Success, b"").await.unwrap();
        let mut failure = Vec::new();
        write(&mut failure, Kind::Failure, b"").await.unwrap();
        assert_eq!(read(&mut failure.as_slice()).await.unwrap().0, Kind::Failure);
        let (mut rest, mut received) = (bytes.as_slice(), Vec::new());
        loop {
            match read(&mut rest).await.unwrap() {
                (Kind::Output, payload) => received.extend_from_slice(&payload),
                (kind, payload) => break assert!(kind == Kind::Success && payload.is_empty()),
            }
        }
        assert!(received == text && rest.is_empty());
        for (bytes, kind) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], io::ErrorKind::InvalidData),
            (b"\0\x01\0\x01\x01", io::ErrorKind::InvalidData),
            (b"\0\0\0\x01\x09x", io::ErrorKind::InvalidData),
            (b"\0\0\0\x02\x01x", io::ErrorKind::UnexpectedEof),
            (b"", io::ErrorKind::UnexpectedEof),
        ] {
            assert_eq!(read(&mut &*bytes).await.unwrap_err().kind(), kind, "{bytes:?}");
        }
    }
}
