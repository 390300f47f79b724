//! The sections of the configuration, and their defaults.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{DatabaseUrl, WebhookUrl};
use crate::domain::ip_network::{ForwardedHeader, Network};

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
    /// Address and port of the figures for Prometheus. None: they are not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<SocketAddr>,
    /// The proxies whose word is taken for their clients' addresses.
    pub trusted_proxies: Vec<Network>,
    /// By which header they name them.
    pub forwarded_header: ForwardedHeader,
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

/// How much anybody may do before it is slowed down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    pub created_tokens_per_minute: u32,
    /// None: any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_tokens_per_person: Option<u32>,
    pub wrong_passwords_per_address: u32,
    pub refused_bearers_per_minute: u32,
    pub leak_reports_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            created_tokens_per_minute: 60,
            live_tokens_per_person: None,
            wrong_passwords_per_address: 100,
            refused_bearers_per_minute: 600,
            leak_reports_per_minute: 60,
        }
    }
}

/// Limits of the HTTP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    pub request_timeout_ms: u64,
    pub header_timeout_ms: u64,
    pub body_timeout_ms: u64,
    pub idle_timeout_ms: u64,
    pub connections: usize,
    pub connections_per_address: usize,
    pub shutdown_timeout_ms: u64,
}

/// The pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pages {
    pub idle_minutes: u32,
    pub absolute_hours: u32,
}

impl Default for Pages {
    fn default() -> Self {
        Self { idle_minutes: 30, absolute_hours: 12 }
    }
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

    /// Returns true if the operator configured an issuer, so that its origin may be trusted.
    #[must_use]
    pub fn has_own_issuer(&self) -> bool {
        self.issuer() != Self::default().issuer()
    }
}

/// What is kept in memory of the tokens that are checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cache {
    pub mode: CacheMode,
    pub max_tokens: usize,
    pub max_megabytes: usize,
    pub lease_ms: u64,
}

/// Whether checks may be answered from memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CacheMode {
    /// While a lease says that every change is heard of.
    #[default]
    Leased,
    /// Each check reads the store.
    Off,
}

impl Default for Cache {
    fn default() -> Self {
        Self { mode: CacheMode::Leased, max_tokens: 1_000_000, max_megabytes: 256, lease_ms: 2_000 }
    }
}

/// What is removed by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// None: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expired_tokens_days: Option<u32>,
    pub deleted_tokens_days: u32,
    /// None: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events_days: Option<u32>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { expired_tokens_days: None, deleted_tokens_days: 90, events_days: None }
    }
}

/// What happens beside deleting it when a token is reported as leaked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Leaks {
    /// Where it is told. None: nowhere but in the events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_url: Option<WebhookUrl>,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
    pub checks: LogChecks,
    /// Most lines a second about denied checks where `checks` is `refused`; 0: any number.
    pub denied_checks_per_second: u32,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Auto, checks: LogChecks::Refused, denied_checks_per_second: 20 }
    }
}

/// The process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Process {
    /// Whether the memory of the process may be written to disk or read by a debugger.
    pub core_dumps: bool,
}

/// Which checks have a line in the log. What went wrong on our side always has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogChecks {
    All,
    /// Those that let nobody in.
    #[default]
    Refused,
    Off,
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
            metrics: None,
            trusted_proxies: Vec::new(),
            forwarded_header: ForwardedHeader::default(),
        }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: DatabaseUrl::new("sqlite:tokenward.db"),
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
        Self { min_length: 15, memory_kib: 19_456, iterations: 2, parallelism: 1, queue: 128 }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            request_timeout_ms: 3_000,
            header_timeout_ms: 5_000,
            body_timeout_ms: 10_000,
            idle_timeout_ms: 75_000,
            connections: 8_192,
            connections_per_address: 512,
            shutdown_timeout_ms: 30_000,
        }
    }
}
