//! The command socket: a Unix socket beside a SQLite database, through which commands reach the
//! service that has the database open.
//!
//! The client sends one [`Request`]. The service executes the command with its own store and
//! services, and sends the output in frames.

mod client;
pub(super) mod frame;
pub(super) mod listener;

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::{anyhow, ensure};
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

use super::invocation::Invocation;
use crate::config::{Config, DatabaseUrlSetting};
use client::Client;

/// The suffix that the name of the socket adds to the name of the SQLite file.
const SUFFIX: &str = ".socket";
/// The user ID of root.
const ROOT: u32 = 0;

/// A command to execute. It has no `Debug` output, because it may contain a password.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    /// Version of the client's program.
    version: String,
    /// Arguments after the name of the program.
    arguments: Vec<String>,
    invocation: Invocation,
}

/// Connects to the service that has the SQLite file of the configuration open. Returns `None` if
/// no service accepts the connection, and for PostgreSQL.
///
/// # Errors
/// If the socket belongs to another user, who could read the password of a command.
pub(super) async fn connect(config: &Config) -> anyhow::Result<Option<Client>> {
    let Some((file, path)) = paths(&config.database.url) else { return Ok(None) };
    let Ok(stream) = UnixStream::connect(&path).await else { return Ok(None) };
    let (uid, owner) = (stream.peer_cred()?.uid(), fs::metadata(&file)?.uid());
    ensure!(
        uid == owner || uid == ROOT,
        "the process that accepts commands at {} runs as uid {uid}, but the database belongs to uid {owner}: remove \
         the socket if it is not the service",
        path.display()
    );
    Ok(Some(Client::new(stream)))
}

/// Returns the error of a database in use whose command socket does not accept connections.
pub(super) fn no_response(config: &Config) -> anyhow::Error {
    let (file, path) = paths(&config.database.url).unwrap_or_default();
    anyhow!(
        "{} is in use by another process, which accepts no commands at {}: stop it first",
        file.display(),
        path.display()
    )
}

/// Returns the SQLite file and the path of its command socket; `None` for PostgreSQL.
fn paths(database: &DatabaseUrlSetting) -> Option<(PathBuf, PathBuf)> {
    let address = database.address().ok()?;
    let file = address.sqlite_file()?;
    // Every name of the database leads to one socket.
    let file = if file.is_symlink() { fs::canonicalize(file).ok()? } else { file.to_owned() };
    let socket = socket_of(&file);
    Some((file, socket))
}

fn socket_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(SUFFIX);
    name.into()
}
