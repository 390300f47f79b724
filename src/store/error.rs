//! What can go wrong with the store, in the words of its callers.

use sqlx::error::ErrorKind;

use crate::domain::authority::AuthorityLost;

/// A store method that did not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A unique value is taken. Each insert has at most one rule that can fire.
    #[error("a value that must be unique is taken")]
    Conflict,
    /// The database cannot be reached, is too slow, too full or not writable. Whether the work was done is unknown.
    #[error("the database is unavailable")]
    Unavailable(#[source] sqlx::Error),
    /// Another process has the SQLite file open.
    #[error("another process has the file open: SQLite is for one process at a time, PostgreSQL for any number")]
    InUse,
    /// The caller lost the right to do this while the request waited. Nothing was written.
    #[error(transparent)]
    AuthorityLost(#[from] AuthorityLost),
    /// A row that our own rules forbid, or a statement the database does not understand: a bug, or foreign hands.
    #[error("the database holds or answered something unexpected")]
    Corrupt(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Work that was given up because it took too long.
    pub(crate) fn timed_out() -> Self {
        Self::Unavailable(sqlx::Error::PoolTimedOut)
    }

    /// A row whose content no code of ours writes.
    pub(super) fn corrupt(what: &'static str) -> Self {
        Self::Corrupt(what.into())
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as Sqlx;
        match &error {
            Sqlx::Database(refusal) if refusal.is_unique_violation() => Self::Conflict,
            Sqlx::Database(refusal) if is_our_fault(refusal.as_ref()) => Self::Corrupt(error.into()),
            Sqlx::ColumnDecode { .. }
            | Sqlx::ColumnNotFound(_)
            | Sqlx::ColumnIndexOutOfBounds { .. }
            | Sqlx::Decode(_)
            | Sqlx::Encode(_)
            | Sqlx::TypeNotFound { .. }
            | Sqlx::RowNotFound => Self::Corrupt(error.into()),
            _ => Self::Unavailable(error),
        }
    }
}

/// Whether the database understood us well and refuses the statement for what it says. Everything else (shutdown, full
/// disk, time limit, read-only standby, lock) is an outage.
fn is_our_fault(refusal: &dyn sqlx::error::DatabaseError) -> bool {
    match refusal.kind() {
        ErrorKind::ForeignKeyViolation | ErrorKind::NotNullViolation | ErrorKind::CheckViolation => true,
        // Postgres, insufficient privilege: somebody is working on the database, and will be done.
        _ if refusal.code().as_deref() == Some("42501") => false,
        // Postgres: 22 data exception, 23 integrity, 42 syntax or access rule. SQLite: 1 error, 20 mismatch.
        _ => refusal.code().is_some_and(|code| {
            (code.len() == 5 && ["22", "23", "42"].iter().any(|class| code.starts_with(class)))
                || code == "1"
                || code == "20"
        }),
    }
}
