//! The settings in effect in a workspace, and where their values come from.

use super::{ChildTokenPolicy, SettingKey, SettingValue, UNLIMITED_DAYS};
use crate::domain::{expiry_warning::ExpiryWarningDays, scope_catalog::ScopeCatalog};

/// The source of the effective value of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingSource {
    /// An administrator of the workspace set it.
    Workspace,
    /// The operator's configuration differs from the built-in default.
    Configuration,
    /// The built-in default.
    Default,
}

impl SettingSource {
    /// Returns the name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Configuration => "configuration",
            Self::Default => "default",
        }
    }
}

/// The settings in effect in a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub enabled: bool,
    pub allow_users: bool,
    /// `None`: unlimited.
    pub max_lifetime_days: Option<i64>,
    pub child_tokens: ChildTokenPolicy,
    /// The scopes that new tokens may have.
    pub scopes: ScopeCatalog,
    /// New tokens must have scopes.
    pub require_scopes: bool,
    /// The client address of each token's last use is stored and shown.
    pub record_addresses: bool,
    pub expiry_warning_days: ExpiryWarningDays,
}

impl Settings {
    /// Returns the settings of a workspace that has set none. The operator's configuration
    /// determines `enabled`.
    #[must_use]
    pub const fn defaults(enabled: bool) -> Self {
        Self {
            enabled,
            allow_users: false,
            max_lifetime_days: None,
            child_tokens: ChildTokenPolicy::Allowed,
            scopes: ScopeCatalog::EMPTY,
            require_scopes: false,
            record_addresses: true,
            expiry_warning_days: ExpiryWarningDays::DEFAULT,
        }
    }

    /// Replaces the settings that a workspace has set itself.
    #[must_use]
    pub fn with_overrides(&self, overrides: Vec<(SettingKey, SettingValue)>) -> Self {
        overrides.into_iter().fold(self.clone(), |settings, (key, value)| settings.with(key, value))
    }

    /// Replaces one setting. A value of another type than the key accepts has no effect.
    #[must_use]
    pub fn with(mut self, key: SettingKey, value: SettingValue) -> Self {
        match (key, value) {
            (SettingKey::Enabled, SettingValue::Switch(on)) => self.enabled = on,
            (SettingKey::AllowUsers, SettingValue::Switch(on)) => self.allow_users = on,
            (SettingKey::MaxLifetimeDays, SettingValue::Days(days)) => {
                self.max_lifetime_days = if days == UNLIMITED_DAYS { None } else { Some(days) };
            }
            (SettingKey::ChildTokens, SettingValue::ChildTokenPolicy(policy)) => self.child_tokens = policy,
            (SettingKey::Scopes, SettingValue::ScopeCatalog(catalog)) => self.scopes = catalog,
            (SettingKey::RequireScopes, SettingValue::Switch(on)) => self.require_scopes = on,
            (SettingKey::RecordAddresses, SettingValue::Switch(on)) => self.record_addresses = on,
            (SettingKey::ExpiryWarningDays, SettingValue::DayList(days)) => self.expiry_warning_days = days,
            (
                SettingKey::Enabled
                | SettingKey::AllowUsers
                | SettingKey::MaxLifetimeDays
                | SettingKey::ChildTokens
                | SettingKey::Scopes
                | SettingKey::RequireScopes
                | SettingKey::RecordAddresses
                | SettingKey::ExpiryWarningDays,
                _,
            ) => {}
        }
        self
    }

    /// Returns where the value of a setting comes from, if these are the operator's defaults and
    /// `value` is the workspace's own value.
    #[must_use]
    pub fn source(&self, key: SettingKey, value: Option<&SettingValue>) -> SettingSource {
        if value.is_some() {
            SettingSource::Workspace
        } else if self.get(key) == Self::defaults(true).get(key) {
            SettingSource::Default
        } else {
            SettingSource::Configuration
        }
    }

    /// Returns the value of one setting.
    #[must_use]
    pub fn get(&self, key: SettingKey) -> SettingValue {
        match key {
            SettingKey::Enabled => SettingValue::Switch(self.enabled),
            SettingKey::AllowUsers => SettingValue::Switch(self.allow_users),
            SettingKey::MaxLifetimeDays => SettingValue::Days(self.max_lifetime_days.unwrap_or(UNLIMITED_DAYS)),
            SettingKey::ChildTokens => SettingValue::ChildTokenPolicy(self.child_tokens),
            SettingKey::Scopes => SettingValue::ScopeCatalog(self.scopes.clone()),
            SettingKey::RequireScopes => SettingValue::Switch(self.require_scopes),
            SettingKey::RecordAddresses => SettingValue::Switch(self.record_addresses),
            SettingKey::ExpiryWarningDays => SettingValue::DayList(self.expiry_warning_days),
        }
    }
}
