//! Connections: accepting them, limiting how many there are and the time they may take, and letting them finish.

use std::{
    convert::Infallible,
    error::Error,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper::{
    Request, Response,
    body::{Body, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown};
use tokio::net::{TcpListener, TcpStream};

use super::{
    crowd::Crowd,
    pace::{Paced, Phase},
    patience::Patience,
};
use crate::{
    config::Http,
    entry::{HEADER_LIMIT, URI_LIMIT},
};

/// How much hyper reads for the head of a request: more than what is taken, so that whoever sends too much is told so.
const MAX_HEAD_BYTES: usize = 2 * (HEADER_LIMIT + URI_LIMIT);
/// Header fields of a request; over it the answer is 431.
const MAX_HEADER_FIELDS: usize = 64;
/// How long to wait when no connection can be accepted, for want of file descriptors for instance.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections for which there is room until `stop` completes, then accepts no more and waits for the requests under way.
pub(super) async fn serve<A, F, B>(
    listener: TcpListener,
    answer: A,
    limits: &Http,
    crowd: &Crowd,
    stop: impl Future<Output = ()>,
) where
    A: Fn(Request<Incoming>, IpAddr) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Response<B>, Infallible>> + Send + Unpin + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let mut http = http1::Builder::new();
    // hyper counts from the end of the request before: this is how long a connection may idle.
    http.header_read_timeout(Duration::from_millis(limits.idle_timeout_ms))
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADER_FIELDS);
    let (header, idle) =
        (Duration::from_millis(limits.header_timeout_ms), Duration::from_millis(limits.idle_timeout_ms));
    let open = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            (stream, peer) = accept(&listener) => {
                let Some(place) = crowd.enter(peer.ip()) else {
                    tracing::debug!(%peer, "no room for another connection");
                    continue;
                };
                let (phase, answer) = (Phase::new(), answer.clone());
                let paced = Paced::new(stream, phase.clone(), header, idle);
                let service = service_fn(move |request| {
                    phase.begin();
                    Timed { answer: answer(request, peer.ip()), phase: phase.clone() }
                });
                let connection = http.clone().timer(Patience::default()).serve_connection(TokioIo::new(paced), service);
                let connection = open.watch(connection);
                tokio::spawn(async move {
                    let _place = place;
                    if let Err(error) = connection.await {
                        // Clients that hang up or send nonsense: their business, but worth seeing when looking for it.
                        tracing::debug!(%error, "connection closed");
                    }
                });
            }
            () = &mut stop => break,
        }
    }
    drop(listener);
    let patience = Duration::from_millis(limits.shutdown_timeout_ms);
    if tokio::time::timeout(patience, open.shutdown()).await.is_err() {
        tracing::warn!("requests were still under way after {} ms", patience.as_millis());
    }
}

/// An answer on its way; when it is there, the next request may come.
struct Timed<F> {
    answer: F,
    phase: Phase,
}

impl<F: Future + Unpin> Future for Timed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let done = Pin::new(&mut self.answer).poll(cx);
        if done.is_ready() {
            self.phase.end();
        }
        done
    }
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Answers are small; waiting to fill a packet would only delay them.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "cannot set TCP_NODELAY");
                }
                return (stream, peer);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
