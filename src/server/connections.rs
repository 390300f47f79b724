//! Connections: accepting them, limiting the time they may take, and letting them finish.

use std::{convert::Infallible, error::Error, time::Duration};

use hyper::{
    Request, Response,
    body::{Body, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown};
use tokio::net::{TcpListener, TcpStream};

use super::patience::Patience;
use crate::config::Http;

/// The header block of a request, request line included; over it the answer is 431.
const MAX_HEADER_BYTES: usize = 32 * 1024;
/// Header fields of a request; over it the answer is 431.
const MAX_HEADER_FIELDS: usize = 100;
/// How long to wait when no connection can be accepted, for want of file descriptors for instance.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections until `stop` completes, then accepts no more and waits for the requests under way.
pub(super) async fn serve<A, F, B>(listener: TcpListener, answer: A, limits: &Http, stop: impl Future<Output = ()>)
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let mut http = http1::Builder::new();
    // axum's own `serve` sets no limit to how slowly a header may come.
    http.header_read_timeout(Duration::from_millis(limits.header_timeout_ms))
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADER_FIELDS);
    let open = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            stream = accept(&listener) => {
                let connection = http.clone().timer(Patience::default()).serve_connection(TokioIo::new(stream), service_fn(answer.clone()));
                let connection = open.watch(connection);
                tokio::spawn(async move {
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

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are small; waiting to fill a packet would only delay them.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "cannot set TCP_NODELAY");
                }
                return stream;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
