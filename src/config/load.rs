//! Loading of the configuration from its sources, validation and error messages.

use std::{net::SocketAddr, path::Path};

use figment::{
    Figment,
    error::Kind,
    providers::{Env, Format as _, Serialized, Toml},
};

use super::{Config, ConfigDuration, DatabaseUrlSetting, Error, FIRST_START_VARIABLES, secret_file, service_link};
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
    /// If a file cannot be read, a key is unknown, or a value is invalid. The message names the key
    /// and the accepted values.
    pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Self, Error> {
        let mut figment = Figment::new();
        if let Some(path) = file {
            let file_error = |source| Error::File { path: path.display().to_string(), source };
            let text = std::fs::read_to_string(path).map_err(file_error)?;
            check_syntax(path, &text)?;
            if contains_secret(&text) {
                secret_file::reject_public_file(path)?;
            }
            figment = figment.merge(Toml::string(&text));
        }
        if let Some(url) = secret_file::variable("DATABASE_URL")? {
            figment = figment.merge(Serialized::default("database.url", url.as_str()));
        }
        let first_start_variables = FIRST_START_VARIABLES.map(|name| name.trim_start_matches("TOKENWARD_"));
        let environment = Env::prefixed("TOKENWARD_")
            .ignore(&first_start_variables)
            .filter(|key| !service_link::is_service_link(key.as_str()) && !secret_file::is_file_variable(key.as_str()));
        figment = figment.merge(environment.split("__"));
        for name in secret_file::variables() {
            let Some(value) = secret_file::variable(&name)? else { continue };
            let key = name.trim_start_matches("TOKENWARD_").to_ascii_lowercase().replace("__", ".");
            figment = figment.merge(Serialized::default(&key, value.as_str()));
        }
        if let Some(listen) = overrides.listen {
            figment = figment.merge(Serialized::default("listen.http", listen));
        }
        if let Some(url) = &overrides.database_url {
            figment = figment.merge(Serialized::default("database.url", url.expose()));
        }
        let config: Self = figment.extract().map_err(|error| Error::Key(error_message(&error)))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Error> {
        self.database.url.address().map_err(|error| Error::Value { key: "database.url", reason: error.to_string() })?;
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
        if let Some(key) = &self.listen.ext_authz_key {
            secret_file::reject_public_file(key)?;
        }
        if self.database.max_connections == 0 {
            return Err(invalid("database.max_connections", "must be at least 1"));
        }
        if self.cache.max_tokens == 0 {
            return Err(invalid(
                "cache.max_tokens",
                "must be at least 1; set cache.mode = \"off\" to disable the cache",
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
            ("database.acquire_timeout", Some(self.database.acquire_timeout), timeout),
            ("database.statement_timeout", Some(self.database.statement_timeout), timeout),
            ("http.request_timeout", Some(self.http.request_timeout), timeout),
            ("http.header_timeout", Some(self.http.header_timeout), timeout),
            ("http.body_timeout", Some(self.http.body_timeout), timeout),
            ("http.idle_timeout", Some(self.http.idle_timeout), timeout),
            ("sessions.idle_timeout", Some(self.sessions.idle_timeout), (seconds(60), seconds(DAY))),
            ("sessions.max_age", Some(self.sessions.max_age), (seconds(3_600), seconds(30 * DAY))),
            ("cache.lease_duration", Some(self.cache.lease_duration), (millis(500), seconds(10))),
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

/// Returns `true` if a configuration file contains a database password or a webhook, whose URL may
/// be a secret.
fn contains_secret(text: &str) -> bool {
    let file = Figment::from(Toml::string(text));
    let url = file.extract_inner::<DatabaseUrlSetting>("database.url").ok();
    url.is_some_and(|url| url.may_have_password()) || file.extract_inner::<String>("leaks.webhook_url").is_ok()
}

/// Returns an error message with the key, its source and the nearest known key.
fn error_message(error: &figment::Error) -> String {
    let source = error.metadata.as_ref().map(|metadata| format!(" (from {})", metadata.name)).unwrap_or_default();
    match &error.kind {
        Kind::UnknownField(key, known_keys) => {
            let sections = error.path.iter().take_while(|part| *part != key);
            let section: String = sections.map(|part| format!("{part}.")).collect();
            let nearest =
                known_keys.iter().max_by(|a, b| strsim::jaro_winkler(key, a).total_cmp(&strsim::jaro_winkler(key, b)));
            let hint = nearest.map(|nearest| format!(": did you mean {section}{nearest}?")).unwrap_or_default();
            format!("unknown configuration key {section}{key}{source}{hint} Known keys: {}", known_keys.join(", "))
        }
        // The value is not repeated: it may be a database URL with a password.
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => {
            format!("configuration key {}{source} takes {expected}", error.path.join("."))
        }
        kind => format!("configuration key {}{source}: {kind}", error.path.join(".")),
    }
}

/// Checks the TOML syntax of a file.
///
/// # Errors
/// [`Error::Key`] with the number of the invalid line. The line itself is not shown, because it may
/// contain a password.
fn check_syntax(path: &Path, text: &str) -> Result<(), Error> {
    let Err(error) = toml::from_str::<toml::Table>(text) else { return Ok(()) };
    let preceding = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = preceding.matches('\n').count() + 1;
    Err(Error::Key(format!("{}, line {line}: {}", path.display(), error.message())))
}
