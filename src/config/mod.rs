//! The configuration: every key with its default, and the sources of values.
//!
//! Later sources override earlier ones: defaults, the file, `DATABASE_URL`,
//! `TOKENWARD_SECTION__KEY`, flags. An unknown key is an error that names the nearest known key.
//! `config/default.toml` documents each key; a test compares it with [`Config::default`].

mod duration;
mod error;
mod known_keys;
pub mod listen_address;
mod load;
mod mail;
mod public_url;
pub mod secret_file;
mod sections;
mod service_link;
mod sources;
mod sso;
mod url;
mod value_error;

use serde::{Deserialize, Serialize};

use crate::{
    cluster,
    domain::{
        password::PasswordPolicy, reaffirmation::ReaffirmationRules, scim::CREDENTIAL_PREFIX, session::SessionLifetime,
        setting::Settings,
    },
    mail::Mailer,
    service::{
        directories::DirectoryProviderSettings, openid_providers::OpenIdProviderSettings, password::Cost,
        saml_providers::SamlProviderSettings, tokens,
    },
    store,
};
pub use duration::ConfigDuration;
pub use error::Error;
pub use known_keys::known_keys;
pub use load::Overrides;
pub use mail::{MailConfig, MailTls};
pub use sections::{
    Argon2Config, AuthCheckLogging, CacheConfig, CacheMode, DatabaseConfig, ForwardAuthConfig, HttpConfig,
    IntrospectionConfig, LeaksConfig, ListenConfig, LogConfig, LogFormat, OutboundConfig, PasswordsConfig,
    ProcessConfig, RateLimitsConfig, RetentionConfig, SessionsConfig, TokensConfig,
};
pub use sources::{Source, Sources};
pub use sso::{
    ALLOW_KEYS, AllowConfig, DIRECTORY_KEYS, DirectoryConfig, OPENID_CONNECT_KEYS, OpenIdConnectConfig, ProviderConfig,
    SAML_KEYS, SamlConfig, SsoConfig,
};
use tokenward_guard::token_format::{Prefix, TokenFormat};
pub use url::{DatabaseUrlSetting, WebhookUrl};

/// The documented defaults, as `tokenward config default` prints them.
pub const DEFAULT_FILE: &str = include_str!("../../config/default.toml");

/// Variables with the prefix `TOKENWARD_` that are not configuration keys. Only the first start
/// reads them.
pub const FIRST_START_VARIABLES: [&str; 2] = ["TOKENWARD_ADMIN_EMAIL", "TOKENWARD_ADMIN_PASSWORD"];

/// The configuration of a service. The default is a working service on the local machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The URL under which clients reach this service; `None`: the one of the listener.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_url: Option<String>,
    pub listen: ListenConfig,
    pub database: DatabaseConfig,
    pub tokens: TokensConfig,
    pub passwords: PasswordsConfig,
    pub rate_limits: RateLimitsConfig,
    pub http: HttpConfig,
    pub sessions: SessionsConfig,
    pub forward_auth: ForwardAuthConfig,
    pub introspection: IntrospectionConfig,
    pub cache: CacheConfig,
    pub retention: RetentionConfig,
    pub leaks: LeaksConfig,
    pub outbound: OutboundConfig,
    pub mail: MailConfig,
    pub log: LogConfig,
    pub process: ProcessConfig,
    #[serde(skip_serializing_if = "SsoConfig::is_empty")]
    pub sso: SsoConfig,
}

impl Config {
    /// Returns the URL under which clients reach this service, without a trailing slash. It is the
    /// issuer of introspection responses and OAuth metadata (RFC 8414, section 2), and the origin
    /// of the pages. If none is configured, it is derived from `listen.http`.
    #[must_use]
    pub fn public_url(&self) -> String {
        let derived = || public_url::of_listener(self.listen.http);
        self.configured_public_url().map_or_else(derived, str::to_owned)
    }

    /// Returns `true` if the operator configured a public URL, so that its origin may be trusted.
    #[must_use]
    pub fn has_public_url(&self) -> bool {
        self.configured_public_url().is_some()
    }

    /// Returns `true` if other machines can connect, but no public URL is configured.
    #[must_use]
    pub fn lacks_public_url(&self) -> bool {
        !self.has_public_url() && !self.listen.http.ip().is_loopback()
    }

    fn configured_public_url(&self) -> Option<&str> {
        self.public_url.as_deref().map(|url| url.trim_end_matches('/')).filter(|url| !url.is_empty())
    }

    /// Sets the public URL.
    pub fn set_public_url(&mut self, url: &str) {
        self.public_url = Some(url.to_owned());
    }

    /// Returns the format of token values.
    ///
    /// # Errors
    /// [`Error::Value`] for a prefix outside its grammar.
    pub fn token_format(&self) -> Result<TokenFormat, Error> {
        let parse = |key, text: &String| {
            if text == CREDENTIAL_PREFIX {
                let reason = format!("is {text}, which is the prefix of SCIM credentials; choose another one");
                return Err(Error::Value { key, reason });
            }
            Prefix::parse(text).map_err(|error| Error::Value { key, reason: format!("is invalid: {error}") })
        };
        let accepted = self.tokens.accepted_prefixes.iter().map(|text| parse("tokens.accepted_prefixes", text));
        Ok(TokenFormat::new(parse("tokens.prefix", &self.tokens.prefix)?, accepted.collect::<Result<_, _>>()?))
    }

    /// Returns the default settings of workspaces.
    #[must_use]
    pub fn default_settings(&self) -> Settings {
        Settings::defaults(self.tokens.enabled_by_default)
    }

    /// Returns the rules for new passwords.
    #[must_use]
    pub fn password_policy(&self) -> PasswordPolicy {
        PasswordPolicy { min_chars: self.passwords.min_length }
    }

    /// Returns the lifetime of web sessions.
    #[must_use]
    pub fn session_lifetime(&self) -> SessionLifetime {
        SessionLifetime {
            idle_timeout_seconds: self.sessions.idle_timeout.as_secs(),
            max_age_seconds: self.sessions.max_age.as_secs(),
        }
    }

    /// Returns the cost parameters of password hashing.
    #[must_use]
    pub fn password_cost(&self) -> Cost {
        let Argon2Config { memory_kib, iterations, parallelism } = self.passwords.argon2;
        Cost { memory_kib, iterations, parallelism, max_queued: self.passwords.max_queued }
    }

    /// Returns the limits on tokens and on rejected tokens.
    #[must_use]
    pub fn token_limits(&self) -> tokens::TokenLimits {
        let RateLimitsConfig { token_creation_per_minute, rejected_tokens_per_ip_per_minute, .. } = self.rate_limits;
        let max_active = self.tokens.max_active_per_person;
        let reaffirmation = self.reaffirmation_rules();
        tokens::TokenLimits::new(
            token_creation_per_minute,
            max_active,
            rejected_tokens_per_ip_per_minute,
            reaffirmation,
        )
    }

    /// Returns the time after which tokens pause, per identity provider.
    fn reaffirmation_rules(&self) -> ReaffirmationRules {
        ReaffirmationRules::new(
            self.sso.iter().filter_map(|(name, provider)| Some((name.clone(), provider.reaffirm_after()?.as_secs()))),
        )
    }

    /// Returns the limits of the token cache.
    #[must_use]
    pub fn cache_limits(&self) -> cluster::CacheLimits {
        let CacheConfig { mode, max_tokens, max_size_mib, lease_duration } = self.cache;
        cluster::CacheLimits {
            max_tokens: if mode == CacheMode::Off { 0 } else { max_tokens },
            max_bytes: max_size_mib.saturating_mul(1024 * 1024),
            lease_duration: lease_duration.get(),
        }
    }

    /// Returns the settings of the directories, with their passwords.
    ///
    /// # Errors
    /// If a file with a password cannot be read, or is readable by other users.
    pub fn directories(&self) -> Result<Vec<DirectoryProviderSettings>, Error> {
        let directories = self.sso.iter().filter_map(|(name, provider)| Some((name, provider.directory()?)));
        directories.map(|(name, directory)| directory.settings(name)).collect()
    }

    /// Returns the settings of the `OpenID` providers, with their secrets.
    ///
    /// # Errors
    /// If a file with a secret cannot be read, or is readable by other users.
    pub fn openid_providers(&self) -> Result<Vec<OpenIdProviderSettings>, Error> {
        let url = self.public_url();
        let providers = self.sso.iter().filter_map(|(name, provider)| Some((name, provider.openid_connect()?)));
        providers.map(|(name, provider)| provider.settings(name, &url)).collect()
    }

    /// Returns the settings of the SAML providers, with their metadata and keys.
    ///
    /// # Errors
    /// If a file cannot be read, or a file with a key is readable by other users.
    pub fn saml_providers(&self) -> Result<Vec<SamlProviderSettings>, Error> {
        let url = self.public_url();
        let providers = self.sso.iter().filter_map(|(name, provider)| Some((name, provider.saml()?)));
        providers.map(|(name, provider)| provider.settings(name, &url)).collect()
    }

    /// Returns the mailer, with the password of the SMTP server; `None` if e-mail is off.
    ///
    /// # Errors
    /// If a file cannot be read, a secret is readable by other users, or the sender is invalid.
    pub fn mailer(&self) -> Result<Option<Mailer>, Error> {
        self.mail.mailer()
    }

    /// Returns the limits of database connections.
    #[must_use]
    pub fn store_limits(&self) -> store::PoolLimits {
        store::PoolLimits {
            max_connections: self.database.max_connections,
            acquire_timeout: self.database.acquire_timeout.get(),
            statement_timeout: self.database.statement_timeout.get(),
        }
    }
}
