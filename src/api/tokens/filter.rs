//! The filter of token lists and of bulk deletions, as clients write it.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use utoipa::IntoParams;

use super::StatusName;
use crate::{
    api::{ApiError, serde_types::PersonKindName},
    domain::{
        service_account::PersonKind,
        time::Timestamp,
        token::TokenStatus,
        token_filter::{DescriptionPart, TimeRange, TokenFilter},
        token_limits::validate_scope,
    },
};

/// The filter of a token list. [`super::bulk_delete`] has the same fields in a body.
///
/// To add a filter: add the field here and in the body, and convert it in
/// [`FilterQuery::to_filter`].
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct FilterQuery {
    /// Only tokens with this status.
    #[param(inline)]
    pub(super) status: Option<StatusName>,
    /// Only tokens whose description contains this text. The letters A to Z match in either case.
    #[param(min_length = 1, max_length = 255)]
    pub(super) description: Option<String>,
    /// Only tokens created before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(super) created_before: Option<RequestTime>,
    /// Only tokens created at or after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(super) created_after: Option<RequestTime>,
    /// Only tokens that expire before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(super) expires_before: Option<RequestTime>,
    /// Only tokens that expire at or after this time. Tokens that never expire do not match.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(super) expires_after: Option<RequestTime>,
    /// Only tokens whose last use was before this time. Tokens that were never used do not match.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(super) last_used_before: Option<RequestTime>,
    /// Only tokens whose last use was at or after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(super) last_used_after: Option<RequestTime>,
    /// `true`: only tokens that were never used; `false`: only tokens that were used.
    pub(super) never_used: Option<bool>,
    /// Only tokens with this scope. Unrestricted tokens do not match.
    #[param(max_length = 64, pattern = "^[a-z0-9][a-z0-9:._-]{0,63}$")]
    pub(super) scope: Option<String>,
    /// Only tokens of people (`person`), or only those of service accounts (`service`).
    #[param(inline)]
    pub(super) kind: Option<PersonKindName>,
}

impl FilterQuery {
    /// Returns the filter.
    ///
    /// # Errors
    /// 400 if the description or the scope is invalid, or the conditions exclude each other.
    pub(super) fn to_filter(&self) -> Result<TokenFilter, ApiError> {
        let range = |after: Option<RequestTime>, before: Option<RequestTime>| TimeRange {
            after: after.map(|time| time.0),
            before: before.map(|time| time.0),
        };
        self.scope.as_deref().map(validate_scope).transpose()?;
        let filter = TokenFilter {
            status: self.status.map(TokenStatus::from),
            description: self.description.clone().map(DescriptionPart::parse).transpose()?,
            created: range(self.created_after, self.created_before),
            expires: range(self.expires_after, self.expires_before),
            last_used: range(self.last_used_after, self.last_used_before),
            never_used: self.never_used,
            scope: self.scope.clone(),
            kind: self.kind.map(PersonKind::from),
            ..TokenFilter::default()
        };
        Ok(filter.validate()?)
    }
}

/// A time in a request, in RFC 3339 format with any offset.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestTime(pub(super) Timestamp);

impl<'de> Deserialize<'de> for RequestTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = RequestTime;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time such as 2026-01-31T00:00:00Z")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RequestTime, E> {
                let time = Timestamp::parse(text);
                time.map(RequestTime).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}
