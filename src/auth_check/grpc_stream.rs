//! A gRPC connection with timeouts for the HTTP/2 preface and for writes. After the preface, HTTP/2
//! pings detect unresponsive clients.

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
    connection_limit::ConnectionPermit,
    io_timeout::{LazyTimeout, timed_out},
};

/// The number of bytes with which each HTTP/2 connection starts (RFC 9113, section 3.4): the
/// preface and the header of a SETTINGS frame.
const PREFACE_BYTES: usize = 24 + 9;

/// A connection with a permit, with or without TLS.
pub(crate) struct GrpcStream {
    stream: Inner,
    _permit: ConnectionPermit,
    /// The number of preface bytes not received yet.
    missing_preface_bytes: usize,
    preface_timer: LazyTimeout,
    write_timer: LazyTimeout,
    preface_timeout: Duration,
    write_timeout: Duration,
}

enum Inner {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl GrpcStream {
    /// Creates a stream without TLS. `header` limits the time to the HTTP/2 preface, `write` the
    /// time in which the client reads nothing.
    pub(crate) fn plain(stream: TcpStream, permit: ConnectionPermit, header: Duration, write: Duration) -> Self {
        Self::new(Inner::Plain(stream), permit, header, write)
    }

    /// Creates a stream after a TLS handshake. The timeouts are those of [`Self::plain`].
    pub(crate) fn tls(
        stream: TlsStream<TcpStream>,
        permit: ConnectionPermit,
        header: Duration,
        write: Duration,
    ) -> Self {
        Self::new(Inner::Tls(Box::new(stream)), permit, header, write)
    }

    fn new(stream: Inner, permit: ConnectionPermit, header: Duration, write: Duration) -> Self {
        let (preface_timer, write_timer) = (LazyTimeout::start(header), LazyTimeout::default());
        Self {
            stream,
            _permit: permit,
            missing_preface_bytes: PREFACE_BYTES,
            preface_timer,
            write_timer,
            preface_timeout: header,
            write_timeout: write,
        }
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
        if this.missing_preface_bytes == 0 {
            return read;
        }
        this.missing_preface_bytes = this.missing_preface_bytes.saturating_sub(buf.filled().len() - before);
        if this.missing_preface_bytes == 0 {
            this.preface_timer.reset();
        } else if read.is_pending() && this.preface_timer.has_elapsed(this.preface_timeout, cx) {
            return timed_out();
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
        this.write_timer.check_write(written, this.write_timeout, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let flushed = match &mut this.stream {
            Inner::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Inner::Tls(stream) => Pin::new(stream).poll_flush(cx),
        };
        this.write_timer.check_write(flushed, this.write_timeout, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let shut = match &mut this.stream {
            Inner::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Inner::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        };
        this.write_timer.check_write(shut, this.write_timeout, cx)
    }
}
