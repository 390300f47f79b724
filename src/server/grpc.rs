//! The listener for Envoy's gRPC checks, with health checking and, where certificates are given, TLS.

use std::{net::SocketAddr, path::Path};

use anyhow::Context as _;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tonic::transport::{Identity, Server, ServerTlsConfig, server::TcpIncoming};

use crate::{app::App, config::Config, delegate::ExtAuthz};

/// The port of the gRPC checks, taken and not yet answering.
pub(super) struct GrpcListener {
    listener: TcpListener,
    tls: Option<ServerTlsConfig>,
}

impl GrpcListener {
    /// Takes the port, if the configuration names one.
    pub(super) async fn bind(config: &Config) -> anyhow::Result<Option<Self>> {
        let Some(listen) = config.listen.ext_authz else { return Ok(None) };
        let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        let tls = match (&config.listen.ext_authz_certificate, &config.listen.ext_authz_key) {
            (Some(certificate), Some(key)) => {
                let read = |path: &Path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
                Some(ServerTlsConfig::new().identity(Identity::from_pem(read(certificate)?, read(key)?)))
            }
            _ => None,
        };
        Ok(Some(Self { listener, tls }))
    }

    pub(super) fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Answers until `stopped` changes, then finishes what runs.
    pub(super) fn serve(
        self,
        app: &App,
        config: &Config,
        mut stopped: watch::Receiver<()>,
    ) -> anyhow::Result<JoinHandle<()>> {
        let mut server = Server::builder().timeout(std::time::Duration::from_millis(config.http.request_timeout_ms));
        if let Some(tls) = self.tls {
            server = server.tls_config(tls).context("the certificate for Envoy's checks cannot be used")?;
        }
        let (health, health_service) = tonic_health::server::health_reporter();
        let checks = ExtAuthz::server(app, &config.delegate);
        Ok(tokio::spawn(async move {
            health
                .set_service_status("envoy.service.auth.v3.Authorization", tonic_health::ServingStatus::Serving)
                .await;
            let stop = async move {
                stopped.changed().await.ok();
            };
            let incoming = TcpIncoming::from(self.listener).with_nodelay(Some(true));
            let served = server.add_service(health_service).add_service(checks);
            if let Err(error) = served.serve_with_incoming_shutdown(incoming, stop).await {
                tracing::error!(error = ?anyhow::Error::from(error), "Envoy's checks are no longer answered");
            }
        }))
    }
}
