//! The client of the command socket: sends the command of this process and prints the response.

use anyhow::{Context as _, anyhow, ensure};
use tokio::net::UnixStream;
use zeroize::Zeroizing;

use super::{
    Request,
    frame::{self, Kind, MAX_PAYLOAD_BYTES},
};
use crate::cli::{VERSION, invocation::Invocation, output};

/// A connection to the service.
pub(in crate::cli) struct Client {
    stream: UnixStream,
}

impl Client {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream }
    }

    /// Executes the command of this process in the service.
    ///
    /// # Errors
    /// The failure of the command, or [`StdoutClosed`](crate::cli::StdoutClosed).
    pub(in crate::cli) async fn run(mut self, invocation: Invocation) -> anyhow::Result<()> {
        let request = encode(&Request { version: VERSION.to_owned(), arguments: arguments()?, invocation })?;
        // The service may have rejected the connection already. Its response has the reason.
        frame::write(&mut self.stream, Kind::Request, &request).await.ok();
        loop {
            let received = frame::read(&mut self.stream).await;
            let (kind, payload) = received.context(
                "the service ended the connection before the command was finished; its log may have the reason",
            )?;
            match kind {
                Kind::Output => output::write_stdout(&payload)?,
                Kind::Notice => output::write_stderr(&payload),
                Kind::Success => return Ok(()),
                Kind::Failure => return Err(anyhow!("{}", String::from_utf8_lossy(&payload))),
                Kind::Request => return Err(anyhow!("the service sent a request")),
            }
        }
    }
}

/// Encodes a request in a buffer that is zeroized. Its capacity suffices, so that no copy of a
/// password is left behind.
fn encode(request: &Request) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_PAYLOAD_BYTES));
    serde_json::to_writer(&mut *bytes, request).context("cannot send the command to the service")?;
    let length = bytes.len();
    ensure!(length <= MAX_PAYLOAD_BYTES, "the command has {length} bytes; the maximum is {MAX_PAYLOAD_BYTES}");
    Ok(bytes)
}

/// Returns the arguments of this process.
fn arguments() -> anyhow::Result<Vec<String>> {
    let arguments = std::env::args_os()
        .skip(1)
        .map(|argument| argument.into_string().map_err(|argument| anyhow!("the argument {argument:?} is not UTF-8")));
    arguments.collect()
}
