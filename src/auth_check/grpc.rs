//! The listener for Envoy's gRPC checks, with health checking and, where certificates are given, TLS.

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
use tonic::{codegen::tokio_stream::Stream, transport::Server};

use super::grpc_stream::GrpcStream;
use crate::http::{
    connection_limit::{Crowd, Place},
    listener::{LINGER, accept, waiting},
    ports,
};
use crate::{
    app::App,
    auth_check::ExtAuthz,
    config::{Config, Http},
};

/// Most checks at once on one connection.
const MAX_STREAMS: u32 = 256;
/// Most bytes of the header fields of a call. What the client sent to Envoy is in its body.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// Connections that have spoken and wait to be taken over.
const READY: usize = 16;

/// The port of the gRPC checks, taken and not yet answering.
pub(crate) struct GrpcPort {
    socket: TcpSocket,
    tls: Option<TlsAcceptor>,
}

/// The same, listening.
pub(crate) struct GrpcListener {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl GrpcPort {
    /// Takes the port, if the configuration names one.
    pub(crate) fn bind(config: &Config) -> anyhow::Result<Option<Self>> {
        let Some(address) = config.listen.ext_authz else { return Ok(None) };
        let socket = ports::bind(address)?;
        let tls = match (&config.listen.ext_authz_certificate, &config.listen.ext_authz_key) {
            (Some(certificate), Some(key)) => Some(acceptor(certificate, key)?),
            _ => None,
        };
        Ok(Some(Self { socket, tls }))
    }

    pub(crate) fn listen(self) -> anyhow::Result<GrpcListener> {
        Ok(GrpcListener { listener: ports::listen(self.socket)?, tls: self.tls })
    }
}

/// TLS by a certificate chain and a key (PEM).
fn acceptor(certificate: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let (certificate, key) = (read(certificate)?, read(key)?);
    let config = || -> anyhow::Result<ServerConfig> {
        let chain = CertificateDer::pem_slice_iter(&certificate).collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(&key)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(builder.with_no_client_auth().with_single_cert(chain, key)?)
    };
    let mut config = config().context("the certificate for Envoy's checks cannot be used")?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

impl GrpcListener {
    pub(crate) fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Answers until `stopped` becomes true, then finishes what runs.
    pub(crate) fn serve(
        self,
        app: &App,
        config: &Config,
        crowd: Crowd,
        stopped: watch::Receiver<bool>,
    ) -> JoinHandle<()> {
        let (health, health_service) = tonic_health::server::health_reporter();
        let mut server = server(&config.http);
        let served = server.add_service(health_service).add_service(ExtAuthz::server(app, &config.delegate));
        let (ready, incoming) = mpsc::channel(READY);
        let (finish, finished) = oneshot::channel::<()>();
        let connections = Connections { crowd, tls: self.tls, limits: config.http.clone(), ready };
        tokio::spawn(async move {
            connections.accept_until(self.listener, stopped).await;
            drop(finish);
        });
        tokio::spawn(async move {
            health
                .set_service_status("envoy.service.auth.v3.Authorization", tonic_health::ServingStatus::Serving)
                .await;
            let stop = async move {
                finished.await.ok();
            };
            if let Err(error) = served.serve_with_incoming_shutdown(Incoming(incoming), stop).await {
                tracing::error!(error = ?anyhow::Error::from(error), "Envoy's checks are no longer answered");
            }
        })
    }
}

/// A server whose connections are closed when their clients fall silent: what does not acknowledge a ping is gone within two thirds of
/// the time that a connection may idle.
fn server(limits: &Http) -> Server {
    let third = Duration::from_millis(limits.idle_timeout_ms) / 3;
    Server::builder()
        .timeout(Duration::from_millis(limits.request_timeout_ms))
        .http2_keepalive_interval(Some(third))
        .http2_keepalive_timeout(Some(third))
        .max_concurrent_streams(MAX_STREAMS)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
}

/// Accepts connections, and passes on those that begin as HTTP/2 does.
struct Connections {
    crowd: Crowd,
    tls: Option<TlsAcceptor>,
    limits: Http,
    ready: mpsc::Sender<GrpcStream>,
}

impl Connections {
    async fn accept_until(self, listener: TcpListener, mut stopped: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                (stream, peer) = accept(&listener) => self.begin(stream, peer),
                _ = stopped.wait_for(|is_stopped| *is_stopped) => break,
            }
        }
        for (stream, peer) in waiting(listener) {
            self.begin(stream, peer);
        }
        // Those that have connected may still ask; then HTTP/2 says by itself which requests are answered.
        tokio::time::sleep(LINGER).await;
    }

    fn begin(&self, stream: TcpStream, peer: SocketAddr) {
        let Some(place) = self.crowd.enter(peer.ip()) else {
            return tracing::debug!(%peer, "no room for another connection of gRPC");
        };
        let (tls, ready) = (self.tls.clone(), self.ready.clone());
        let header = Duration::from_millis(self.limits.header_timeout_ms);
        let write = Duration::from_millis(self.limits.idle_timeout_ms);
        tokio::spawn(async move {
            match open(stream, tls, place, header, write).await {
                Ok(stream) => drop(ready.send(stream).await),
                Err(error) => tracing::debug!(%peer, %error, "no connection of gRPC"),
            }
        });
    }
}

/// Shakes hands where there is TLS. The handshake takes as long as a header may, and so does what HTTP/2 begins with.
async fn open(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    place: Place,
    header: Duration,
    write: Duration,
) -> std::io::Result<GrpcStream> {
    let Some(tls) = tls else { return Ok(GrpcStream::plain(stream, place, header, write)) };
    let stream = timeout(header, tls.accept(stream)).await.map_err(std::io::Error::other)??;
    Ok(GrpcStream::tls(stream, place, header, write))
}

/// The connections that are ready, as tonic takes them.
struct Incoming(mpsc::Receiver<GrpcStream>);

impl Stream for Incoming {
    type Item = std::io::Result<GrpcStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|stream| stream.map(Ok))
    }
}
