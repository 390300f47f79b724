//! TCP sockets that are bound before they listen.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
};

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpSocket};

/// The length of the listen backlog.
const BACKLOG: u32 = 1_024;

/// Binds a socket for the configuration key `key`.
///
/// # Errors
/// If the address is not available. The text has the remedy.
pub(crate) fn bind(key: &'static str, address: SocketAddr) -> anyhow::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let bound = socket.and_then(|socket| {
        // Allows a port with connections in TIME_WAIT, not one on which another process listens.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(socket)
    });
    bound.map_err(|error| listen_error(key, address, &error))
}

/// Describes why an address is not available, with the remedy.
fn listen_error(key: &str, address: SocketAddr, error: &io::Error) -> anyhow::Error {
    let other = SocketAddr::new(address.ip(), address.port().checked_add(1).unwrap_or(3005));
    let reason = match error.kind() {
        ErrorKind::AddrInUse if key == "listen.http" => {
            format!("the port is in use; is the service already running? choose another port: --listen {other}")
        }
        ErrorKind::AddrInUse => format!("the port is in use; choose another port: {key} = \"{other}\""),
        ErrorKind::PermissionDenied => {
            format!("permission denied: set {key} to a port from 1024, or grant CAP_NET_BIND_SERVICE")
        }
        ErrorKind::AddrNotAvailable => format!("this machine does not have the address: change {key}"),
        _ => error.to_string(),
    };
    anyhow::anyhow!("cannot listen on {address}: {reason}")
}

/// Starts to listen on a bound socket.
pub(crate) fn listen(socket: TcpSocket) -> anyhow::Result<TcpListener> {
    let address = socket.local_addr()?;
    socket.listen(BACKLOG).with_context(|| format!("cannot listen on {address}"))
}
