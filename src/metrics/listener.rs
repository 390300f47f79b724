//! The port of the metrics, with health checks for programs that reach only this port.

use std::{fmt, net::SocketAddr, sync::Arc};

use axum::{
    http::{
        Method, StatusCode,
        header::{ACCEPT, CONTENT_TYPE},
    },
    response::{IntoResponse as _, Response},
};
use hyper::{Request, body::Incoming};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
    task::JoinHandle,
};

use super::text_format;
use crate::{
    config::HttpConfig,
    http::{
        ApiError, client_ip::TrustedProxies, connection_limit::ConnectionLimiter, file_limit::ConnectionLimits, host,
        listener, socket,
    },
    service::health::Health,
};

/// The listening metrics port.
pub(crate) struct MetricsListener(TcpListener);

/// The data behind the endpoints of the port.
struct Endpoints {
    registry: Registry,
    health: Health,
}

impl MetricsListener {
    /// Starts to listen on a bound socket.
    pub(crate) fn listen(socket: TcpSocket) -> anyhow::Result<Self> {
        Ok(Self(socket::listen(socket)?))
    }

    /// Returns the address of the port.
    pub(crate) fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.0.local_addr()?)
    }

    /// Serves `GET /metrics` and the health checks until `stopped` changes.
    pub(crate) fn serve(
        self,
        registry: Registry,
        health: Health,
        limits: HttpConfig,
        connection_limits: ConnectionLimits,
        mut stopped: watch::Receiver<()>,
    ) -> JoinHandle<()> {
        let endpoints = Arc::new(Endpoints { registry, health });
        let handler = move |request: Request<Incoming>, _| {
            let endpoints = Arc::clone(&endpoints);
            Box::pin(async move { Ok(endpoints.respond(request).await) })
        };
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

impl Endpoints {
    /// Returns the response to a request on the metrics port.
    async fn respond(&self, mut request: Request<Incoming>) -> Response {
        if host::normalize_host(&mut request).is_err() {
            return StatusCode::BAD_REQUEST.into_response();
        }
        // The body is dropped before the first wait.
        let (parts, _) = request.into_parts();
        if parts.method != Method::GET {
            return StatusCode::NOT_FOUND.into_response();
        }
        match parts.uri.path() {
            "/metrics" => {
                let accept = parts.headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
                self.metrics(accept.unwrap_or_default())
            }
            "/health/live" => "ok\n".into_response(),
            "/health/ready" => match self.health.check().await {
                Ok(()) => "ok\n".into_response(),
                Err(error) => ApiError::NotReady(error).into_response(),
            },
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }

    fn metrics(&self, accept: &str) -> Response {
        let mut openmetrics = String::new();
        match encode(&mut openmetrics, &self.registry) {
            Ok(()) => {
                let (content_type, text) = text_format::negotiate(openmetrics, accept);
                ([(CONTENT_TYPE, content_type)], text).into_response()
            }
            Err(fmt::Error) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}
