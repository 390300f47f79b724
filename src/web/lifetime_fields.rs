//! The fields of a form that choose the lifetime of a new token.

use serde::Deserialize;

use super::{
    form_error::FormError,
    format::{DisplayTime, duration},
    messages::for_invalid,
};
use crate::domain::{
    ValidationError,
    time::Timestamp,
    token::{Lifetime, Token},
};

/// The suggested lifetimes in days.
const PRESETS: [i64; 3] = [30, 90, 365];
const DAY_SECONDS: i64 = 86_400;
/// The choice of the lifetime of a replaced token.
const SAME: &str = "same";

/// The fields, as submitted.
#[derive(Default, Deserialize)]
pub(super) struct LifetimeFields {
    /// A number of days, `same` or `custom`.
    #[serde(default)]
    lifetime: String,
    /// The number of days if `lifetime` is `custom`.
    #[serde(default)]
    days: String,
}

/// The fields, as a page shows them.
pub(super) struct LifetimeChoices<'a> {
    pub max_days: Option<i64>,
    pub same: Option<LifetimeChoice>,
    pub presets: Vec<LifetimeChoice>,
    pub is_never_selected: bool,
    pub is_custom_selected: bool,
    pub days: &'a str,
}

/// A choice between lifetimes.
pub(super) struct LifetimeChoice {
    /// The value of the field.
    pub value: String,
    pub label: String,
    /// `None`: the token never expires.
    pub end: Option<DisplayTime>,
    pub is_selected: bool,
}

impl LifetimeFields {
    /// Returns the fields with the shortest suggested lifetime, or with the maximum if all exceed it.
    pub(super) fn first(max_days: Option<i64>) -> Self {
        match PRESETS.into_iter().find(|days| max_days.is_none_or(|max| *days <= max)) {
            Some(days) => Self { lifetime: days.to_string(), days: String::new() },
            None => Self { lifetime: "custom".to_owned(), days: max_days.unwrap_or(1).to_string() },
        }
    }

    /// Returns the fields with the lifetime of a replaced token, or the first suggested lifetime if it
    /// exceeds the maximum.
    pub(super) fn of_replaced(replaced: &Token, max_days: Option<i64>) -> Self {
        match lifetime_of(replaced, max_days) {
            Some(_) => Self { lifetime: SAME.to_owned(), days: String::new() },
            None => Self::first(max_days),
        }
    }

    /// Returns `true` if the lifetime of the replaced token was chosen.
    pub(super) fn is_same(&self) -> bool {
        self.lifetime == SAME && self.days.trim().is_empty()
    }

    /// Returns the requested lifetime. `max_days` is the maximum of the workspace.
    ///
    /// # Errors
    /// The reason why the fields are rejected.
    pub(super) fn parse(&self, max_days: Option<i64>) -> Result<Lifetime, FormError> {
        let selected = self.lifetime.trim();
        let entered = self.days.trim();
        let text = match (selected, entered) {
            ("custom" | "", entered) => entered,
            (selected, "") => selected,
            (selected, entered) if selected == entered => selected,
            (_, entered) => {
                let message = format!(
                    "You entered {entered} days, but chose another lifetime. Choose Custom, or clear the field."
                );
                return Err(FormError::of_field("days", message));
            }
        };
        let invalid = || match max_days {
            Some(max) => FormError::of_field("days", format!("Enter a whole number of days from 1 to {max}.")),
            None => FormError::of_field("days", for_invalid(&ValidationError::Lifetime)),
        };
        let days: i64 = text.parse().map_err(|_| invalid())?;
        let seconds = if days == -1 { -1 } else { days.checked_mul(DAY_SECONDS).ok_or_else(invalid)? };
        Lifetime::from_seconds(seconds).map_err(|_| invalid())
    }

    /// Returns the fields as a page shows them, with the lifetime of `replaced` as one of the choices.
    pub(super) fn choices(
        &self,
        now: Timestamp,
        max_days: Option<i64>,
        replaced: Option<&Token>,
    ) -> LifetimeChoices<'_> {
        let has_days = !self.days.trim().is_empty();
        let same = replaced.and_then(|token| lifetime_of(token, max_days));
        let choice = |value: String, lifetime: Lifetime| LifetimeChoice {
            label: label(lifetime),
            end: lifetime.expires_at(now).map(DisplayTime),
            is_selected: !has_days && self.lifetime == value,
            value,
        };
        let allowed = PRESETS.into_iter().filter(|days| max_days.is_none_or(|max| *days <= max));
        let presets = allowed.map(|days| (days.to_string(), Lifetime::Seconds(days * DAY_SECONDS)));
        LifetimeChoices {
            max_days,
            same: same.map(|lifetime| choice(SAME.to_owned(), lifetime)),
            presets: presets.map(|(value, lifetime)| choice(value, lifetime)).collect(),
            is_never_selected: !has_days && self.lifetime == "-1",
            is_custom_selected: self.lifetime == "custom" || has_days,
            days: &self.days,
        }
    }
}

/// Returns the lifetime that a token was created with, unless it exceeds the maximum.
fn lifetime_of(token: &Token, max_days: Option<i64>) -> Option<Lifetime> {
    let seconds = token.expires_at.map(|end| (end.as_millis() - token.created_at.as_millis()) / 1_000);
    match (seconds, max_days) {
        (None, Some(_)) => None,
        (None, None) => Some(Lifetime::Forever),
        (Some(seconds), max_days) => {
            max_days.is_none_or(|max| seconds <= max * DAY_SECONDS).then_some(Lifetime::Seconds(seconds))
        }
    }
}

fn label(lifetime: Lifetime) -> String {
    match lifetime {
        Lifetime::Forever => "Never expires".to_owned(),
        Lifetime::Seconds(seconds) => duration(seconds),
    }
}
