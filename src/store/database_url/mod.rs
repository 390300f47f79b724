//! The address of the database: a URL of PostgreSQL or of SQLite.
//!
//! URLs of PostgreSQL are parsed as libpq parses them, but strictly: a parameter that would have no effect is an error. No error
//! repeats a part of the URL, because any part may turn out to be a piece of the password.

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

pub use error::BadAddress;
pub(super) use host::Host;

/// Where the database is. Its `Debug` and `Display` leave the password out.
#[derive(Clone)]
pub struct Address {
    pub(super) scheme: Scheme,
    holds_a_password: bool,
}

#[derive(Clone)]
pub(super) enum Scheme {
    /// One host after another, in the order in which they are tried.
    Postgres(Vec<Host>),
    Sqlite(Box<SqliteConnectOptions>),
}

impl Address {
    /// Returns true if the URL itself has a password.
    #[must_use]
    pub fn holds_a_password(&self) -> bool {
        self.holds_a_password
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        if let Some(url) = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://")) {
            let (hosts, holds_a_password) = postgres::parse(url)?;
            return Ok(Self { scheme: Scheme::Postgres(hosts), holds_a_password });
        }
        let file = text.strip_prefix("sqlite:").ok_or(BadAddress::Scheme)?;
        Ok(Self { scheme: Scheme::Sqlite(Box::new(sqlite::parse(file)?)), holds_a_password: false })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// What would end a user or a database name.
        const RESERVED: &AsciiSet =
            &CONTROLS.add(b' ').add(b'@').add(b'/').add(b':').add(b'?').add(b'#').add(b'%').add(b'[').add(b']');
        match &self.scheme {
            Scheme::Postgres(hosts) => {
                let options = hosts.first().map(|host| &host.options);
                let (user, name) =
                    options.map_or(("", ""), |one| (one.get_username(), one.get_database().unwrap_or_default()));
                let (user, name) = (utf8_percent_encode(user, RESERVED), utf8_percent_encode(name, RESERVED));
                let hosts: Vec<_> = hosts.iter().map(Host::to_string).collect();
                write!(f, "postgres://{user}@{}/{name}", hosts.join(","))
            }
            Scheme::Sqlite(options) => write!(f, "sqlite:{}", options.get_filename().display()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
