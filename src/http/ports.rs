//! The ports of the service. They are bound before anything else, so that a start that fails
//! because a port is in use changes nothing.

use tokio::net::TcpSocket;

use super::{file_limit::ConnectionBudget, socket::bind};
use crate::auth_check::grpc::GrpcPort;
use crate::config::Config;

/// The bound ports of the configuration, not yet listening. Connections are refused until the
/// service can respond.
pub struct Ports {
    pub(crate) http: TcpSocket,
    pub(crate) grpc: Option<GrpcPort>,
    pub(crate) metrics: Option<TcpSocket>,
    pub(crate) budget: ConnectionBudget,
}

impl Ports {
    /// Binds the ports.
    ///
    /// # Errors
    /// If a port is in use, the certificate of the gRPC port is invalid, or the limit on open files
    /// is too low.
    pub fn bind(config: &Config) -> anyhow::Result<Self> {
        let budget = ConnectionBudget::from_process_limit(config)?;
        let http = bind("listen.http", config.listen.http)?;
        let grpc = GrpcPort::bind(config)?;
        let metrics = config.listen.metrics.map(|address| bind("listen.metrics", address)).transpose()?;
        Ok(Self { http, grpc, metrics, budget })
    }
}
