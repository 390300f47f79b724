//! Reasons why a database cannot be opened, each with its remedy.

use std::path::Path;

use super::{DatabaseUrl, Error, Outage, database_url::Scheme, error::driver_message};
use crate::domain::causes::Causes;

/// Reason why a database cannot be opened. The text names the database without its password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot create {file}: the folder {folder} does not exist")]
    MissingFolder { file: String, folder: String },
    #[error("cannot write {file}: the folder {folder} is not writable by {user}")]
    FolderNotWritable { file: String, folder: String, user: String },
    #[error("cannot open {file}: it is a folder; write sqlite:FILE with the name of a file")]
    Folder { file: String },
    /// `access` is `read` or `write`, `owner` the owner and the mode of the file.
    #[error("cannot {access} {file}: permission denied ({owner}; this process runs as {user})")]
    PermissionDenied { access: &'static str, file: String, owner: String, user: String },
    #[error("cannot write {file}: the file system is read-only")]
    ReadOnlyFileSystem { file: String },
    #[error("{file} is not a Tokenward database: it is not a SQLite file; it was left unchanged")]
    NotSqlite { file: String },
    #[error("{file} is not a Tokenward database: it belongs to another program; it was left unchanged")]
    Foreign { file: String },
    #[error(
        "{file} is in use by another process (is the service running?): stop it first; several processes need \
         PostgreSQL"
    )]
    InUse { file: String },
    #[error("cannot open {file}: {cause}")]
    Sqlite { file: String, cause: String },
    /// The server cannot be reached, or is starting or stopping. It may be reachable later.
    #[error("cannot reach PostgreSQL at {servers}: {cause}")]
    Unreachable { servers: String, cause: String },
    #[error("PostgreSQL at {servers} rejected the connection: {cause}{remedy}")]
    Rejected { servers: String, cause: String, remedy: String },
}

impl OpenError {
    /// Classifies the error of a connection to PostgreSQL.
    pub(super) fn postgres(url: &DatabaseUrl, error: &Error) -> Self {
        let servers = url.servers();
        let cause = match error {
            Error::Unavailable(Outage::Database(error)) => return Self::driver(url, error),
            Error::Unavailable(Outage::TimedOut) => {
                return Self::Unreachable { servers, cause: "no response in time".to_owned() };
            }
            other => Causes(other).to_string(),
        };
        Self::Rejected { servers, cause, remedy: String::new() }
    }

    fn driver(url: &DatabaseUrl, error: &sqlx::Error) -> Self {
        let (servers, cause) = (url.servers(), driver_message(error));
        match error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => Self::Unreachable { servers, cause },
            sqlx::Error::Database(rejection) => match rejection.code().as_deref() {
                // "the database system is starting up", or shutting down (class 57).
                Some("57P01" | "57P02" | "57P03") => Self::Unreachable { servers, cause },
                code => Self::Rejected { servers, cause, remedy: remedy(code, url) },
            },
            _ => Self::Rejected { servers, cause, remedy: String::new() },
        }
    }

    /// Returns whether the server may be reachable later, without a change of the configuration.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// Returns what the operator can do about an SQL state, as the end of a message.
fn remedy(code: Option<&str>, url: &DatabaseUrl) -> String {
    match code {
        Some("28P01") => "; check user and password of database.url".to_owned(),
        Some("28000") => "; check the user of database.url and the server's pg_hba.conf".to_owned(),
        Some("3D000") => format!("; create it: createdb {}", url.database_name().unwrap_or("NAME")),
        Some("53300") => {
            "; lower database.max_connections of the nodes, or raise max_connections of the server".to_owned()
        }
        _ => String::new(),
    }
}

impl DatabaseUrl {
    /// Returns the PostgreSQL hosts as `HOST:PORT`, separated by commas. Empty for SQLite.
    #[must_use]
    pub fn servers(&self) -> String {
        match &self.scheme {
            Scheme::Postgres(hosts) => hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            Scheme::Sqlite(_) => String::new(),
        }
    }

    /// Returns the name of the PostgreSQL database. `None` for SQLite and for the default, which is
    /// the name of the user.
    #[must_use]
    pub fn database_name(&self) -> Option<&str> {
        match &self.scheme {
            Scheme::Postgres(hosts) => hosts.first().and_then(|host| host.options.get_database()),
            Scheme::Sqlite(_) => None,
        }
    }

    /// Returns the path of the SQLite file. `None` for PostgreSQL.
    #[must_use]
    pub fn sqlite_file(&self) -> Option<&Path> {
        match &self.scheme {
            Scheme::Postgres(_) => None,
            Scheme::Sqlite(options) => Some(options.get_filename()),
        }
    }
}
