//! Filters of token lists and of bulk deletions.

use serde_json::{Map, Value};

use super::{
    ValidationError,
    service_account::PersonKind,
    setting_conflict::SettingConflict,
    time::Timestamp,
    token::{Description, TokenStatus},
};

/// The conditions that tokens of a list meet. A field without a value is no condition.
///
/// To add a condition: add a field here, to [`TokenFilter::to_fields`], which the compiler demands, and
/// its SQL to `store/tokens/filter.rs`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenFilter {
    pub status: Option<TokenStatus>,
    /// Only tokens with this text in the description.
    pub description: Option<DescriptionPart>,
    pub created: TimeRange,
    /// Tokens that never expire are in no range.
    pub expires: TimeRange,
    /// Tokens that were never used are in no range.
    pub last_used: TimeRange,
    /// `true`: only tokens that were never used; `false`: only tokens that were used.
    pub never_used: Option<bool>,
    /// Only tokens that have not been used since this time, including tokens that were never used.
    pub unused_since: Option<Timestamp>,
    /// Only tokens with this scope. Unrestricted tokens do not match.
    pub scope: Option<String>,
    /// Only tokens of people, or only those of service accounts.
    pub kind: Option<PersonKind>,
    /// Only tokens that conflict with a value of a setting.
    pub conflict: Option<SettingConflict>,
    /// Only tokens with this text in the description, the display prefix or the owner's e-mail, or
    /// with this token ID.
    pub search: Option<String>,
}

/// A range of time: from `after`, which it includes, to `before`, which it does not. An end without
/// a value is open. Adjacent ranges have neither gap nor overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeRange {
    pub after: Option<Timestamp>,
    pub before: Option<Timestamp>,
}

/// A part of a description: 1 to [`Description::MAX_CHARS`] characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescriptionPart(String);

impl TimeRange {
    /// Returns whether both ends are open.
    #[must_use]
    pub const fn is_open(self) -> bool {
        self.after.is_none() && self.before.is_none()
    }
}

impl DescriptionPart {
    /// Validates a part of a description.
    ///
    /// # Errors
    /// [`ValidationError::Empty`] if it is empty, because every description contains the empty text.
    /// [`ValidationError::TooLong`] over [`Description::MAX_CHARS`].
    pub fn parse(text: String) -> Result<Self, ValidationError> {
        const FIELD: &str = "description";
        if text.is_empty() {
            return Err(ValidationError::Empty { field: FIELD });
        }
        if text.chars().count() > Description::MAX_CHARS {
            return Err(ValidationError::TooLong { field: FIELD, max: Description::MAX_CHARS });
        }
        Ok(Self(text))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TokenFilter {
    /// Returns whether the filter has no condition.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks that the conditions do not exclude each other.
    ///
    /// # Errors
    /// [`ValidationError::NeverUsedWithRange`] if it selects tokens that were never used by the time
    /// of their use.
    pub fn validate(self) -> Result<Self, ValidationError> {
        if self.never_used == Some(true) && !self.last_used.is_open() {
            return Err(ValidationError::NeverUsedWithRange);
        }
        Ok(self)
    }

    /// Returns the conditions for the audit log, by their names in the API. `unusedSince`, `search` and
    /// `settingConflict` are conditions of the pages only; the value of the last is for people to read.
    #[must_use]
    pub fn to_fields(&self) -> Map<String, Value> {
        let Self {
            status,
            description,
            created,
            expires,
            last_used,
            never_used,
            unused_since,
            scope,
            kind,
            conflict,
            search,
        } = self;
        let time = |time: &Option<Timestamp>| time.map(|time| Value::from(time.to_string()));
        let fields = [
            ("status", status.map(|status| status.as_str().into())),
            ("description", description.as_ref().map(|part| part.as_str().into())),
            ("createdBefore", time(&created.before)),
            ("createdAfter", time(&created.after)),
            ("expiresBefore", time(&expires.before)),
            ("expiresAfter", time(&expires.after)),
            ("lastUsedBefore", time(&last_used.before)),
            ("lastUsedAfter", time(&last_used.after)),
            ("neverUsed", never_used.map(Value::from)),
            ("unusedSince", time(unused_since)),
            ("scope", scope.as_deref().map(Value::from)),
            ("kind", kind.map(|kind| kind.as_str().into())),
            ("settingConflict", conflict.map(|conflict| format!("{conflict:?}").into())),
            ("search", search.as_deref().map(Value::from)),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_empty_without_conditions_only() {
        assert!(TokenFilter::default().is_empty());
        let range = TimeRange { after: Some(Timestamp::MIN), before: None };
        for filter in [
            TokenFilter { status: Some(TokenStatus::Active), ..TokenFilter::default() },
            TokenFilter { created: range, ..TokenFilter::default() },
            TokenFilter { expires: range, ..TokenFilter::default() },
            TokenFilter { last_used: range, ..TokenFilter::default() },
            TokenFilter { never_used: Some(false), ..TokenFilter::default() },
            TokenFilter { scope: Some("read".to_owned()), ..TokenFilter::default() },
            TokenFilter { kind: Some(PersonKind::Service), ..TokenFilter::default() },
        ] {
            assert!(!filter.is_empty() && filter.to_fields().len() == 1, "{filter:?}");
        }
    }

    #[test]
    fn a_part_of_a_description_has_1_to_255_characters() {
        assert!(DescriptionPart::parse(String::new()).is_err());
        assert!(DescriptionPart::parse("é".repeat(255)).is_ok());
        assert!(DescriptionPart::parse("é".repeat(256)).is_err());
    }

    #[test]
    fn the_time_of_use_of_unused_tokens_is_no_condition() {
        let last_used = TimeRange { before: Some(Timestamp::MAX), after: None };
        let filter = |never_used| TokenFilter { last_used, never_used, ..TokenFilter::default() };
        assert_eq!(filter(Some(true)).validate(), Err(ValidationError::NeverUsedWithRange));
        assert!(filter(Some(false)).validate().is_ok() && filter(None).validate().is_ok());
    }
}
