//! Connections: accepting them, limiting how many there are and the time they may take, and letting them finish.

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
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};

use super::{
    connection_limit::Crowd,
    io_timeout::{Paced, Phase},
    response_progress::{Answering, Stopping},
    reusable_timer::Patience,
};
use crate::{
    config::Http,
    http::{HEADER_LIMIT, URI_LIMIT},
};

/// How much hyper reads for the head of a request: more than what is taken, so that the client gets a response that names the limit.
const MAX_HEAD_BYTES: usize = 2 * (HEADER_LIMIT + URI_LIMIT);
/// Header fields of a request; over it the answer is 431.
const MAX_HEADER_FIELDS: usize = 64;
/// How long a connection may stay silent once the service is to stop. Every response announces the end of its connection from then
/// on; only a connection that sends no request within this time ends unannounced.
pub(crate) const LINGER: Duration = Duration::from_millis(500);
/// How long to wait when no connection can be accepted, for want of file descriptors for instance.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections for which there is room until `stop` completes, then accepts no more and waits for the requests under way.
pub(crate) async fn serve<A, F, B>(
    listener: TcpListener,
    answer: A,
    limits: &Http,
    crowd: &Crowd,
    stop: impl Future<Output = ()>,
) where
    A: Fn(Request<Incoming>, IpAddr) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Response<B>, Infallible>> + Send + Unpin + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static,
{
    let mut http = http1::Builder::new();
    // hyper counts from the end of the request before: this is how long a connection may idle.
    http.header_read_timeout(Duration::from_millis(limits.idle_timeout_ms))
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADER_FIELDS);
    let (header, idle) =
        (Duration::from_millis(limits.header_timeout_ms), Duration::from_millis(limits.idle_timeout_ms));
    let stopping = Stopping::default();
    let (announce, announced) = watch::channel(false);
    let begin = |stream: TcpStream, peer: SocketAddr| {
        let Some(place) = crowd.enter(peer.ip()) else {
            return tracing::debug!(%peer, "no room for another connection");
        };
        let (phase, answer, stopping) = (Phase::new(), answer.clone(), stopping.clone());
        let paced = Paced::new(stream, phase.clone(), header, idle);
        let answered = phase.clone();
        let service = service_fn(move |request| {
            answered.begin();
            Answering::new(answer(request, peer.ip()), answered.clone(), stopping.clone())
        });
        let connection = http.clone().timer(Patience::default()).serve_connection(TokioIo::new(paced), service);
        let announced = announced.clone();
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = attend(connection, &phase, announced).await {
                // Clients that hang up or send nonsense: their business, but worth seeing when looking for it.
                tracing::debug!(%error, "connection closed");
            }
        });
    };
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            (stream, peer) = accept(&listener) => begin(stream, peer),
            () = &mut stop => break,
        }
    }
    stopping.begin();
    announce.send_replace(true);
    // The operating system has accepted these, and would reset them.
    for (stream, peer) in waiting(listener) {
        begin(stream, peer);
    }
    drop(announced);
    let patience = Duration::from_millis(limits.shutdown_timeout_ms);
    if timeout(patience, announce.closed()).await.is_err() {
        tracing::warn!("requests were still under way after {} ms", patience.as_millis());
    }
}

/// Drives a connection to its end. Once the stop is announced, the connection ends after its next response, or when it has been silent
/// for [`LINGER`]; a request that has reached the socket by then is answered first.
async fn attend<C: Future>(connection: C, phase: &Phase, mut announced: watch::Receiver<bool>) -> C::Output {
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        done = &mut connection => return done,
        _ = announced.wait_for(|is_announced| *is_announced) => {}
    }
    loop {
        let before = phase.moves();
        if let Ok(done) = timeout(LINGER, &mut connection).await {
            return done;
        }
        if phase.moves() == before
            && let Poll::Ready(done) = leave(connection.as_mut(), phase).await
        {
            return done;
        }
    }
}

/// Polls the connection once, and lets it end if no request is under way.
async fn leave<C: Future>(mut connection: Pin<&mut C>, phase: &Phase) -> Poll<C::Output> {
    std::future::poll_fn(|cx| Poll::Ready(phase.leave_during(|| connection.as_mut().poll(cx)))).await
}

/// The connections that the operating system has accepted already. It is asked directly: the runtime hears of them later.
pub(crate) fn waiting(listener: TcpListener) -> Vec<(TcpStream, SocketAddr)> {
    let Ok(listener) = listener.into_std() else { return Vec::new() };
    let accepted = std::iter::from_fn(|| listener.accept().ok());
    let ready = accepted.filter_map(|(stream, peer)| {
        stream.set_nonblocking(true).ok()?;
        let stream = TcpStream::from_std(stream).ok()?;
        hurry(&stream);
        Some((stream, peer))
    });
    ready.collect()
}

/// Accepts a connection, however long that takes.
pub(crate) async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                hurry(&stream);
                return (stream, peer);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Sends at once what is written: responses are small, and waiting to fill a packet would only delay them.
fn hurry(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
}
