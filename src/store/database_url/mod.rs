//! Database URL of PostgreSQL or SQLite.
//!
//! PostgreSQL URLs are parsed as libpq parses them, but strictly: a parameter without effect is an
//! error. No error text contains a part of the URL, because any part may belong to the password.

mod decoding;
mod error;
mod host;
mod parameters;
mod postgres;
mod sqlite;
#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use sqlx::sqlite::SqliteConnectOptions;

pub use error::InvalidDatabaseUrl;
pub(super) use host::Host;

/// Parsed database URL. Its `Debug` and `Display` omit the password.
#[derive(Clone)]
pub struct DatabaseUrl {
    pub(super) scheme: Scheme,
    has_password: bool,
}

#[derive(Clone)]
pub(super) enum Scheme {
    /// Hosts, in the order in which they are tried.
    Postgres(Vec<Host>),
    Sqlite(Box<SqliteConnectOptions>),
}

impl DatabaseUrl {
    /// Returns true if the URL itself contains a password.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.has_password
    }
}

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, InvalidDatabaseUrl> {
        if let Some(url) = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://")) {
            let (hosts, has_password) = postgres::parse(url)?;
            return Ok(Self { scheme: Scheme::Postgres(hosts), has_password });
        }
        let file = text.strip_prefix("sqlite:").ok_or(InvalidDatabaseUrl::Scheme)?;
        Ok(Self { scheme: Scheme::Sqlite(Box::new(sqlite::parse(file)?)), has_password: false })
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Characters that would end a user or database name.
        const RESERVED: &AsciiSet =
            &CONTROLS.add(b' ').add(b'@').add(b'/').add(b':').add(b'?').add(b'#').add(b'%').add(b'[').add(b']');
        match &self.scheme {
            Scheme::Postgres(hosts) => {
                let options = hosts.first().map(|host| &host.options);
                let user = options.map_or("", |options| options.get_username());
                let database = options.and_then(|options| options.get_database()).unwrap_or_default();
                let user = utf8_percent_encode(user, RESERVED);
                let database = utf8_percent_encode(database, RESERVED);
                let hosts: Vec<_> = hosts.iter().map(Host::to_string).collect();
                write!(f, "postgres://{user}@{}/{database}", hosts.join(","))
            }
            Scheme::Sqlite(options) => write!(f, "sqlite:{}", options.get_filename().display()),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
