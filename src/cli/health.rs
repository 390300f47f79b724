//! `tokenward health`: the readiness of the service on this machine, for container health checks.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};

use super::{GlobalOptions, output};
use crate::config::Config;

/// The maximum time of the connection, and of the response.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum length of the response that is read.
const MAX_RESPONSE_BYTES: u64 = 64 * 1024;

/// Checks the configured listener.
///
/// # Errors
/// If the service is not ready.
pub(super) fn run(global: &GlobalOptions) -> anyhow::Result<()> {
    check(&global.load(None)?)?;
    output::print_line(format_args!("ready"))
}

/// Requests `/health/ready` from the configured listener.
///
/// # Errors
/// If the service does not respond with 200.
pub(super) fn check(config: &Config) -> anyhow::Result<()> {
    let address = reachable_address(config.listen.http);
    ensure!(address.port() != 0, "listen.http has port 0: set the port of the running service");
    let status = request_status(address).with_context(|| format!("no response from http://{address}"))?;
    if status != 200 {
        bail!("the service at http://{address} is not ready: /health/ready responded with {status}");
    }
    Ok(())
}

/// Returns an address of this machine for one that means all addresses.
fn reachable_address(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// Sends the request. Returns the status of the response.
fn request_status(address: SocketAddr) -> anyhow::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut response = String::new();
    stream.take(MAX_RESPONSE_BYTES).read_to_string(&mut response)?;
    let status = response.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    status.context("the response is not HTTP")
}
