//! The service's end of the command socket: accepts connections of its own user and of root, and
//! executes their commands.

use std::{
    fs::{self, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail, ensure};
use rustix::process::geteuid;
use tokio::{
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use super::{
    ROOT, Request,
    frame::{self, Kind},
    paths,
};
use crate::{
    cli::{StdoutClosed, VERSION, invocation::Services, output::Output, parse::parse_store_command},
    config::DatabaseUrlSetting,
    domain::causes::Causes,
};

/// The maximum length of a socket's path: `sun_path` of unix(7) without the terminating zero.
const MAX_PATH_BYTES: usize = 107;
/// The maximum number of commands at a time. Further clients wait.
const MAX_COMMANDS: usize = 8;
/// The maximum time until a client has sent its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum time for commands in progress when the service stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// The delay after a connection could not be accepted, for example without free file descriptors.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// The socket of a service that does not accept commands yet. Clients that connect wait.
pub(in crate::cli) struct CommandSocket {
    listener: UnixListener,
    path: PathBuf,
}

/// The socket of a running service.
pub(in crate::cli) struct RunningSocket {
    stop: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl CommandSocket {
    /// Binds the socket beside the open SQLite file. The socket of a process that was killed is
    /// replaced: the lock on the database proves that no process uses it. Returns `None` for
    /// PostgreSQL, and after a warning if the socket cannot be created.
    ///
    /// # Errors
    /// If the path belongs to something else than a socket.
    pub(in crate::cli) fn bind(database: &DatabaseUrlSetting) -> anyhow::Result<Option<Self>> {
        let Some((_, path)) = paths(database) else { return Ok(None) };
        match fs::symlink_metadata(&path) {
            Ok(metadata) if !metadata.file_type().is_socket() => bail!(
                "{} is not a socket: move it away; the service needs this name for its command socket",
                path.display()
            ),
            _ => {}
        }
        match bind(&path) {
            Ok(listener) => Ok(Some(Self { listener, path })),
            Err(error) => {
                let path = path.display();
                tracing::warn!(%path, %error, "no command socket; commands on the database need the service stopped");
                Ok(None)
            }
        }
    }

    /// Accepts commands until the socket is stopped.
    pub(in crate::cli) fn serve(self, services: Services) -> RunningSocket {
        let (stop, stopped) = watch::channel(());
        RunningSocket { stop, task: tokio::spawn(self.accept(services, stopped)) }
    }

    async fn accept(self, services: Services, mut stopped: watch::Receiver<()>) {
        let slots = Arc::new(Semaphore::new(MAX_COMMANDS));
        let mut commands = JoinSet::new();
        loop {
            let connection = async {
                let slot = slots.clone().acquire_owned().await;
                (self.listener.accept().await, slot)
            };
            let (accepted, slot) = tokio::select! {
                connection = connection => connection,
                _ = stopped.changed() => break,
            };
            match accepted {
                Ok((stream, _)) => {
                    let services = services.clone();
                    commands.spawn(async move {
                        respond(stream, &services).await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a command");
                    tokio::time::sleep(RETRY_DELAY).await;
                }
            }
            while commands.try_join_next().is_some() {}
        }
        // The lock on the database is still held: this is the socket of this process.
        fs::remove_file(&self.path).ok();
        if timeout(STOP_TIMEOUT, async { while commands.join_next().await.is_some() {} }).await.is_err() {
            tracing::warn!("timed out waiting for commands in progress");
        }
        // A command that has begun is not cancelled.
        commands.detach_all();
    }
}

impl RunningSocket {
    /// Removes the socket and waits for commands in progress.
    pub(in crate::cli) async fn stop(self) {
        drop(self.stop);
        self.task.await.ok();
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    let length = path.as_os_str().len();
    if length > MAX_PATH_BYTES {
        return Err(io::Error::other(format!("the path has {length} bytes; the maximum is {MAX_PATH_BYTES}")));
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    // Until then, the umask decides who can connect. Connections of other users are rejected anyway.
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Executes the command of a client. Nothing here ends the command if the client disconnects.
async fn respond(stream: UnixStream, services: &Services) {
    let accepted = check_peer(&stream);
    let (mut reader, writer) = stream.into_split();
    let request = match accepted {
        Ok(()) => read_request(&mut reader).await,
        Err(error) => Err(error),
    };
    match request {
        Ok(request) => execute(request, services, writer).await,
        Err(error) => {
            let failure = Causes(error.as_ref()).to_string();
            tracing::warn!(error = failure, "rejected a command");
            Output::to_client(writer, false).finish(Some(&failure)).await;
        }
    }
}

/// Checks that the client is the user of this process, or root.
fn check_peer(stream: &UnixStream) -> anyhow::Result<()> {
    let (uid, own) = (stream.peer_cred()?.uid(), geteuid().as_raw());
    ensure!(
        uid == own || uid == ROOT,
        "uid {uid} may not use the command socket: run the command as uid {own}, the user of the service, or as root"
    );
    Ok(())
}

async fn read_request(reader: &mut OwnedReadHalf) -> anyhow::Result<Request> {
    let frame = timeout(REQUEST_TIMEOUT, frame::read(reader))
        .await
        .map_err(|_| anyhow!("the request did not arrive in time"))?;
    let (kind, payload) = frame.context("cannot read the request")?;
    ensure!(kind == Kind::Request, "the first frame is not a request");
    // The error of the parser could quote a password.
    serde_json::from_slice(&payload).map_err(|_| anyhow!("the request is malformed"))
}

async fn execute(request: Request, services: &Services, writer: OwnedWriteHalf) {
    let Request { version, arguments, invocation } = request;
    let mut output = Output::to_client(writer, invocation.is_terminal);
    let (command, name) = match parse_store_command(arguments) {
        Ok(parsed) => parsed,
        Err(error) => {
            let failure = format!("the service (version {VERSION}) rejected the command (version {version}): {error}");
            return output.finish(Some(&failure)).await;
        }
    };
    let result = command.run_with(services, &invocation, &mut output).await;
    let failure = match result {
        // The client has ended early, as a command in a pipe does.
        Err(error) if error.is::<StdoutClosed>() => None,
        result => result.err().map(|error| Causes(error.as_ref()).to_string()),
    };
    tracing::info!(command = name, is_successful = failure.is_none(), "executed a command");
    output.finish(failure.as_deref()).await;
}
