//! Errors of store methods, classified by what the caller can do about them.

use sqlx::error::ErrorKind;

use crate::domain::{authority::AuthorizationLost, causes::Causes};

/// Error of a store method.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A unique value is taken. Each insert violates at most one uniqueness rule.
    #[error("a unique value is already taken")]
    Conflict,
    /// The database cannot be reached, is too slow, too full or not writable. The transaction may
    /// or may not have been committed.
    #[error("the database is unavailable")]
    Unavailable(#[source] Outage),
    /// The caller lost the right to do this while the request waited. Nothing was written.
    #[error(transparent)]
    AuthorizationLost(#[from] AuthorizationLost),
    /// A row violates a rule of the schema, or the database rejects a statement. This is a bug or a
    /// manual change of the data.
    #[error("the database contains or returned an unexpected value")]
    Corrupt(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Result of a store method. An absent row is an `Option`, not an error.
pub type Result<T> = std::result::Result<T, Error>;

/// Cause of an unavailable database.
#[derive(Debug, thiserror::Error)]
pub enum Outage {
    /// The driver or the database reported an error. The text contains the causes, each once.
    #[error("{}", driver_message(.0))]
    Database(sqlx::Error),
    /// The database did not respond in time.
    #[error("the database did not respond in time")]
    TimedOut,
    /// A file of the database cannot be created, read or renamed.
    #[error("cannot access a file of the database")]
    File(#[source] std::io::Error),
    /// The connection that receives notifications was closed.
    #[error("the notification connection was closed")]
    Disconnected,
}

impl Outage {
    /// Returns true if no server was reached: none listens or responds, or it is starting up or
    /// shutting down. A failure that may concern one connection alone, such as a connection limit,
    /// does not count.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        use std::io::ErrorKind as Io;
        /// PostgreSQL, `cannot_connect_now`.
        const STARTING_UP_OR_SHUTTING_DOWN: &str = "57P03";
        match self {
            Self::Database(sqlx::Error::Io(error)) => matches!(
                error.kind(),
                Io::ConnectionRefused | Io::TimedOut | Io::HostUnreachable | Io::NetworkUnreachable | Io::NotFound
            ),
            Self::Database(error) => {
                let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
                code.as_deref() == Some(STARTING_UP_OR_SHUTTING_DOWN)
            }
            Self::TimedOut => true,
            Self::File(_) | Self::Disconnected => false,
        }
    }
}

impl Error {
    /// Returns the error of an operation that was aborted because it took too long.
    pub(crate) fn timed_out() -> Self {
        Self::Unavailable(Outage::TimedOut)
    }

    /// Returns the error of a row with content that this program never writes.
    pub(super) fn corrupt(column: &'static str) -> Self {
        Self::Corrupt(column.into())
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as Sqlx;
        match &error {
            Sqlx::Database(rejection) if rejection.is_unique_violation() => Self::Conflict,
            Sqlx::Database(rejection) if is_statement_error(rejection.as_ref()) => Self::Corrupt(error.into()),
            Sqlx::ColumnDecode { .. }
            | Sqlx::ColumnNotFound(_)
            | Sqlx::ColumnIndexOutOfBounds { .. }
            | Sqlx::Decode(_)
            | Sqlx::Encode(_)
            | Sqlx::TypeNotFound { .. }
            | Sqlx::RowNotFound => Self::Corrupt(error.into()),
            _ => Self::Unavailable(Outage::Database(error)),
        }
    }
}

/// Returns the text of a driver error without the driver's own introductions and without the lines
/// of PostgreSQL's source code.
pub(super) fn driver_message(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(rejection) => rejection.message().to_owned(),
        sqlx::Error::Io(cause) => cause.to_string(),
        sqlx::Error::Configuration(cause) => Causes(&**cause).to_string(),
        sqlx::Error::Tls(cause) => format!("cannot establish TLS: {}", Causes(&**cause)),
        sqlx::Error::PoolTimedOut => "the database did not respond in time".to_owned(),
        other => Causes(other).to_string(),
    }
}

/// Returns true if the database rejected the content of the statement. Every other failure
/// (shutdown, full disk, time limit, read-only standby, lock) is an outage.
fn is_statement_error(error: &dyn sqlx::error::DatabaseError) -> bool {
    match error.kind() {
        ErrorKind::ForeignKeyViolation | ErrorKind::NotNullViolation | ErrorKind::CheckViolation => true,
        // PostgreSQL, insufficient privilege: usually maintenance, which ends.
        _ if error.code().as_deref() == Some("42501") => false,
        // PostgreSQL classes: 22 data exception, 23 integrity constraint violation, 42 syntax error
        // or access rule violation. SQLite: 1 SQL error, 20 datatype mismatch.
        _ => error.code().is_some_and(|code| {
            (code.len() == 5 && ["22", "23", "42"].iter().any(|class| code.starts_with(class)))
                || code == "1"
                || code == "20"
        }),
    }
}
