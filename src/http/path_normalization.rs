//! Path normalization: known segments match in any case, and one trailing slash is removed.
//!
//! Existing clients send both `/v4/people/` and `/V4/People`. The router matches exactly.

use axum::http::{HeaderMap, Method, Uri, uri::PathAndQuery};

use super::{ApiError, HEADER_LIMIT, URI_LIMIT};

/// The segments of all routes that are not parameters.
const ROUTE_SEGMENTS: [&str; 33] = [
    ".well-known",
    "api-token-format",
    "device_authorization",
    "introspect",
    "forgot-password",
    "invite",
    "reset-password",
    "oauth-authorization-server",
    "oauth2",
    "revoke",
    "v4",
    "apiAccessTokens",
    "auth",
    "batch",
    "configuration",
    "configuration-schema",
    "preview",
    "deliveries",
    "test",
    "webhooks",
    "current",
    "delete",
    "delete-configuration",
    "events",
    "health",
    "leaks",
    "live",
    "open-api-spec",
    "people",
    "ready",
    "token",
    "trust",
    "workspaces",
];
/// The segments of the routes below `/scim`. `Users` is not among the segments of other routes, because
/// `/admin/users` is a page.
const SCIM_SEGMENTS: [&str; 8] =
    ["scim", "v2", "Users", "ServiceProviderConfig", "ResourceTypes", "Schemas", "User", ".search"];
/// Paths below this prefix come from proxy configurations and are taken literally.
const FORWARD_AUTH_PREFIX: &str = "/v4/auth/";

/// The one path below [`FORWARD_AUTH_PREFIX`] that is no forward auth.
const BATCH_PATH: &str = "/v4/auth/batch";

/// The collection of tokens, with a trailing slash.
const TOKENS_PATH: &str = "/v4/apiAccessTokens/";

/// Returns the error of a request that is rejected before routing; `None` if it may proceed.
///
/// A DELETE without an ID must not delete the collection: a script that sends
/// `DELETE /v4/apiAccessTokens/$ID` may have an empty `ID`.
pub(crate) fn rejection(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<ApiError> {
    let path = uri.path();
    // hyper's own limit is that of its buffer, and not exact.
    if headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>() > HEADER_LIMIT {
        return Some(ApiError::HeaderTooLarge);
    }
    if path.len() + uri.query().map_or(0, |query| query.len() + 1) > URI_LIMIT {
        return Some(ApiError::UriTooLong);
    }
    (*method == Method::DELETE && path.eq_ignore_ascii_case(TOKENS_PATH)).then_some(ApiError::RouteNotFound)
}

/// Returns the URI with a normalized path; `None` if the path is already normal.
pub(crate) fn normalize_uri(uri: &Uri) -> Option<Uri> {
    let path = normalize_path(uri.path())?;
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).ok()?);
    Uri::from_parts(parts).ok()
}

fn normalize_path(path: &str) -> Option<String> {
    let is_below =
        path.get(..FORWARD_AUTH_PREFIX.len()).is_some_and(|head| head.eq_ignore_ascii_case(FORWARD_AUTH_PREFIX));
    let trimmed = if path.len() > 1 { path.strip_suffix('/').unwrap_or(path) } else { path };
    if is_below && path.len() > FORWARD_AUTH_PREFIX.len() && !trimmed.eq_ignore_ascii_case(BATCH_PATH) {
        return None;
    }
    let known = known_segments(trimmed);
    let canonical_segment = |segment: &str| canonical_segment(known, segment);
    let is_canonical = |segment: &str| canonical_segment(segment).is_none_or(|canonical| canonical == segment);
    if trimmed.len() == path.len() && path.split('/').all(is_canonical) {
        return None;
    }
    Some(trimmed.split('/').map(|segment| canonical_segment(segment).unwrap_or(segment)).collect::<Vec<_>>().join("/"))
}

/// Returns the segments of the routes that a path may name.
fn known_segments(path: &str) -> &'static [&'static str] {
    let first = path.split('/').nth(1).unwrap_or_default();
    if first.eq_ignore_ascii_case("scim") { &SCIM_SEGMENTS } else { &ROUTE_SEGMENTS }
}

fn canonical_segment(known: &'static [&'static str], segment: &str) -> Option<&'static str> {
    known.iter().copied().find(|known| known.eq_ignore_ascii_case(segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_one_trailing_slash_are_normalized() {
        for (path, expected) in [
            ("/v4/apiaccesstokens", "/v4/apiAccessTokens"),
            ("/V4/APIACCESSTOKENS/", "/v4/apiAccessTokens"),
            ("/v4/apiAccessTokens/ABC-def/", "/v4/apiAccessTokens/ABC-def"),
            ("/v4/People/Current", "/v4/people/current"),
            ("/v4/auth/", "/v4/auth"),
            ("/v4/auth/batch/", "/v4/auth/batch"),
            ("/V4/Auth/Batch", "/v4/auth/batch"),
            ("/SCIM/V2/users/7/", "/scim/v2/Users/7"),
            ("/scim/v2/serviceproviderconfig", "/scim/v2/ServiceProviderConfig"),
        ] {
            assert_eq!(normalize_path(path).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn other_paths_are_unchanged() {
        for exact in [
            "/",
            "/v4/apiAccessTokens",
            "/v4/people/7",
            "/v4/auth/Any/",
            "/v4/auth/batch/x",
            "/v4/auth/batch//",
            "/v4/auth/workspace=1/V4/..",
            "/V4/Auth/any",
            "//",
            "/x/Y",
            "/admin/users",
            "/scim/v2/Schemas/urn:ietf:params:scim:schemas:core:2.0:User",
        ] {
            assert_eq!(normalize_path(exact), (exact == "//").then(|| "/".to_owned()), "{exact}");
        }
        assert_eq!(normalize_path("/scim/v2/Users//").as_deref(), Some("/scim/v2/Users/"));
        assert_eq!(normalize_path("/v4/people//").as_deref(), Some("/v4/people/"));
    }

    #[test]
    fn a_delete_without_an_id_is_not_found() {
        let status = |method, uri: &str| {
            rejection(&method, &uri.parse().unwrap(), &HeaderMap::new()).map(|error| error.status().as_u16())
        };
        assert_eq!(status(Method::DELETE, "/v4/apiaccesstokens/"), Some(404));
        assert_eq!(status(Method::DELETE, "/v4/apiAccessTokens"), None);
        assert_eq!(status(Method::GET, "/v4/apiAccessTokens/"), None);
        assert_eq!(status(Method::GET, &format!("/{}", "x".repeat(URI_LIMIT))), Some(414));
        assert_eq!(status(Method::GET, &format!("/?{}", "x".repeat(URI_LIMIT - 2))), None);
    }

    #[test]
    fn the_query_is_preserved() {
        let uri: Uri = "/V4/People/?Limit=1&x=%2F".parse().unwrap();
        assert_eq!(normalize_uri(&uri).unwrap().to_string(), "/v4/people?Limit=1&x=%2F");
    }

    #[test]
    fn every_openapi_path_segment_is_listed() {
        let document: serde_json::Value = serde_json::from_str(crate::api::openapi::document_json()).unwrap();
        for path in document["paths"].as_object().unwrap().keys() {
            for segment in path.split('/').filter(|segment| !segment.is_empty() && !segment.starts_with('{')) {
                assert_eq!(canonical_segment(&ROUTE_SEGMENTS, segment), Some(segment), "{path}");
            }
        }
    }
}
