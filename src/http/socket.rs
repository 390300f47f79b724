//! TCP sockets that are bound before they listen.

use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpSocket};

/// The length of the listen backlog.
const BACKLOG: u32 = 1_024;

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
