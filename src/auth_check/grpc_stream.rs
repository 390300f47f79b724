//! A connection of gRPC that must begin as HTTP/2 does within its time, and whose client must take what is sent. Once it has begun,
//! HTTP/2's own pings find out whether the client is there.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use crate::http::{
    connection_limit::Place,
    io_timeout::{Alarm, too_slow},
};

/// Bytes that every connection of HTTP/2 begins with (RFC 9113, section 3.4): the preface, and the header of a SETTINGS frame.
const OPENING_BYTES: usize = 24 + 9;

/// A connection that has a place, with or without TLS.
pub(crate) struct GrpcStream {
    stream: Inner,
    _place: Place,
    /// Bytes of the opening that have not come.
    missing: usize,
    opening: Alarm,
    writing: Alarm,
    header: Duration,
    write: Duration,
}

enum Inner {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl GrpcStream {
    /// `header` is how long the opening may take, `write` how long the client may take nothing of what is sent.
    pub(crate) fn plain(stream: TcpStream, place: Place, header: Duration, write: Duration) -> Self {
        Self::new(Inner::Plain(stream), place, header, write)
    }

    /// The same after a handshake.
    pub(crate) fn tls(stream: TlsStream<TcpStream>, place: Place, header: Duration, write: Duration) -> Self {
        Self::new(Inner::Tls(Box::new(stream)), place, header, write)
    }

    fn new(stream: Inner, place: Place, header: Duration, write: Duration) -> Self {
        let (opening, writing) = (Alarm::set(header), Alarm::default());
        Self { stream, _place: place, missing: OPENING_BYTES, opening, writing, header, write }
    }
}

impl Connected for GrpcStream {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for GrpcStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let read = match &mut this.stream {
            Inner::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Inner::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        if this.missing == 0 {
            return read;
        }
        this.missing = this.missing.saturating_sub(buf.filled().len() - before);
        if this.missing == 0 {
            this.opening.clear();
        } else if read.is_pending() && this.opening.is_over(this.header, cx) {
            return too_slow();
        }
        read
    }
}

impl AsyncWrite for GrpcStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = match &mut this.stream {
            Inner::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Inner::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        };
        this.writing.judge(written, this.write, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let flushed = match &mut this.stream {
            Inner::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Inner::Tls(stream) => Pin::new(stream).poll_flush(cx),
        };
        this.writing.judge(flushed, this.write, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let shut = match &mut this.stream {
            Inner::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Inner::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        };
        this.writing.judge(shut, this.write, cx)
    }
}
