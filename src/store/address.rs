//! Where the database is.

use std::{fmt, str::FromStr};

use sqlx::{postgres::PgConnectOptions, sqlite::SqliteConnectOptions};

/// What may stand behind several hosts: the service always looks for the one that takes writes.
const ATTRIBUTE: &str = "target_session_attrs=";

/// Where the database is. Its `Debug` and `Display` leave the password out.
#[derive(Clone)]
pub struct Address(pub(super) Scheme);

#[derive(Clone)]
pub(super) enum Scheme {
    /// One host after another, in the order in which they are tried.
    Postgres(Vec<PgConnectOptions>),
    Sqlite(Box<SqliteConnectOptions>),
}

/// An address that is neither of PostgreSQL nor of SQLite.
#[derive(Debug, thiserror::Error)]
#[error("a database URL is postgres://USER:PASSWORD@HOST:PORT,HOST:PORT/NAME or sqlite:FILE{}", .0.as_deref().unwrap_or_default())]
pub struct BadAddress(Option<String>);

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let reason = |error: sqlx::Error| BadAddress(Some(format!(" ({error})")));
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let urls = one_by_one(text)?;
            let hosts: Result<_, _> = urls.iter().map(|url| url.parse().map_err(reason)).collect();
            return Ok(Self(Scheme::Postgres(hosts?)));
        }
        if text.starts_with("sqlite:") {
            let options: SqliteConnectOptions = text.parse().map_err(reason)?;
            return Ok(Self(Scheme::Sqlite(Box::new(options))));
        }
        Err(BadAddress(None))
    }
}

/// The URL of each host of `postgres://user:password@one:5432,two:5432/name`, which the driver does not know.
fn one_by_one(url: &str) -> Result<Vec<String>, BadAddress> {
    let (url, parameters) = url.split_once('?').unwrap_or((url, ""));
    let mut kept = Vec::new();
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.strip_prefix(ATTRIBUTE) {
            None => kept.push(parameter),
            Some("read-write" | "primary") => {}
            Some(_) => return Err(BadAddress(Some(format!(" ({ATTRIBUTE} takes read-write, which is always so)")))),
        }
    }
    let parameters = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (user, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    Ok(hosts.split(',').map(|host| format!("{scheme}://{user}{host}{path}{parameters}")).collect())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Scheme::Postgres(hosts) => {
                let (user, name) =
                    hosts.first().map_or(("", ""), |one| (one.get_username(), one.get_database().unwrap_or_default()));
                let hosts: Vec<_> =
                    hosts.iter().map(|host| format!("{}:{}", host.get_host(), host.get_port())).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_prints_without_its_password() {
        let address: Address = "postgres://tokenward:s3cret@db.example:5433/tokens?sslmode=require".parse().unwrap();
        assert_eq!(format!("{address} {address:?}").matches("s3cret").count(), 0);
        assert_eq!(address.to_string(), "postgres://tokenward@db.example:5433/tokens");
        assert_eq!("sqlite:x/y.db".parse::<Address>().unwrap().to_string(), "sqlite:x/y.db");
    }

    #[test]
    fn other_schemes_are_refused_without_repeating_them() {
        let error = "mysql://u:s3cret@h/d".parse::<Address>().unwrap_err().to_string();
        assert!(error.starts_with("a database URL is") && !error.contains("s3cret"), "{error}");
    }

    #[test]
    fn several_hosts_are_read_with_all_that_they_share() {
        let text =
            "postgres://tokenward:s3c%2Cret@a:5433,[::1]:5434,c/tokens?target_session_attrs=read-write&sslmode=require";
        let address: Address = text.parse().unwrap();
        assert_eq!(address.to_string(), "postgres://tokenward@a:5433,[::1]:5434,c:5432/tokens");
        let Scheme::Postgres(hosts) = address.0 else { panic!("PostgreSQL") };
        for host in hosts {
            assert_eq!((host.get_username(), host.get_database()), ("tokenward", Some("tokens")));
            assert!(matches!(host.get_ssl_mode(), sqlx::postgres::PgSslMode::Require));
        }
    }

    #[test]
    fn a_standby_cannot_be_asked_for() {
        for wrong in ["any", "standby", "read-only", "prefer-standby"] {
            let text = format!("postgres://u:s3cret@a,b/d?target_session_attrs={wrong}");
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains("read-write") && !error.contains("s3cret"), "{error}");
        }
    }
}
