//! The sections of the configuration and their defaults.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{ConfigDuration, DatabaseUrlSetting, WebhookUrl, listen_address};
use crate::domain::ip_network::{ForwardedHeader, IpNetwork};

/// Listening addresses, and the reverse proxies in front of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenConfig {
    /// Address and port of the API and the pages. Port 0 picks a free port.
    #[serde(deserialize_with = "listen_address::deserialize")]
    pub http: SocketAddr,
    /// Address and port of Envoy's gRPC checks; `None` disables them.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "listen_address::deserialize_optional")]
    pub ext_authz: Option<SocketAddr>,
    /// Certificate chain (PEM) of the gRPC port; `None`: plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ext_authz_certificate: Option<PathBuf>,
    /// Private key (PEM) of the gRPC port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ext_authz_key: Option<PathBuf>,
    /// Address and port of the Prometheus metrics; `None` disables them.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "listen_address::deserialize_optional")]
    pub metrics: Option<SocketAddr>,
    /// Networks of the reverse proxies whose client addresses are trusted.
    pub trusted_proxies: Vec<IpNetwork>,
    /// The header in which these proxies report the client address.
    pub forwarded_header: ForwardedHeader,
}

/// The database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseConfig {
    pub url: DatabaseUrlSetting,
    /// Migrates the schema at start.
    pub migrate_on_start: bool,
    /// The maximum time that a start waits for PostgreSQL.
    pub startup_timeout: ConfigDuration,
    /// Maximum number of connections to PostgreSQL.
    pub max_connections: u32,
    /// The maximum time that a request waits for a connection.
    pub acquire_timeout: ConfigDuration,
    /// The maximum execution time of one PostgreSQL statement.
    pub statement_timeout: ConfigDuration,
}

/// Token values, and the defaults of workspaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokensConfig {
    /// Prefix of issued token values.
    pub prefix: String,
    /// Further prefixes that are accepted.
    pub accepted_prefixes: Vec<String>,
    /// The feature's state in workspaces that have not set it.
    pub enabled_by_default: bool,
    /// Maximum number of unexpired tokens of a person; `None`: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_active_per_person: Option<u32>,
}

/// Password rules, and the queue of password checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordsConfig {
    /// Minimum length of a new password, in characters.
    pub min_length: usize,
    /// Maximum number of password checks that wait for a core.
    pub max_queued: usize,
    pub argon2: Argon2Config,
}

/// Cost parameters of Argon2id (RFC 9106, section 3.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Argon2Config {
    pub memory_kib: u32,
    pub iterations: u32,
    pub parallelism: u32,
}

/// Rate limits. Each node counts on its own; 0 disables a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimitsConfig {
    pub token_creation_per_minute: u32,
    pub failed_logins_per_ip: u32,
    pub rejected_tokens_per_ip_per_minute: u32,
    pub leak_reports_per_ip_per_minute: u32,
}

/// Timeouts and connection limits of the HTTP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    pub request_timeout: ConfigDuration,
    pub header_timeout: ConfigDuration,
    pub body_timeout: ConfigDuration,
    pub idle_timeout: ConfigDuration,
    /// Maximum number of connections; 0: no limit.
    pub max_connections: usize,
    /// Maximum number of connections of one client address; 0: no limit.
    pub max_connections_per_ip: usize,
    pub shutdown_timeout: ConfigDuration,
}

/// Sessions of the pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionsConfig {
    /// The maximum time between two requests of a session.
    pub idle_timeout: ConfigDuration,
    /// The maximum lifetime of a session.
    pub max_age: ConfigDuration,
    /// Generating a token requires the password if it was entered some time ago.
    pub reauth_for_tokens: bool,
}

/// Forward-auth checks (`/v4/auth`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ForwardAuthConfig {
    /// Accepts e-mail and password beside tokens.
    pub allow_basic: bool,
}

/// Token introspection (RFC 7662).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IntrospectionConfig {
    /// Records an introspection as a use of the token.
    pub updates_last_used: bool,
}

/// The token cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    pub mode: CacheMode,
    /// Maximum number of cached tokens.
    pub max_tokens: usize,
    /// Maximum memory of the cache, in MiB.
    pub max_size_mib: usize,
    /// The duration of a lease. A node keeps it when it loses the database.
    pub lease_duration: ConfigDuration,
}

/// The use of the token cache by auth checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CacheMode {
    /// While this node holds a lease.
    #[default]
    Leased,
    /// Never: every check reads the database.
    Off,
}

/// Retention times of rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// The time after which expired tokens are deleted; `None`: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expired_tokens: Option<ConfigDuration>,
    /// The time after which tombstones of deleted tokens are purged.
    pub deleted_tokens: ConfigDuration,
    /// The time after which events are deleted; `None`: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<ConfigDuration>,
}

/// Reports of leaked tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LeaksConfig {
    /// A URL that receives a POST request for each leaked token; `None` disables it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_url: Option<WebhookUrl>,
}

/// Requests to addresses that users of the service choose, such as those of webhooks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutboundConfig {
    /// Allows private, unique-local and loopback addresses.
    pub allow_private: bool,
    /// PEM file with authorities that are accepted beside those of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    pub format: LogFormat,
    /// The auth checks that are logged.
    pub auth_checks: AuthCheckLogging,
    /// Maximum number of lines per second about denied auth checks; 0: no limit.
    pub denied_auth_checks_per_second: u32,
}

/// The process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProcessConfig {
    /// Allows core dumps and debuggers.
    pub core_dumps: bool,
}

/// The auth checks that are logged. Failed checks are always logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthCheckLogging {
    All,
    #[default]
    Denied,
    Off,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    Text,
    Json,
}

impl Default for ListenConfig {
    fn default() -> Self {
        Self {
            http: SocketAddr::from(([127, 0, 0, 1], 3005)),
            ext_authz: None,
            ext_authz_certificate: None,
            ext_authz_key: None,
            metrics: None,
            trusted_proxies: Vec::new(),
            forwarded_header: ForwardedHeader::default(),
        }
    }
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self {
            url: DatabaseUrlSetting::new("sqlite:tokenward.db"),
            migrate_on_start: true,
            startup_timeout: ConfigDuration::from_secs(30),
            max_connections: 8,
            acquire_timeout: ConfigDuration::from_secs(2),
            statement_timeout: ConfigDuration::from_secs(5),
        }
    }
}

impl Default for TokensConfig {
    fn default() -> Self {
        Self {
            prefix: "twd".to_owned(),
            accepted_prefixes: Vec::new(),
            enabled_by_default: true,
            max_active_per_person: None,
        }
    }
}

impl Default for PasswordsConfig {
    fn default() -> Self {
        Self { min_length: 15, max_queued: 128, argon2: Argon2Config::default() }
    }
}

impl Default for Argon2Config {
    fn default() -> Self {
        Self { memory_kib: 19_456, iterations: 2, parallelism: 1 }
    }
}

impl Default for RateLimitsConfig {
    fn default() -> Self {
        Self {
            token_creation_per_minute: 60,
            failed_logins_per_ip: 100,
            rejected_tokens_per_ip_per_minute: 600,
            leak_reports_per_ip_per_minute: 60,
        }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            request_timeout: ConfigDuration::from_secs(3),
            header_timeout: ConfigDuration::from_secs(5),
            body_timeout: ConfigDuration::from_secs(10),
            idle_timeout: ConfigDuration::from_secs(75),
            max_connections: 8_192,
            max_connections_per_ip: 512,
            shutdown_timeout: ConfigDuration::from_secs(30),
        }
    }
}

impl Default for SessionsConfig {
    fn default() -> Self {
        Self {
            idle_timeout: ConfigDuration::from_secs(30 * 60),
            max_age: ConfigDuration::from_secs(12 * 3_600),
            reauth_for_tokens: true,
        }
    }
}

impl Default for ForwardAuthConfig {
    fn default() -> Self {
        Self { allow_basic: true }
    }
}

impl Default for IntrospectionConfig {
    fn default() -> Self {
        Self { updates_last_used: true }
    }
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            mode: CacheMode::Leased,
            max_tokens: 1_000_000,
            max_size_mib: 256,
            lease_duration: ConfigDuration::from_secs(2),
        }
    }
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { expired_tokens: None, deleted_tokens: ConfigDuration::from_secs(90 * 86_400), events: None }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Auto, auth_checks: AuthCheckLogging::Denied, denied_auth_checks_per_second: 20 }
    }
}
