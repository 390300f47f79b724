//! Connections: accepting them, limiting how many there are and the time they may take, and letting them finish.

use std::{
    convert::Infallible,
    error::Error,
    net::{IpAddr, SocketAddr},
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
    pace::{Paced, Phase, Timed},
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
/// How long connections go on as before once the service is to stop. Whoever has sent a request has a right to an answer, also on
/// a connection whose first byte has not been read yet: that one would be closed at once.
const LINGER: Duration = Duration::from_millis(100);
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
    let begin = |(stream, peer): (TcpStream, SocketAddr)| {
        let Some(place) = crowd.enter(peer.ip()) else {
            return tracing::debug!(%peer, "no room for another connection");
        };
        let (phase, answer) = (Phase::new(), answer.clone());
        let paced = Paced::new(stream, phase.clone(), header, idle);
        let service = service_fn(move |request| {
            phase.begin();
            Timed::new(answer(request, peer.ip()), phase.clone())
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
    };
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            accepted = accept(&listener) => begin(accepted),
            () = &mut stop => break,
        }
    }
    // The operating system has accepted these, and would reset them.
    while let Some(stream) = waiting(&listener).await {
        begin(stream);
    }
    drop(listener);
    tokio::time::sleep(LINGER).await;
    let patience = Duration::from_millis(limits.shutdown_timeout_ms);
    if tokio::time::timeout(patience, open.shutdown()).await.is_err() {
        tracing::warn!("requests were still under way after {} ms", patience.as_millis());
    }
}

/// A connection that waits already.
async fn waiting(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    tokio::select! {
        biased;
        accepted = accept(listener) => Some(accepted),
        () = std::future::ready(()) => None,
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
