//! Query strings: each parameter at most once and of the right type. Unknown ones are rejected by [`super::parameters`].

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use serde::{Deserialize, de::DeserializeOwned};
use utoipa::IntoParams;

use super::ApiError;
use crate::domain::Invalid;

/// Query parameters as a handler's parameter.
pub struct QueryOf<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for QueryOf<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => {
                let text = rejection.body_text();
                // "Failed to deserialize query string: limit: invalid digit ..." helps from the parameter on.
                let what = text.split_once(": ").map_or(text.as_str(), |(_, what)| what);
                Err(ApiError::Form(format!("query parameter {what}.")))
            }
        }
    }
}

/// Which part of a list is wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// How many rows at most.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<i64>,
    /// How many rows to pass over.
    #[param(minimum = 0)]
    pub offset: Option<i64>,
    /// Whether to add `count`, the number of rows without limit and offset.
    pub include_count: Option<bool>,
}

/// The most rows that one answer lists.
const MOST_ROWS: i64 = 1_000;

impl Paging {
    /// The limit and the offset, checked.
    ///
    /// # Errors
    /// 400 where they are out of range.
    pub fn checked(&self, default_limit: i64) -> Result<(i64, i64), ApiError> {
        let limit = check_limit(self.limit)?.unwrap_or(default_limit);
        Ok((limit, check_offset(self.offset)?))
    }

    /// Returns whether the count is asked for.
    pub fn is_counted(&self) -> bool {
        self.include_count.unwrap_or(false)
    }
}

pub(super) fn check_limit(limit: Option<i64>) -> Result<Option<i64>, ApiError> {
    match limit {
        Some(limit) if !(1..=MOST_ROWS).contains(&limit) => {
            Err(Invalid::OutOfRange { parameter: "limit", least: 1, most: MOST_ROWS }.into())
        }
        limit => Ok(limit),
    }
}

pub(super) fn check_offset(offset: Option<i64>) -> Result<i64, ApiError> {
    match offset.unwrap_or(0) {
        negative if negative < 0 => Err(Invalid::OutOfRange { parameter: "offset", least: 0, most: i64::MAX }.into()),
        offset => Ok(offset),
    }
}
