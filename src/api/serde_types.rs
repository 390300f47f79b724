//! Types of request and response bodies that several resources share.

use std::fmt;

use axum::{
    http::{StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Deserializer, Serialize, de};
use utoipa::ToSchema;

pub(super) use crate::http::schema::{nullable_timestamp_schema, timestamp_schema, words_schema};

use crate::{
    domain::{service_account::PersonKind, time::Timestamp},
    http::json::Json,
};

/// A whole number. `86400.0` is accepted, because JSON does not distinguish integers (RFC 8259,
/// section 6). A number outside the range of `i64` becomes the nearest `i64`, which a later range
/// check rejects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WholeNumber(pub i64);

impl<'de> Deserialize<'de> for WholeNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = WholeNumber;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_i64<E>(self, value: i64) -> Result<WholeNumber, E> {
                Ok(WholeNumber(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<WholeNumber, E> {
                Ok(WholeNumber(i64::try_from(value).unwrap_or(i64::MAX)))
            }

            #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, as intended")]
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<WholeNumber, E> {
                if value.fract() == 0.0 {
                    Ok(WholeNumber(value as i64))
                } else {
                    Err(E::invalid_type(de::Unexpected::Float(value), &self))
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// The response to a creation: 201 with the path of the new object.
pub struct Created<T> {
    pub location: String,
    pub body: T,
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, [(LOCATION, self.location)], Json(self.body)).into_response()
    }
}

/// Permission of a person to use and generate tokens. Only in the OpenAPI document: the service
/// parses the word.
#[derive(ToSchema)]
#[schema(as = TokenAccess, rename_all = "lowercase")]
#[expect(dead_code, reason = "declares the words for the OpenAPI document")]
pub enum TokenAccessName {
    Default,
    Enabled,
    Disabled,
}

/// The kind of an account: a person, or a service account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = PersonKind)]
pub enum PersonKindName {
    Person,
    Service,
}

impl From<PersonKindName> for PersonKind {
    fn from(name: PersonKindName) -> Self {
        match name {
            PersonKindName::Person => Self::Person,
            PersonKindName::Service => Self::Service,
        }
    }
}

impl From<PersonKind> for PersonKindName {
    fn from(kind: PersonKind) -> Self {
        match kind {
            PersonKind::Person => Self::Person,
            PersonKind::Service => Self::Service,
        }
    }
}

pub(super) use crate::http::json::not_null;

/// The response to an update.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Updated {
    pub id: i64,
    #[schema(schema_with = timestamp_schema)]
    pub updated_at: Timestamp,
}
