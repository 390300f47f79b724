//! The ports of the service. They are taken before anything else is done: a start that fails for want of a port changes nothing.

use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpSocket};

use super::file_limit::FileBudget;
use crate::auth_check::grpc::GrpcPort;
use crate::config::Config;

/// Connections that the operating system keeps until they are accepted.
const BACKLOG: u32 = 1_024;

/// The ports of the configuration, taken and not yet listening: until the service can answer, connections are refused and do not wait.
pub struct Ports {
    pub(crate) http: TcpSocket,
    pub(crate) grpc: Option<GrpcPort>,
    pub(crate) metrics: Option<TcpSocket>,
    pub(crate) budget: FileBudget,
}

impl Ports {
    /// Takes the ports.
    ///
    /// # Errors
    /// A port that is in use, a certificate of the gRPC port that cannot be used, a limit on open files that leaves no room.
    pub fn bind(config: &Config) -> anyhow::Result<Self> {
        let budget = FileBudget::in_force(config)?;
        let http = bind(config.listen.http)?;
        let grpc = GrpcPort::bind(config)?;
        let metrics = config.listen.metrics.map(bind).transpose()?;
        Ok(Self { http, grpc, metrics, budget })
    }
}

/// Takes a port.
pub(crate) fn bind(address: SocketAddr) -> anyhow::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let taken = socket.and_then(|socket| {
        // A port whose last connections still time out can be taken; one that another process listens on cannot.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(socket)
    });
    taken.with_context(|| format!("cannot listen on {address}"))
}

/// Lets clients connect.
pub(crate) fn listen(socket: TcpSocket) -> anyhow::Result<TcpListener> {
    let address = socket.local_addr()?;
    socket.listen(BACKLOG).with_context(|| format!("cannot listen on {address}"))
}
