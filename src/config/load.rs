//! Loading of the configuration from its sources, validation and error messages.

use std::{net::SocketAddr, path::Path};

use figment::{
    Figment,
    providers::{Env, Serialized},
};

use super::{
    Config, ConfigDuration, DatabaseUrlSetting, Error, FIRST_START_VARIABLES,
    known_keys::{PREFIX, key_of},
    secret_file, service_link,
    sources::{Source, Sources},
    sso, value_error,
};
use crate::domain::password::{MAX_CHARS, MIN_CHARS_FLOOR};

/// Values from the command line, which override all other sources.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub listen: Option<SocketAddr>,
    pub database_url: Option<DatabaseUrlSetting>,
}

impl Config {
    /// Loads the configuration from all sources and validates it.
    ///
    /// # Errors
    /// If a file cannot be read, a key is unknown, or a value is invalid. The message names the
    /// source, the key and the accepted values.
    pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Self, Error> {
        Ok(Self::load_with_sources(file, overrides)?.0)
    }

    /// Loads the configuration as [`Config::load`] does, with the source of each value.
    ///
    /// # Errors
    /// See [`Config::load`].
    pub fn load_with_sources(file: Option<&Path>, overrides: &Overrides) -> Result<(Self, Sources), Error> {
        let mut figment = Figment::new();
        let mut sources = Sources::default();
        if let Some(path) = file {
            let (text, table) = read_file(path)?;
            sources.set_file(path, &text);
            figment = figment.merge(Serialized::defaults(table));
        }
        figment = merge_environment(figment, &mut sources)?;
        if let Some(listen) = overrides.listen {
            sources.set("listen.http", Source::Flag("--listen"));
            figment = figment.merge(Serialized::default("listen.http", listen));
        }
        if let Some(url) = &overrides.database_url {
            sources.set("database.url", Source::Flag("--database-url"));
            figment = figment.merge(Serialized::default("database.url", url.expose()));
        }
        sso::find_invalid(&figment).map_err(|error| Error::Key(value_error::describe(&error, &sources)))?;
        let config: Self = figment.extract().map_err(|error| Error::Key(value_error::describe(&error, &sources)))?;
        match config.check() {
            Ok(()) => {}
            Err(error @ Error::Value { key, .. }) => {
                return Err(Error::Key(format!("{}{error}", sources.location(key))));
            }
            Err(error) => return Err(error),
        }
        sso::check(&config.sso, config.has_public_url()).map_err(|(key, reason)| {
            Error::Key(format!("{}{} {reason}", sources.location(&key), sso::without_index(&key)))
        })?;
        Ok((config, sources))
    }

    fn check(&self) -> Result<(), Error> {
        self.database.url.address().map_err(|error| invalid("database.url", &format!("is invalid: {error}")))?;
        self.token_format()?;
        if self.passwords.min_length < MIN_CHARS_FLOOR || self.passwords.min_length > MAX_CHARS {
            return Err(invalid("passwords.min_length", "must be from 8 to 128"));
        }
        if self.listen.ext_authz_certificate.is_some() != self.listen.ext_authz_key.is_some() {
            let reason = "requires listen.ext_authz_key, and the other way round";
            return Err(invalid("listen.ext_authz_certificate", reason));
        }
        if self.leaks.webhook_url.as_ref().is_some_and(|url| !url.is_http()) {
            return Err(invalid("leaks.webhook_url", "must be an http or https URL"));
        }
        self.mail.check(self.has_public_url())?;
        if let Some(key) = &self.listen.ext_authz_key {
            secret_file::reject_public_file(key)?;
        }
        if self.database.max_connections == 0 {
            return Err(invalid("database.max_connections", "must be at least 1"));
        }
        if self.cache.max_tokens == 0 {
            return Err(invalid(
                "cache.max_tokens",
                "must be at least 1; to disable the cache, set cache.mode = \"off\"",
            ));
        }
        self.check_durations()
    }

    fn check_durations(&self) -> Result<(), Error> {
        const DAY: u64 = 86_400;
        let millis = ConfigDuration::from_millis;
        let seconds = ConfigDuration::from_secs;
        let timeout = (millis(1), seconds(DAY));
        let retention = (seconds(DAY), seconds(36_500 * DAY));
        let ranges = [
            ("database.startup_timeout", Some(self.database.startup_timeout), (millis(0), seconds(DAY))),
            ("database.acquire_timeout", Some(self.database.acquire_timeout), timeout),
            ("database.statement_timeout", Some(self.database.statement_timeout), timeout),
            ("http.request_timeout", Some(self.http.request_timeout), timeout),
            ("http.header_timeout", Some(self.http.header_timeout), timeout),
            ("http.body_timeout", Some(self.http.body_timeout), timeout),
            ("http.idle_timeout", Some(self.http.idle_timeout), timeout),
            ("sessions.idle_timeout", Some(self.sessions.idle_timeout), (seconds(60), seconds(DAY))),
            ("sessions.max_age", Some(self.sessions.max_age), (seconds(3_600), seconds(30 * DAY))),
            ("cache.lease_duration", Some(self.cache.lease_duration), (millis(500), seconds(120))),
            ("retention.expired_tokens", self.retention.expired_tokens, retention),
            ("retention.deleted_tokens", Some(self.retention.deleted_tokens), retention),
            ("retention.events", self.retention.events, retention),
        ];
        for (key, value, (min, max)) in ranges {
            if let Some(value) = value.filter(|value| *value < min || *value > max) {
                return Err(invalid(key, &format!("is {value}; it must be from {min} to {max}")));
            }
        }
        Ok(())
    }
}

fn invalid(key: &'static str, reason: &str) -> Error {
    Error::Value { key, reason: reason.to_owned() }
}

/// Reads a configuration file and checks its syntax and its permissions.
fn read_file(path: &Path) -> Result<(String, toml::Table), Error> {
    let file_error = |source| Error::File { path: path.display().to_string(), source };
    let text = std::fs::read_to_string(path).map_err(file_error)?;
    let table = parse(path, &text)?;
    if contains_secret(&table) {
        secret_file::reject_public_file(path)?;
    }
    Ok((text, table))
}

/// Merges the environment variables, and those that name a file with the value.
fn merge_environment(mut figment: Figment, sources: &mut Sources) -> Result<Figment, Error> {
    if let Some(url) = secret_file::variable("DATABASE_URL")? {
        sources.set("database.url", Source::Variable("DATABASE_URL".to_owned()));
        figment = figment.merge(Serialized::default("database.url", url.as_str()));
    }
    let first_start_variables = FIRST_START_VARIABLES.map(|name| name.trim_start_matches(PREFIX));
    let environment = Env::prefixed(PREFIX)
        .ignore(&first_start_variables)
        .filter(|key| !service_link::is_service_link(key.as_str()) && !secret_file::is_file_variable(key.as_str()));
    for (name, _) in environment.iter() {
        let name = name.as_str().to_ascii_uppercase();
        sources.set(&key_of(&name), Source::Variable(format!("{PREFIX}{name}")));
    }
    figment = figment.merge(environment.split("__"));
    for name in secret_file::variables() {
        let Some(value) = secret_file::variable(&name)? else { continue };
        let key = key_of(name.trim_start_matches(PREFIX));
        sources.set(&key, Source::Variable(format!("{name}_FILE")));
        figment = figment.merge(Serialized::default(&key, value.as_str()));
    }
    Ok(figment)
}

/// Returns `true` if a configuration file contains a password of a database, a directory or an SMTP
/// server, or a webhook, whose URL may be a secret.
fn contains_secret(table: &toml::Table) -> bool {
    let file = Figment::from(Serialized::defaults(table));
    let url = file.extract_inner::<DatabaseUrlSetting>("database.url").ok();
    url.is_some_and(|url| url.may_have_password())
        || file.extract_inner::<String>("leaks.webhook_url").is_ok()
        || file.extract_inner::<String>("mail.password").is_ok()
        || sso::contains_secret(table)
}

/// Parses a TOML file.
///
/// # Errors
/// [`Error::Key`] with the number of the invalid line. The line itself is not shown, because it may
/// contain a password.
fn parse(path: &Path, text: &str) -> Result<toml::Table, Error> {
    toml::from_str(text).map_err(|error| {
        let preceding = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = preceding.matches('\n').count() + 1;
        Error::Key(format!("{}, line {line}: {}", path.display(), error.message()))
    })
}
