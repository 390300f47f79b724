//! Connections: accepting them, limiting the time they may take, and letting them finish.

use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::net::{TcpListener, TcpStream};

use super::Service;
use crate::config::Http;

/// The header block of a request, request line included; over it the answer is 431.
const MAX_HEADER_BYTES: usize = 32 * 1024;
/// Header fields of a request; over it the answer is 431.
const MAX_HEADER_FIELDS: usize = 100;
/// How long to wait when no connection can be accepted, for want of file descriptors for instance.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections until `stop` completes, then accepts no more and waits for the requests under way.
pub(super) async fn serve(listener: TcpListener, service: Service, limits: &Http, stop: impl Future<Output = ()>) {
    let mut http = http1::Builder::new();
    // axum's own `serve` sets no limit to how slowly a header may come.
    http.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits.header_timeout_ms))
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADER_FIELDS);
    let open = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            stream = accept(&listener) => {
                let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service.clone()));
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
    tracing::info!("stopping: finishing the requests under way");
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
