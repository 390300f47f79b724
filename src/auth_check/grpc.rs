//! The gRPC listener of Envoy's auth checks, with health checking and optional TLS.

use std::{net::SocketAddr, path::Path, pin::Pin, sync::Arc, task::Poll, time::Duration};

use anyhow::Context as _;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tonic::{codegen::tokio_stream::Stream, server::NamedService as _, transport::Server};

use super::{envoy_service::AuthorizationServer, grpc_stream::GrpcStream};
use crate::http::{
    connection_limit::{ConnectionLimiter, ConnectionPermit},
    listener::{SHUTDOWN_IDLE_TIMEOUT, accept, accept_backlog},
    socket,
};
use crate::{
    app::App,
    auth_check::{AuthCheckCounters, ExtAuthz},
    config::{Config, HttpConfig},
    domain::causes::Causes,
};

/// The maximum number of concurrent checks on one connection.
const MAX_STREAMS: u32 = 256;
/// The maximum size of the header fields of a call. The client's headers are in the body.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// The capacity of the queue between accepting connections and tonic.
const READY_QUEUE_CAPACITY: usize = 16;

/// The bound gRPC port, not yet listening.
pub(crate) struct GrpcPort {
    socket: TcpSocket,
    tls: Option<TlsAcceptor>,
}

/// The listening gRPC port.
pub(crate) struct GrpcListener {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl GrpcPort {
    /// Binds the port, if it is configured.
    pub(crate) fn bind(config: &Config) -> anyhow::Result<Option<Self>> {
        let Some(address) = config.listen.ext_authz else { return Ok(None) };
        let socket = socket::bind("listen.ext_authz", address)?;
        let tls = match (&config.listen.ext_authz_certificate, &config.listen.ext_authz_key) {
            (Some(certificate), Some(key)) => Some(tls_acceptor(certificate, key)?),
            _ => None,
        };
        Ok(Some(Self { socket, tls }))
    }

    pub(crate) fn listen(self) -> anyhow::Result<GrpcListener> {
        Ok(GrpcListener { listener: socket::listen(self.socket)?, tls: self.tls })
    }
}

/// Creates a TLS acceptor from a certificate chain and a key (PEM).
fn tls_acceptor(certificate: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let (certificate, key) = (read(certificate)?, read(key)?);
    let config = || -> anyhow::Result<ServerConfig> {
        let chain = CertificateDer::pem_slice_iter(&certificate).collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(&key)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(builder.with_no_client_auth().with_single_cert(chain, key)?)
    };
    let mut config = config().context("invalid certificate or key of the ext_authz port")?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

impl GrpcListener {
    pub(crate) fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Serves checks until `stopped` becomes true, then finishes checks in progress.
    pub(crate) fn serve(
        self,
        app: &App,
        config: &Config,
        limiter: ConnectionLimiter,
        counters: AuthCheckCounters,
        stopped: watch::Receiver<bool>,
    ) -> JoinHandle<()> {
        let (health, health_service) = tonic_health::server::health_reporter();
        let mut server = server_builder(&config.http);
        let checks = AuthorizationServer(ExtAuthz::with_counters(app, config, counters));
        let router = server.add_service(health_service).add_service(checks);
        let (ready_sender, incoming) = mpsc::channel(READY_QUEUE_CAPACITY);
        let (accept_done, accept_finished) = oneshot::channel::<()>();
        let connections = ConnectionAcceptor { limiter, tls: self.tls, limits: config.http.clone(), ready_sender };
        tokio::spawn(async move {
            connections.accept_until_stopped(self.listener, stopped).await;
            drop(accept_done);
        });
        tokio::spawn(async move {
            health.set_service_status(AuthorizationServer::NAME, tonic_health::ServingStatus::Serving).await;
            let stop = async move {
                accept_finished.await.ok();
            };
            if let Err(error) = router.serve_with_incoming_shutdown(Incoming(incoming), stop).await {
                tracing::error!(error = %Causes(&error), "the ext_authz server failed");
            }
        })
    }
}

/// Returns a server that closes connections to unresponsive clients: one that does not acknowledge
/// a ping is closed within two thirds of `http.idle_timeout`.
fn server_builder(limits: &HttpConfig) -> Server {
    let third = limits.idle_timeout.get() / 3;
    Server::builder()
        .timeout(limits.request_timeout.get())
        .http2_keepalive_interval(Some(third))
        .http2_keepalive_timeout(Some(third))
        .max_concurrent_streams(MAX_STREAMS)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
}

/// Accepts connections within the limits and passes them to tonic.
struct ConnectionAcceptor {
    limiter: ConnectionLimiter,
    tls: Option<TlsAcceptor>,
    limits: HttpConfig,
    ready_sender: mpsc::Sender<GrpcStream>,
}

impl ConnectionAcceptor {
    async fn accept_until_stopped(self, listener: TcpListener, mut stopped: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                (stream, peer) = accept(&listener) => self.spawn_connection(stream, peer),
                _ = stopped.wait_for(|is_stopped| *is_stopped) => break,
            }
        }
        for (stream, peer) in accept_backlog(listener) {
            self.spawn_connection(stream, peer);
        }
        // Clients that have just connected may still send a request. HTTP/2's own shutdown handles
        // the rest.
        tokio::time::sleep(SHUTDOWN_IDLE_TIMEOUT).await;
    }

    fn spawn_connection(&self, stream: TcpStream, peer: SocketAddr) {
        let Some(permit) = self.limiter.try_acquire(peer.ip()) else {
            return tracing::debug!(%peer, "rejected a gRPC connection: connection limit reached");
        };
        let (tls, ready_sender) = (self.tls.clone(), self.ready_sender.clone());
        let header = self.limits.header_timeout.get();
        let write = self.limits.idle_timeout.get();
        tokio::spawn(async move {
            match open_stream(stream, tls, permit, header, write).await {
                Ok(stream) => drop(ready_sender.send(stream).await),
                Err(error) => tracing::debug!(%peer, %error, "failed to open a gRPC connection"),
            }
        });
    }
}

/// Opens a stream, with a TLS handshake if configured. Handshake and HTTP/2 preface each have the
/// header timeout.
async fn open_stream(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    permit: ConnectionPermit,
    header: Duration,
    write: Duration,
) -> std::io::Result<GrpcStream> {
    let Some(tls) = tls else { return Ok(GrpcStream::plain(stream, permit, header, write)) };
    let stream = timeout(header, tls.accept(stream)).await.map_err(std::io::Error::other)??;
    Ok(GrpcStream::tls(stream, permit, header, write))
}

/// The stream of accepted connections that tonic serves.
struct Incoming(mpsc::Receiver<GrpcStream>);

impl Stream for Incoming {
    type Item = std::io::Result<GrpcStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|stream| stream.map(Ok))
    }
}
