//! Workspace settings: their keys, the values they accept, and the settings in effect.

use super::{
    ValidationError,
    expiry_warning::ExpiryWarningDays,
    scope_catalog::{CatalogScope, ScopeCatalog},
};

mod effective;
mod texts;

pub use effective::{SettingSource, Settings};

/// The key of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SettingKey {
    Enabled,
    AllowUsers,
    MaxLifetimeDays,
    ChildTokens,
    Scopes,
    RequireScopes,
    RecordAddresses,
    ExpiryWarningDays,
}

/// A valid value of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingValue {
    Switch(bool),
    /// A number of days, or -1 for unlimited.
    Days(i64),
    ChildTokenPolicy(ChildTokenPolicy),
    /// Numbers of days.
    DayList(ExpiryWarningDays),
    ScopeCatalog(ScopeCatalog),
}

/// The tokens that a token may create.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChildTokenPolicy {
    /// Tokens of any lifetime, so that a token can be renewed before it expires.
    #[default]
    Allowed,
    /// Tokens that do not expire later than their parent.
    WithinParent,
    /// No tokens. Creating a token requires the password or a page.
    Forbidden,
}

impl ChildTokenPolicy {
    pub const ALL: [Self; 3] = [Self::Allowed, Self::WithinParent, Self::Forbidden];

    /// Returns the name in the API and the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::WithinParent => "bounded",
            Self::Forbidden => "forbidden",
        }
    }

    /// Parses a name. Returns `None` for any other word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == text)
    }
}

/// The type of value that a key accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingKind {
    Switch,
    Days,
    ChildTokenPolicy,
    DayList,
    ScopeCatalog,
}

/// The value of `maxLifetimeDays` that means no maximum.
const UNLIMITED_DAYS: i64 = -1;

impl SettingKey {
    pub const ALL: [Self; 8] = [
        Self::Enabled,
        Self::AllowUsers,
        Self::MaxLifetimeDays,
        Self::ChildTokens,
        Self::Scopes,
        Self::RequireScopes,
        Self::RecordAddresses,
        Self::ExpiryWarningDays,
    ];
    /// The greatest value of `maxLifetimeDays`.
    pub const MAX_DAYS: i64 = 36_500;

    /// Returns the name in the API and the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "feature.apiAccessTokens.enabled",
            Self::AllowUsers => "feature.apiAccessTokens.allowUsers",
            Self::MaxLifetimeDays => "feature.apiAccessTokens.maxLifetimeDays",
            Self::ChildTokens => "tokenward.childTokens",
            Self::Scopes => "tokenward.scopes",
            Self::RequireScopes => "tokenward.requireScopes",
            Self::RecordAddresses => "tokenward.recordAddresses",
            Self::ExpiryWarningDays => "tokenward.expiryWarningDays",
        }
    }

    /// Finds a key by its exact name.
    ///
    /// # Errors
    /// [`ValidationError::UnknownSetting`] for any other name. Its message lists all keys.
    pub fn parse(text: &str) -> Result<Self, ValidationError> {
        let key = Self::ALL.into_iter().find(|key| key.as_str() == text);
        key.ok_or_else(|| {
            let known_keys = Self::ALL.map(Self::as_str).join(", ");
            ValidationError::UnknownSetting { key: text.chars().take(100).collect(), known_keys }
        })
    }

    /// Returns the type of value that the key accepts.
    #[must_use]
    pub const fn kind(self) -> SettingKind {
        match self {
            Self::Enabled | Self::AllowUsers | Self::RequireScopes | Self::RecordAddresses => SettingKind::Switch,
            Self::MaxLifetimeDays => SettingKind::Days,
            Self::ChildTokens => SettingKind::ChildTokenPolicy,
            Self::ExpiryWarningDays => SettingKind::DayList,
            Self::Scopes => SettingKind::ScopeCatalog,
        }
    }

    const fn expected_values(self) -> &'static str {
        match self.kind() {
            SettingKind::Switch => "true or false",
            SettingKind::Days => "-1 (unlimited) or a whole number of days from 1 to 36500",
            SettingKind::ChildTokenPolicy => "allowed, bounded or forbidden",
            SettingKind::ScopeCatalog => "an array of at most 100 objects, each with name and description",
            SettingKind::DayList => "an array of at most 8 whole numbers of days from 1 to 3650",
        }
    }

    /// Validates a boolean value.
    ///
    /// # Errors
    /// [`ValidationError::InvalidSettingValue`] if the key is not a switch.
    pub fn validate_switch(self, on: bool) -> Result<SettingValue, ValidationError> {
        if self.kind() == SettingKind::Switch { Ok(SettingValue::Switch(on)) } else { Err(self.invalid_value()) }
    }

    /// Validates a text value.
    ///
    /// # Errors
    /// [`ValidationError::InvalidSettingValue`] if the key accepts no text, or not this one.
    pub fn validate_word(self, text: &str) -> Result<SettingValue, ValidationError> {
        let policy = ChildTokenPolicy::parse(text).filter(|_| self.kind() == SettingKind::ChildTokenPolicy);
        policy.map(SettingValue::ChildTokenPolicy).ok_or(self.invalid_value())
    }

    /// Validates numbers of days.
    ///
    /// # Errors
    /// [`ValidationError::InvalidSettingValue`] if the key accepts no list, the list is too long, or a
    /// number is out of range.
    pub fn validate_day_list(self, days: &[i64]) -> Result<SettingValue, ValidationError> {
        let days = ExpiryWarningDays::new(days).filter(|_| self.kind() == SettingKind::DayList);
        days.map(SettingValue::DayList).ok_or(self.invalid_value())
    }

    /// Validates the scopes of a catalog.
    ///
    /// # Errors
    /// [`ValidationError::InvalidSettingValue`] if the key accepts no scopes, or an error of
    /// [`ScopeCatalog::new`].
    pub fn validate_scopes(self, scopes: Vec<CatalogScope>) -> Result<SettingValue, ValidationError> {
        if self.kind() != SettingKind::ScopeCatalog {
            return Err(self.invalid_value());
        }
        ScopeCatalog::new(scopes).map(SettingValue::ScopeCatalog)
    }

    /// Validates a number of days.
    ///
    /// # Errors
    /// [`ValidationError::InvalidSettingValue`] if the key accepts no days, or the number is out of
    /// range.
    pub fn validate_days(self, days: i64) -> Result<SettingValue, ValidationError> {
        let in_range = days == UNLIMITED_DAYS || (1..=Self::MAX_DAYS).contains(&days);
        if self == Self::MaxLifetimeDays && in_range { Ok(SettingValue::Days(days)) } else { Err(self.invalid_value()) }
    }

    /// Returns the error for a value that the key does not accept.
    #[must_use]
    pub const fn invalid_value(self) -> ValidationError {
        ValidationError::InvalidSettingValue { key: self.as_str(), expected: self.expected_values() }
    }

    /// Parses the text that [`SettingValue::to_text`] returns. Returns `None` for any other text.
    #[must_use]
    pub fn parse_value(self, text: &str) -> Option<SettingValue> {
        match self.kind() {
            SettingKind::Switch => self.validate_switch(text.parse().ok()?).ok(),
            SettingKind::Days => self.validate_days(text.parse().ok()?).ok(),
            SettingKind::ChildTokenPolicy => self.validate_word(text).ok(),
            SettingKind::DayList => ExpiryWarningDays::parse(text).map(SettingValue::DayList),
            SettingKind::ScopeCatalog => ScopeCatalog::parse_stored(text).map(SettingValue::ScopeCatalog),
        }
    }
}

impl SettingValue {
    /// Returns the text that is stored: `true`, `false`, a decimal number, a word, numbers separated by
    /// commas or JSON.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Switch(on) => on.to_string(),
            Self::Days(days) => days.to_string(),
            Self::ChildTokenPolicy(policy) => policy.as_str().to_owned(),
            Self::DayList(days) => days.to_string(),
            Self::ScopeCatalog(catalog) => catalog.to_stored(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_accepts_values_of_its_own_kind_and_range_only() {
        assert_eq!(SettingKey::Enabled.validate_switch(false), Ok(SettingValue::Switch(false)));
        let (switch, words) = (SettingKind::Switch, SettingKind::ChildTokenPolicy);
        let (days, list, catalog) = (SettingKind::Days, SettingKind::DayList, SettingKind::ScopeCatalog);
        let kinds = [switch, switch, days, words, catalog, switch, switch, list];
        assert_eq!(SettingKey::ALL.map(SettingKey::kind), kinds);
        assert!(SettingKey::Enabled.validate_days(1).is_err());
        assert!(SettingKey::MaxLifetimeDays.validate_switch(true).is_err());
        for (days, is_valid) in [(-1, true), (1, true), (36_500, true), (0, false), (-2, false), (36_501, false)] {
            assert_eq!(SettingKey::MaxLifetimeDays.validate_days(days).is_ok(), is_valid, "{days}");
        }
    }

    #[test]
    fn stored_keys_and_values_parse_to_the_same_setting() {
        for (key, value) in [
            (SettingKey::Enabled, SettingValue::Switch(false)),
            (SettingKey::AllowUsers, SettingValue::Switch(true)),
            (SettingKey::MaxLifetimeDays, SettingValue::Days(365)),
            (SettingKey::ChildTokens, SettingValue::ChildTokenPolicy(ChildTokenPolicy::WithinParent)),
            (SettingKey::ExpiryWarningDays, SettingKey::ExpiryWarningDays.validate_day_list(&[90, 14]).unwrap()),
            (SettingKey::Scopes, SettingValue::ScopeCatalog(ScopeCatalog::parse_lines("deploy Deploy").unwrap())),
        ] {
            assert_eq!(key.parse_value(&value.to_text()), Some(value.clone()));
            assert_eq!(Settings::defaults(true).with(key, value.clone()).get(key), value);
            assert_eq!(SettingKey::parse(key.as_str()), Ok(key));
        }
        assert_eq!(SettingKey::Enabled.parse_value("yes"), None);
    }
}
