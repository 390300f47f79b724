//! Gathering the configuration from its sources, and saying what is wrong with it.

use std::{net::SocketAddr, path::Path};

use figment::{
    Figment,
    error::Kind,
    providers::{Env, Format as _, Serialized, Toml},
};

use super::{CacheMode, Config, DatabaseUrl, FIRST_START_VARIABLES, secret_file, service_link};
use crate::domain::password::{LEAST_MIN_CHARS, MAX_CHARS};

/// What a request has left at least after it has waited for a whole lease.
const LEASE_MARGIN_MS: u64 = 500;

/// What the command line says; it wins over everything.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub listen: Option<SocketAddr>,
    pub database_url: Option<DatabaseUrl>,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {path}")]
    File { path: String, source: std::io::Error },
    #[error("{path} holds a secret and may be read by everybody (mode {mode:03o}): run chmod 600 {path}")]
    Public { path: String, mode: u32 },
    #[error("{0}")]
    Key(String),
    #[error("{key}: {reason}")]
    Value { key: &'static str, reason: String },
}

impl Config {
    /// Gathers the configuration from all its sources and checks it.
    ///
    /// # Errors
    /// [`Error`], with a message that names the key and says what it takes.
    pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Self, Error> {
        let mut figment = Figment::new();
        if let Some(path) = file {
            let unreadable = |source| Error::File { path: path.display().to_string(), source };
            let text = std::fs::read_to_string(path).map_err(unreadable)?;
            check_syntax(path, &text)?;
            if holds_a_secret(&text) {
                secret_file::refuse_public(path)?;
            }
            figment = figment.merge(Toml::string(&text));
        }
        if let Some(url) = secret_file::variable("DATABASE_URL")? {
            figment = figment.merge(Serialized::default("database.url", url.as_str()));
        }
        let ours = FIRST_START_VARIABLES.map(|name| name.trim_start_matches("TOKENWARD_"));
        let environment = Env::prefixed("TOKENWARD_")
            .ignore(&ours)
            .filter(|key| !service_link::is_one(key.as_str()) && !secret_file::names_a_file(key.as_str()));
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
        let config: Self = figment.extract().map_err(|error| Error::Key(explain(&error)))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Error> {
        let refuse = |key, reason: &str| Err(Error::Value { key, reason: reason.to_owned() });
        self.database.url.address().map_err(|bad| Error::Value { key: "database.url", reason: bad.to_string() })?;
        self.token_format()?;
        if self.passwords.min_length < LEAST_MIN_CHARS || self.passwords.min_length > MAX_CHARS {
            return refuse("passwords.min_length", "must be from 8 to 128");
        }
        if self.listen.ext_authz_certificate.is_some() != self.listen.ext_authz_key.is_some() {
            return refuse(
                "listen.ext_authz_certificate",
                "needs listen.ext_authz_key beside it, and the other way round",
            );
        }
        if self.leaks.webhook_url.as_ref().is_some_and(|url| !url.is_http()) {
            return refuse("leaks.webhook_url", "must be a URL of http or https");
        }
        if let Some(key) = &self.listen.ext_authz_key {
            secret_file::refuse_public(key)?;
        }
        if self.database.max_connections == 0 {
            return refuse("database.max_connections", "must be at least 1");
        }
        if self.retention.expired_tokens_days.is_some_and(|days| !(1..=36_500).contains(&days)) {
            return refuse("retention.expired_tokens_days", "must be from 1 to 36500 days; leave it out to keep them");
        }
        if self.retention.events_days.is_some_and(|days| !(1..=36_500).contains(&days)) {
            return refuse("retention.events_days", "must be from 1 to 36500 days; leave it out to keep them");
        }
        if !(1..=36_500).contains(&self.retention.deleted_tokens_days) {
            return refuse("retention.deleted_tokens_days", "must be from 1 to 36500 days");
        }
        if self.cache.max_tokens == 0 {
            return refuse("cache.max_tokens", "must be at least 1; cache.mode = \"off\" keeps none");
        }
        if !(500..=10_000).contains(&self.cache.lease_ms) {
            return refuse("cache.lease_ms", "must be from 500 to 10000 milliseconds");
        }
        if self.cache.mode == CacheMode::Leased && self.cache.lease_ms + LEASE_MARGIN_MS > self.http.request_timeout_ms
        {
            let (lease, request) = (self.cache.lease_ms, self.http.request_timeout_ms);
            let most = request.saturating_sub(LEASE_MARGIN_MS);
            return refuse(
                "cache.lease_ms",
                &format!(
                    "is {lease}; with http.request_timeout_ms = {request} the maximum is {most}, since a deletion may wait for a \
                     whole lease; lower the one or raise the other"
                ),
            );
        }
        self.check_times()
    }

    fn check_times(&self) -> Result<(), Error> {
        let refuse = |key, reason: &str| Err(Error::Value { key, reason: reason.to_owned() });
        if !(1..=1_440).contains(&self.pages.idle_minutes) {
            return refuse("pages.idle_minutes", "must be from 1 to 1440 minutes");
        }
        if !(1..=720).contains(&self.pages.absolute_hours) {
            return refuse("pages.absolute_hours", "must be from 1 to 720 hours");
        }
        let times = [
            ("database.acquire_timeout_ms", self.database.acquire_timeout_ms),
            ("database.statement_timeout_ms", self.database.statement_timeout_ms),
            ("http.request_timeout_ms", self.http.request_timeout_ms),
            ("http.header_timeout_ms", self.http.header_timeout_ms),
            ("http.body_timeout_ms", self.http.body_timeout_ms),
            ("http.idle_timeout_ms", self.http.idle_timeout_ms),
        ];
        match times.iter().find(|(_, millis)| !(1..=86_400_000).contains(millis)) {
            Some((key, _)) => refuse(key, "must be from 1 to 86400000 milliseconds"),
            None => Ok(()),
        }
    }
}

/// Returns true if a configuration file names a database with its password, or a webhook, whose URL may be a secret.
fn holds_a_secret(text: &str) -> bool {
    let file = Figment::from(Toml::string(text));
    let url = file.extract_inner::<DatabaseUrl>("database.url").ok();
    url.is_some_and(|url| url.holds_a_password()) || file.extract_inner::<String>("leaks.webhook_url").is_ok()
}

/// Says which key is wrong, where it stands, and which one was probably meant.
fn explain(error: &figment::Error) -> String {
    let place = error.metadata.as_ref().map(|metadata| format!(" (from {})", metadata.name)).unwrap_or_default();
    match &error.kind {
        Kind::UnknownField(key, known) => {
            let sections = error.path.iter().take_while(|part| *part != key);
            let section: String = sections.map(|part| format!("{part}.")).collect();
            let nearest =
                known.iter().max_by(|a, b| strsim::jaro_winkler(key, a).total_cmp(&strsim::jaro_winkler(key, b)));
            let hint = nearest.map(|near| format!(": did you mean {section}{near}?")).unwrap_or_default();
            format!("unknown configuration key {section}{key}{place}{hint} Known here: {}", known.join(", "))
        }
        // What was found is not repeated: it may be a database URL with its password.
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => {
            format!("configuration key {}{place} takes {expected}", error.path.join("."))
        }
        kind => format!("configuration key {}{place}: {kind}", error.path.join(".")),
    }
}

/// Names the line of a file that is no TOML, without showing it: it may hold a password.
fn check_syntax(path: &Path, text: &str) -> Result<(), Error> {
    let Err(error) = toml::from_str::<toml::Table>(text) else { return Ok(()) };
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    Err(Error::Key(format!("{}, line {line}: {}", path.display(), error.message())))
}
