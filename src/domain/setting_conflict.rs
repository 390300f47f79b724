//! Existing tokens that a new value of a setting would not permit to be created.

use super::{
    ValidationError,
    setting::{SettingKey, SettingValue},
};

/// The property of tokens that conflict with a value of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingConflict {
    /// Tokens that live longer than this number of days, or never expire.
    LongerThanDays(i64),
    /// Tokens without scopes.
    Unrestricted,
    /// All tokens.
    Any,
}

impl SettingConflict {
    /// The settings whose values can conflict with existing tokens.
    pub const KEYS: [SettingKey; 3] = [SettingKey::Enabled, SettingKey::MaxLifetimeDays, SettingKey::RequireScopes];

    /// Returns the tokens that conflict with a value of a setting, or `None` if none can. A change of
    /// `feature.apiAccessTokens.enabled` stops them, the others leave them as they are.
    ///
    /// # Errors
    /// [`ValidationError::SettingWithoutPreview`] if no value of the setting conflicts with tokens.
    pub fn of(key: SettingKey, value: &SettingValue) -> Result<Option<Self>, ValidationError> {
        match (key, value) {
            (SettingKey::Enabled, SettingValue::Switch(on)) => Ok((!on).then_some(Self::Any)),
            (SettingKey::MaxLifetimeDays, SettingValue::Days(days)) => {
                Ok((*days > 0).then_some(Self::LongerThanDays(*days)))
            }
            (SettingKey::RequireScopes, SettingValue::Switch(on)) => Ok(on.then_some(Self::Unrestricted)),
            _ => Err(ValidationError::SettingWithoutPreview { key: key.as_str() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::setting::Settings;

    #[test]
    fn only_values_that_take_something_away_conflict() {
        use SettingKey::{ChildTokens, Enabled, MaxLifetimeDays, RequireScopes};
        let of = |key: SettingKey, text: &str| SettingConflict::of(key, &key.parse_value(text).unwrap());
        assert_eq!(of(Enabled, "true"), Ok(None));
        assert_eq!(of(Enabled, "false"), Ok(Some(SettingConflict::Any)));
        assert_eq!(of(MaxLifetimeDays, "-1"), Ok(None));
        assert_eq!(of(MaxLifetimeDays, "30"), Ok(Some(SettingConflict::LongerThanDays(30))));
        assert_eq!(of(RequireScopes, "false"), Ok(None));
        assert_eq!(of(RequireScopes, "true"), Ok(Some(SettingConflict::Unrestricted)));
        assert!(of(ChildTokens, "forbidden").is_err());
        for key in SettingKey::ALL {
            let default = Settings::defaults(true).get(key);
            assert_eq!(SettingConflict::of(key, &default).is_ok(), SettingConflict::KEYS.contains(&key), "{key:?}");
        }
    }
}
