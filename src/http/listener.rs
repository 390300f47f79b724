//! HTTP/1 connections: accept, connection limits, timeouts and graceful shutdown.

use std::{
    convert::Infallible,
    error::Error,
    net::{IpAddr, SocketAddr},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use hyper::{
    Request, Response,
    body::{Body, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};

use super::{
    connection_limit::ConnectionLimiter,
    io_timeout::{ConnectionPhase, TimeoutStream},
    response_progress::{PhaseFuture, ShutdownFlag},
};
use crate::{
    config::HttpConfig,
    http::{HEADER_LIMIT, URI_LIMIT},
};

/// The size of hyper's read buffer for a request head. It exceeds the limits of this service, so
/// that the client receives a response that states the limit.
const MAX_HEAD_BYTES: usize = 2 * (HEADER_LIMIT + URI_LIMIT);
/// The maximum number of header fields. hyper responds with 431 to more.
const MAX_HEADER_FIELDS: usize = 64;
/// The time after which an idle connection is closed during shutdown. Responses announce the close
/// of their connection meanwhile; only a connection without a request in this time is closed
/// unannounced.
pub(crate) const SHUTDOWN_IDLE_TIMEOUT: Duration = Duration::from_millis(500);
/// The delay after a failed accept, for example for lack of file descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// Serves connections within the limits until `stop` completes. Then accepts no more connections
/// and waits for requests in progress, up to `http.shutdown_timeout`.
pub(crate) async fn serve<A, F, B>(
    listener: TcpListener,
    handler: A,
    limits: &HttpConfig,
    limiter: &ConnectionLimiter,
    stop: impl Future<Output = ()>,
) where
    A: Fn(Request<Incoming>, IpAddr) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Response<B>, Infallible>> + Send + Unpin + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static,
{
    let mut builder = http1::Builder::new();
    // hyper starts this timeout at the end of the previous request, so it limits the idle time.
    builder.header_read_timeout(limits.idle_timeout.get()).max_buf_size(MAX_HEAD_BYTES).max_headers(MAX_HEADER_FIELDS);
    let (header, idle) = (limits.header_timeout.get(), limits.idle_timeout.get());
    let shutdown = ShutdownFlag::default();
    let (closing, closing_receiver) = watch::channel(false);
    let spawn_connection = |stream: TcpStream, peer: SocketAddr| {
        let Some(permit) = limiter.try_acquire(peer.ip()) else {
            return tracing::debug!(%peer, "rejected a connection: connection limit reached");
        };
        let (phase, handler, shutdown) = (ConnectionPhase::new(), handler.clone(), shutdown.clone());
        let stream = TimeoutStream::new(stream, phase.clone(), header, idle);
        let service_phase = phase.clone();
        let service = service_fn(move |request| {
            service_phase.start_request();
            PhaseFuture::new(handler(request, peer.ip()), service_phase.clone(), shutdown.clone())
        });
        let connection = builder.clone().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
        let closing_receiver = closing_receiver.clone();
        tokio::spawn(async move {
            let _permit = permit;
            if let Err(error) = drive_connection(connection, &phase, closing_receiver).await {
                // Disconnects and invalid requests are client errors, of interest only for
                // debugging.
                tracing::debug!(%error, "connection closed");
            }
        });
    };
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            (stream, peer) = accept(&listener) => spawn_connection(stream, peer),
            () = &mut stop => break,
        }
    }
    shutdown.set();
    closing.send_replace(true);
    // The operating system has already accepted these connections and would reset them.
    for (stream, peer) in accept_backlog(listener) {
        spawn_connection(stream, peer);
    }
    drop(closing_receiver);
    let shutdown_timeout = limits.shutdown_timeout.get();
    if timeout(shutdown_timeout, closing.closed()).await.is_err() {
        tracing::warn!(
            timeout_ms = shutdown_timeout.as_millis(),
            "shutdown timeout exceeded; aborting requests in progress"
        );
    }
}

/// Drives a connection to its end. During shutdown, the connection closes after its next response
/// or after [`SHUTDOWN_IDLE_TIMEOUT`]. A request that has reached the socket by then is served
/// first.
async fn drive_connection<C: Future>(
    connection: C,
    phase: &ConnectionPhase,
    mut closing_receiver: watch::Receiver<bool>,
) -> C::Output {
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        output = &mut connection => return output,
        _ = closing_receiver.wait_for(|is_closing| *is_closing) => {}
    }
    loop {
        let transitions = phase.transitions();
        if let Ok(output) = timeout(SHUTDOWN_IDLE_TIMEOUT, &mut connection).await {
            return output;
        }
        if phase.transitions() == transitions
            && let Poll::Ready(output) = poll_closing(connection.as_mut(), phase).await
        {
            return output;
        }
    }
}

/// Polls the connection once and lets it close if no request is in progress.
async fn poll_closing<C: Future>(mut connection: Pin<&mut C>, phase: &ConnectionPhase) -> Poll<C::Output> {
    std::future::poll_fn(|cx| Poll::Ready(phase.with_closing(|| connection.as_mut().poll(cx)))).await
}

/// Returns the connections in the listen backlog. They are read from the operating system directly,
/// because the runtime learns of them later.
pub(crate) fn accept_backlog(listener: TcpListener) -> Vec<(TcpStream, SocketAddr)> {
    let Ok(listener) = listener.into_std() else { return Vec::new() };
    let accepted = std::iter::from_fn(|| listener.accept().ok());
    let ready = accepted.filter_map(|(stream, peer)| {
        stream.set_nonblocking(true).ok()?;
        let stream = TcpStream::from_std(stream).ok()?;
        set_nodelay(&stream);
        Some((stream, peer))
    });
    ready.collect()
}

/// Accepts the next connection; retries after errors.
pub(crate) async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                set_nodelay(&stream);
                return (stream, peer);
            }
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

/// Disables Nagle's algorithm: responses are small, and waiting for a full packet delays them.
fn set_nodelay(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "failed to set TCP_NODELAY");
    }
}
