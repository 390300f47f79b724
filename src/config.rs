//! The configuration: every key with its default, and where values come from.
//!
//! Later wins: defaults, the file, `DATABASE_URL`, `TOKENWARD_SECTION__KEY`, flags. An unknown key is an error that names
//! the nearest known one. `config/default.toml` documents each key; a test proves that it equals [`Config::default`].

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use figment::{
    Figment,
    error::Kind,
    providers::{Env, Format as _, Serialized, Toml},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    domain::{password::LEAST_MIN_CHARS, password::Policy, setting::Settings},
    service::password::Cost,
    store::{Address, Limits},
    value::{Format, Prefix},
};

/// The documented defaults, as `tokenward config default` prints them.
pub const DEFAULT_FILE: &str = include_str!("../config/default.toml");

/// Variables of our prefix that are not configuration keys: they are read once, by the first start.
pub const FIRST_START_VARIABLES: [&str; 2] = ["TOKENWARD_ADMIN_EMAIL", "TOKENWARD_ADMIN_PASSWORD"];

/// Everything an operator can decide. The default is a working service on the local machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub listen: Listen,
    pub database: Database,
    pub tokens: Tokens,
    pub passwords: Passwords,
    pub http: Http,
    pub delegate: Delegate,
    pub retention: Retention,
    pub log: Log,
}

/// Where the service listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// Address and port of the API; port 0 picks a free one.
    pub http: SocketAddr,
    /// Address and port of Envoy's gRPC checks. None: they are not answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ext_authz: Option<SocketAddr>,
    /// Certificate chain and key (PEM) of that port. None: plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ext_authz_certificate: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ext_authz_key: Option<PathBuf>,
}

/// The store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    pub url: DatabaseUrl,
    pub migrate_on_start: bool,
    pub max_connections: u32,
    pub acquire_timeout_ms: u64,
    pub statement_timeout_ms: u64,
}

/// Tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tokens {
    pub prefix: String,
    pub accepted_prefixes: Vec<String>,
    pub enabled_by_default: bool,
}

/// Passwords and what checking one costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Passwords {
    pub min_length: usize,
    pub memory_kib: u32,
    pub iterations: u32,
    pub parallelism: u32,
    pub queue: usize,
}

/// Time limits of the HTTP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    pub request_timeout_ms: u64,
    pub header_timeout_ms: u64,
    pub shutdown_timeout_ms: u64,
}

/// Checks that others delegate to us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delegate {
    /// The URL by which others know this service, without a slash at the end.
    pub issuer: String,
    pub basic: bool,
    pub introspection_counts_as_use: bool,
}

impl Default for Delegate {
    fn default() -> Self {
        Self { issuer: "http://127.0.0.1:3005".to_owned(), basic: true, introspection_counts_as_use: true }
    }
}

impl Delegate {
    /// The issuer as metadata and introspection name it.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.issuer.trim_end_matches('/')
    }
}

/// What is removed by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// None: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expired_tokens_days: Option<u32>,
}

/// The log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    #[default]
    Auto,
    Text,
    Json,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            http: SocketAddr::from(([127, 0, 0, 1], 3005)),
            ext_authz: None,
            ext_authz_certificate: None,
            ext_authz_key: None,
        }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: DatabaseUrl("sqlite:tokenward.db".to_owned()),
            migrate_on_start: true,
            max_connections: 8,
            acquire_timeout_ms: 2_000,
            statement_timeout_ms: 5_000,
        }
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self { prefix: "twd".to_owned(), accepted_prefixes: Vec::new(), enabled_by_default: true }
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self { min_length: 15, memory_kib: 19_456, iterations: 2, parallelism: 1, queue: 64 }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self { request_timeout_ms: 10_000, header_timeout_ms: 30_000, shutdown_timeout_ms: 30_000 }
    }
}

/// A database URL. However it is printed, its password is not. A flag or a file gives it as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// Reads the URL.
    ///
    /// # Errors
    /// [`BadAddress`](crate::store::BadAddress).
    pub fn address(&self) -> Result<Address, crate::store::BadAddress> {
        Address::from_str(&self.0)
    }
}

impl FromStr for DatabaseUrl {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.address() {
            Ok(address) => std::fmt::Display::fmt(&address, f),
            Err(_) => f.write_str("[unreadable]"),
        }
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DatabaseUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

/// What the command line says; it wins over everything.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub listen: Option<SocketAddr>,
    pub database_url: Option<DatabaseUrl>,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the configuration file {path}")]
    File { path: String, source: std::io::Error },
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
            figment = figment.merge(Toml::string(&text));
        }
        if let Ok(url) = std::env::var("DATABASE_URL") {
            figment = figment.merge(Serialized::default("database.url", url));
        }
        let ours = FIRST_START_VARIABLES.map(|name| name.trim_start_matches("TOKENWARD_"));
        let environment = Env::prefixed("TOKENWARD_").ignore(&ours).filter(|key| !is_service_link(key.as_str()));
        figment = figment.merge(environment.split("__"));
        if let Some(listen) = overrides.listen {
            figment = figment.merge(Serialized::default("listen.http", listen));
        }
        if let Some(url) = &overrides.database_url {
            figment = figment.merge(Serialized::default("database.url", &url.0));
        }
        let config: Self = figment.extract().map_err(|error| Error::Key(explain(&error)))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Error> {
        let refuse = |key, reason: &str| Err(Error::Value { key, reason: reason.to_owned() });
        self.database.url.address().map_err(|bad| Error::Value { key: "database.url", reason: bad.to_string() })?;
        self.token_format()?;
        if self.passwords.min_length < LEAST_MIN_CHARS || self.passwords.min_length > crate::domain::password::MAX_CHARS
        {
            return refuse("passwords.min_length", "must be from 8 to 128");
        }
        if self.listen.ext_authz_certificate.is_some() != self.listen.ext_authz_key.is_some() {
            return refuse(
                "listen.ext_authz_certificate",
                "needs listen.ext_authz_key beside it, and the other way round",
            );
        }
        if self.database.max_connections == 0 {
            return refuse("database.max_connections", "must be at least 1");
        }
        if self.retention.expired_tokens_days.is_some_and(|days| !(1..=36_500).contains(&days)) {
            return refuse("retention.expired_tokens_days", "must be from 1 to 36500 days; leave it out to keep them");
        }
        let times = [
            ("database.acquire_timeout_ms", self.database.acquire_timeout_ms),
            ("database.statement_timeout_ms", self.database.statement_timeout_ms),
            ("http.request_timeout_ms", self.http.request_timeout_ms),
            ("http.header_timeout_ms", self.http.header_timeout_ms),
        ];
        match times.iter().find(|(_, millis)| !(1..=86_400_000).contains(millis)) {
            Some((key, _)) => refuse(key, "must be from 1 to 86400000 milliseconds"),
            None => Ok(()),
        }
    }

    /// The shape of token values.
    ///
    /// # Errors
    /// [`Error::Value`] for a prefix outside its grammar.
    pub fn token_format(&self) -> Result<Format, Error> {
        let parse =
            |key, text: &String| Prefix::parse(text).map_err(|bad| Error::Value { key, reason: bad.to_string() });
        let accepted = self.tokens.accepted_prefixes.iter().map(|text| parse("tokens.accepted_prefixes", text));
        Ok(Format::new(parse("tokens.prefix", &self.tokens.prefix)?, accepted.collect::<Result<_, _>>()?))
    }

    /// The settings of a workspace that has set none.
    #[must_use]
    pub fn default_settings(&self) -> Settings {
        Settings::defaults(self.tokens.enabled_by_default)
    }

    /// Which passwords may be set.
    #[must_use]
    pub fn password_policy(&self) -> Policy {
        Policy { min_chars: self.passwords.min_length }
    }

    /// What hashing a password costs.
    #[must_use]
    pub fn password_cost(&self) -> Cost {
        let Passwords { memory_kib, iterations, parallelism, queue, .. } = self.passwords;
        Cost { memory_kib, iterations, parallelism, queue }
    }

    /// How much of the database may be used.
    #[must_use]
    pub fn store_limits(&self) -> Limits {
        Limits {
            max_connections: self.database.max_connections,
            acquire_timeout: Duration::from_millis(self.database.acquire_timeout_ms),
            statement_timeout: Duration::from_millis(self.database.statement_timeout_ms),
        }
    }
}

/// Whether a variable is one that Kubernetes sets for a service of the name `tokenward`: `TOKENWARD_PORT`,
/// `TOKENWARD_SERVICE_HOST` and the like.
fn is_service_link(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key == "port" || key.starts_with("port_") || key.starts_with("service_")
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
