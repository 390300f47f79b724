//! The port of the metrics.

use std::{fmt, net::SocketAddr, sync::Arc};

use axum::{
    http::{Method, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use hyper::{Request, body::Incoming};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
    task::JoinHandle,
};

use crate::{
    config::HttpConfig,
    http::{
        client_ip::TrustedProxies, connection_limit::ConnectionLimiter, file_limit::ConnectionLimits, host, listener,
        socket,
    },
};

/// The content type of the OpenMetrics text format.
const OPENMETRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The listening metrics port.
pub(crate) struct MetricsListener(TcpListener);

impl MetricsListener {
    /// Starts to listen on a bound socket.
    pub(crate) fn listen(socket: TcpSocket) -> anyhow::Result<Self> {
        Ok(Self(socket::listen(socket)?))
    }

    /// Returns the address of the port.
    pub(crate) fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.0.local_addr()?)
    }

    /// Serves `GET /metrics` until `stopped` changes.
    pub(crate) fn serve(
        self,
        registry: Registry,
        limits: HttpConfig,
        connection_limits: ConnectionLimits,
        mut stopped: watch::Receiver<()>,
    ) -> JoinHandle<()> {
        let registry = Arc::new(registry);
        let handler = move |request: Request<Incoming>, _| std::future::ready(Ok(metrics_response(&registry, request)));
        tokio::spawn(async move {
            let stop = async move {
                stopped.changed().await.ok();
            };
            let limiter =
                ConnectionLimiter::new(connection_limits.total, connection_limits.per_ip, TrustedProxies::default());
            listener::serve(self.0, handler, &limits, &limiter, stop).await;
        })
    }
}

/// Returns the response to a request on the metrics port.
fn metrics_response(registry: &Registry, mut request: Request<Incoming>) -> Response {
    if host::normalize_host(&mut request).is_err() {
        return StatusCode::BAD_REQUEST.into_response();
    }
    if (request.method(), request.uri().path()) != (&Method::GET, "/metrics") {
        return StatusCode::NOT_FOUND.into_response();
    }
    let mut text = String::new();
    match encode(&mut text, registry) {
        Ok(()) => ([(CONTENT_TYPE, OPENMETRICS_CONTENT_TYPE)], text).into_response(),
        Err(fmt::Error) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
