//! The query of lists and resources. Parameters that are not supported are ignored, as other servers
//! do: clients send `sortBy`, for example.

use std::collections::BTreeMap;

use axum::{extract::FromRequestParts, http::request::Parts};
use serde_json::{Map, Value};

use super::{
    ScimError,
    error::ScimType,
    filter::parse_filter,
    selection::Selection,
    user_body::{get, optional_text, require_schema},
};
use crate::domain::scim::ScimFilter;

/// The number of users of a page, if the client does not say.
const DEFAULT_COUNT: i64 = 100;
/// The maximum number of users of a page.
pub(super) const MAX_COUNT: i64 = 200;

const SEARCH_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

/// The query of a request.
#[derive(Debug)]
pub(super) struct ScimQuery {
    pub(super) filter: Option<ScimFilter>,
    /// The position of the first user, from 1.
    pub(super) start_index: i64,
    pub(super) count: i64,
    pub(super) selection: Selection,
}

impl<S: Send + Sync> FromRequestParts<S> for ScimQuery {
    type Rejection = ScimError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ScimError> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

impl ScimQuery {
    fn parse(query: &str) -> Result<Self, ScimError> {
        let mut parameters: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let name = name.to_ascii_lowercase();
            if parameters.insert(name.clone(), value.into_owned()).is_some() {
                let detail = format!("The parameter {name} appears more than once.");
                return Err(ScimError::Invalid(ScimType::Value, detail));
            }
        }
        let number = |name: &str, default: i64| match parameters.get(&name.to_ascii_lowercase()) {
            None => Ok(default),
            Some(text) => text.parse::<i64>().map_err(|_| ScimError::wrong_type(name, "a whole number")),
        };
        let list = |name: &str| parameters.get(name).map(String::as_str);
        Ok(Self {
            filter: parameters.get("filter").map(|text| parse_filter(text)).transpose()?,
            // Values below the range mean its start (RFC 7644, section 3.4.2.4).
            start_index: number("startIndex", 1)?.max(1),
            count: number("count", DEFAULT_COUNT)?.clamp(0, MAX_COUNT),
            selection: Selection::new(list("attributes"), list("excludedattributes")),
        })
    }
}

impl ScimQuery {
    /// Parses the body of a search, which has the same fields (RFC 7644, section 3.4.3).
    ///
    /// # Errors
    /// `invalidValue` for a field of the wrong type, `invalidFilter` for a filter that is not supported.
    pub(super) fn from_body(body: &Map<String, Value>) -> Result<Self, ScimError> {
        require_schema(body, SEARCH_SCHEMA)?;
        let number = |name: &str, default: i64| match get(body, name) {
            None => Ok(default),
            Some(value) => value.as_i64().ok_or_else(|| ScimError::wrong_type(name, "a whole number")),
        };
        let (attributes, excluded) = (names(body, "attributes")?, names(body, "excludedAttributes")?);
        let filter = optional_text("filter", get(body, "filter"))?;
        Ok(Self {
            filter: filter.as_deref().map(parse_filter).transpose()?,
            start_index: number("startIndex", 1)?.max(1),
            count: number("count", DEFAULT_COUNT)?.clamp(0, MAX_COUNT),
            selection: Selection::new(attributes.as_deref(), excluded.as_deref()),
        })
    }
}

/// Returns an array of names as a list with commas.
fn names(body: &Map<String, Value>, field: &str) -> Result<Option<String>, ScimError> {
    let Some(value) = get(body, field) else { return Ok(None) };
    let names = value.as_array().and_then(|names| names.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
    let names = names.ok_or_else(|| ScimError::wrong_type(field, "an array of strings"))?;
    Ok(Some(names.join(",")).filter(|names| !names.is_empty()))
}

/// Returns whether a query has a filter.
pub(super) fn has_filter(query: Option<&str>) -> bool {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes()).any(|(name, _)| name.eq_ignore_ascii_case("filter"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_and_counts_are_within_the_range() {
        let parse = |query: &str| ScimQuery::parse(query).map(|query| (query.start_index, query.count)).ok();
        assert_eq!(parse(""), Some((1, 100)));
        assert_eq!(parse("startIndex=3&count=2&sortBy=x"), Some((3, 2)));
        assert_eq!(parse("startindex=-4&COUNT=-1"), Some((1, 0)));
        assert_eq!(parse("count=100000"), Some((1, 200)));
        assert_eq!(parse("count=x"), None);
        assert_eq!(parse("startIndex=1e3"), None);
        assert_eq!(parse("count=1&Count=2"), None);
    }
}
