//! The configuration: every key with its default, and where values come from.
//!
//! Later wins: defaults, the file, `DATABASE_URL`, `TOKENWARD_SECTION__KEY`, flags. An unknown key is an error that names
//! the nearest known one. `config/default.toml` documents each key; a test proves that it equals [`Config::default`].

mod load;
pub mod secret_file;
mod sections;
mod service_link;
mod url;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    cluster,
    domain::{password::Policy, session::Lifetime, setting::Settings},
    service::{password::Cost, tokens},
    store,
};
pub use load::{Error, Overrides};
pub use sections::{
    Cache, CacheMode, Database, Delegate, Http, Leaks, Limits, Listen, Log, LogChecks, LogFormat, Pages, Passwords,
    Process, Retention, Tokens,
};
use tokenward_guard::token_format::{Prefix, TokenFormat};
pub use url::{DatabaseUrl, WebhookUrl};

/// The documented defaults, as `tokenward config default` prints them.
pub const DEFAULT_FILE: &str = include_str!("../../config/default.toml");

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
    pub limits: Limits,
    pub http: Http,
    pub pages: Pages,
    pub delegate: Delegate,
    pub cache: Cache,
    pub retention: Retention,
    pub leaks: Leaks,
    pub log: Log,
    pub process: Process,
}

impl Config {
    /// The shape of token values.
    ///
    /// # Errors
    /// [`Error::Value`] for a prefix outside its grammar.
    pub fn token_format(&self) -> Result<TokenFormat, Error> {
        let parse =
            |key, text: &String| Prefix::parse(text).map_err(|bad| Error::Value { key, reason: bad.to_string() });
        let accepted = self.tokens.accepted_prefixes.iter().map(|text| parse("tokens.accepted_prefixes", text));
        Ok(TokenFormat::new(parse("tokens.prefix", &self.tokens.prefix)?, accepted.collect::<Result<_, _>>()?))
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

    /// How long somebody stays signed in to the pages.
    #[must_use]
    pub fn session_lifetime(&self) -> Lifetime {
        let Pages { idle_minutes, absolute_hours } = self.pages;
        Lifetime { idle_seconds: 60 * i64::from(idle_minutes), absolute_seconds: 3_600 * i64::from(absolute_hours) }
    }

    /// What hashing a password costs.
    #[must_use]
    pub fn password_cost(&self) -> Cost {
        let Passwords { memory_kib, iterations, parallelism, queue, .. } = self.passwords;
        Cost { memory_kib, iterations, parallelism, queue }
    }

    /// How many tokens may be made, and how many bearers may be wrong.
    #[must_use]
    pub fn token_limits(&self) -> tokens::Limits {
        let Limits { created_tokens_per_minute, live_tokens_per_person, refused_bearers_per_minute, .. } = self.limits;
        tokens::Limits::new(created_tokens_per_minute, live_tokens_per_person, refused_bearers_per_minute)
    }

    /// How much may be known in memory, and for how long without hearing from other nodes.
    #[must_use]
    pub fn memory_limits(&self) -> cluster::Limits {
        let Cache { mode, max_tokens, max_megabytes, lease_ms } = self.cache;
        cluster::Limits {
            tokens: if mode == CacheMode::Off { 0 } else { max_tokens },
            bytes: max_megabytes.saturating_mul(1024 * 1024),
            lease: Duration::from_millis(lease_ms),
        }
    }

    /// How much of the database may be used.
    #[must_use]
    pub fn store_limits(&self) -> store::Limits {
        store::Limits {
            max_connections: self.database.max_connections,
            acquire_timeout: Duration::from_millis(self.database.acquire_timeout_ms),
            statement_timeout: Duration::from_millis(self.database.statement_timeout_ms),
        }
    }
}
