//! The ports of the service. They are bound before anything else, so that a start that fails
//! because a port is in use changes nothing.

use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpSocket};

use super::file_limit::ConnectionBudget;
use crate::auth_check::grpc::GrpcPort;
use crate::config::Config;

/// The length of the listen backlog.
const BACKLOG: u32 = 1_024;

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
        let http = bind(config.listen.http)?;
        let grpc = GrpcPort::bind(config)?;
        let metrics = config.listen.metrics.map(bind).transpose()?;
        Ok(Self { http, grpc, metrics, budget })
    }
}

/// Binds a socket.
pub(crate) fn bind(address: SocketAddr) -> anyhow::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let bound = socket.and_then(|socket| {
        // Allows a port with connections in TIME_WAIT, not one on which another process listens.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(socket)
    });
    bound.with_context(|| format!("cannot listen on {address}"))
}

/// Starts to listen on a bound socket.
pub(crate) fn listen(socket: TcpSocket) -> anyhow::Result<TcpListener> {
    let address = socket.local_addr()?;
    socket.listen(BACKLOG).with_context(|| format!("cannot listen on {address}"))
}
