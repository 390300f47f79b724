//! The extractor of query strings, in which each parameter appears at most once and has the right
//! type. [`super::known_parameters`] rejects unknown parameters.

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use serde::{Deserialize, de::DeserializeOwned};
use utoipa::IntoParams;

use super::ApiError;
use crate::domain::ValidationError;

/// The query parameters of a request.
pub struct StrictQuery<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for StrictQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => {
                let text = rejection.body_text();
                // Removes "Failed to deserialize query string", which precedes the parameter.
                let message = text.split_once(": ").map_or(text.as_str(), |(_, message)| message);
                Err(ApiError::BadRequest(format!("Query parameter {message}.")))
            }
        }
    }
}

/// The section of a list that a request asks for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// The maximum number of rows.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<i64>,
    /// The number of rows to skip.
    #[param(minimum = 0)]
    pub offset: Option<i64>,
    /// Add `count`, the number of rows regardless of limit and offset.
    pub include_count: Option<bool>,
}

/// The maximum of `limit`.
const MAX_ROWS: i64 = 1_000;

impl Paging {
    /// Returns the limit and the offset.
    ///
    /// # Errors
    /// 400 if one of them is out of range.
    pub fn validate(&self, default_limit: i64) -> Result<(i64, i64), ApiError> {
        let limit = check_limit(self.limit)?.unwrap_or(default_limit);
        Ok((limit, check_offset(self.offset)?))
    }

    /// Returns whether the response contains the count.
    pub fn wants_count(&self) -> bool {
        self.include_count.unwrap_or(false)
    }
}

/// Checks that a limit is from 1 to [`MAX_ROWS`].
pub(super) fn check_limit(limit: Option<i64>) -> Result<Option<i64>, ApiError> {
    match limit {
        Some(limit) if !(1..=MAX_ROWS).contains(&limit) => {
            Err(ValidationError::OutOfRange { parameter: "limit", value: limit, min: 1, max: MAX_ROWS }.into())
        }
        limit => Ok(limit),
    }
}

/// Checks that an offset is not negative. The default is 0.
pub(super) fn check_offset(offset: Option<i64>) -> Result<i64, ApiError> {
    match offset.unwrap_or(0) {
        value if value < 0 => {
            Err(ValidationError::OutOfRange { parameter: "offset", value, min: 0, max: i64::MAX }.into())
        }
        offset => Ok(offset),
    }
}
