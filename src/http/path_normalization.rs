//! Path tolerance: clients write `/v4/jobGroups/` and `/v4/jobgroups` and mean one route. Segments that we know match in
//! any case, and one trailing slash is dropped, before the router sees the path, which would match exactly.

use axum::http::{HeaderMap, Method, Uri, uri::PathAndQuery};

use crate::{
    auth_check::{ForwardAuth, INTROSPECT},
    http::{ApiError, HEADER_LIMIT, URI_LIMIT},
};

/// The segments of our routes that are no parameters.
const KNOWN: [&str; 21] = [
    ".well-known",
    "api-token-format",
    "introspect",
    "oauth-authorization-server",
    "oauth2",
    "revoke",
    "v4",
    "apiAccessTokens",
    "auth",
    "configuration",
    "configuration-schema",
    "current",
    "delete-configuration",
    "events",
    "health",
    "leaks",
    "live",
    "open-api-spec",
    "people",
    "ready",
    "workspaces",
];
/// What stands below it is fixed by operators and taken literally.
const LITERAL: &str = "/v4/auth/";

/// All of one's own tokens.
const TOKENS: &str = "/v4/apiAccessTokens/";

/// Why a request is not even looked at. A deletion whose id is missing must not become the deletion of everything: a script that
/// sends `DELETE /v4/apiAccessTokens/$ID` may have nothing in `ID`.
pub(crate) fn refusal(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<ApiError> {
    let path = uri.path();
    // hyper's own limit is one of its buffer, and so not exact.
    if headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>() > HEADER_LIMIT {
        return Some(ApiError::HeaderTooLarge);
    }
    if path.len() + uri.query().map_or(0, |query| query.len() + 1) > URI_LIMIT {
        return Some(ApiError::UriTooLong);
    }
    (*method == Method::DELETE && path.eq_ignore_ascii_case(TOKENS)).then_some(ApiError::RouteNotFound)
}

/// The URI with the path spelled as the route is, or none where it is already.
pub(crate) fn canonical(uri: &Uri) -> Option<Uri> {
    let path = canonical_path(uri.path())?;
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).ok()?);
    Uri::from_parts(parts).ok()
}

fn canonical_path(path: &str) -> Option<String> {
    // What is asked all the time is spelled right.
    if path == INTROSPECT || (ForwardAuth::answers(path) && path != LITERAL) {
        return None;
    }
    let is_below = path.get(..LITERAL.len()).is_some_and(|head| head.eq_ignore_ascii_case(LITERAL));
    if is_below && path.len() > LITERAL.len() {
        return None;
    }
    let trimmed = if path.len() > 1 { path.strip_suffix('/').unwrap_or(path) } else { path };
    let is_spelled = |segment: &str| known(segment).is_none_or(|known| known == segment);
    if trimmed.len() == path.len() && path.split('/').all(is_spelled) {
        return None;
    }
    Some(trimmed.split('/').map(|segment| known(segment).unwrap_or(segment)).collect::<Vec<_>>().join("/"))
}

fn known(segment: &str) -> Option<&'static str> {
    KNOWN.into_iter().find(|known| known.eq_ignore_ascii_case(segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_one_trailing_slash_do_not_matter() {
        for (given, meant) in [
            ("/v4/apiaccesstokens", "/v4/apiAccessTokens"),
            ("/V4/APIACCESSTOKENS/", "/v4/apiAccessTokens"),
            ("/v4/apiAccessTokens/ABC-def/", "/v4/apiAccessTokens/ABC-def"),
            ("/v4/People/Current", "/v4/people/current"),
            ("/v4/auth/", "/v4/auth"),
        ] {
            assert_eq!(canonical_path(given).as_deref(), Some(meant), "{given}");
        }
    }

    #[test]
    fn nothing_else_is_touched() {
        for exact in [
            "/",
            "/v4/apiAccessTokens",
            "/v4/people/7",
            "/v4/auth/Any/",
            "/v4/auth/workspace=1/V4/..",
            "/V4/Auth/any",
            "//",
            "/x/Y",
        ] {
            assert_eq!(canonical_path(exact), (exact == "//").then(|| "/".to_owned()), "{exact}");
        }
        assert_eq!(canonical_path("/v4/people//").as_deref(), Some("/v4/people/"));
    }

    #[test]
    fn a_deletion_without_an_id_is_none_of_everything() {
        let refused = |method, uri: &str| {
            refusal(&method, &uri.parse().unwrap(), &HeaderMap::new()).map(|error| error.status().as_u16())
        };
        assert_eq!(refused(Method::DELETE, "/v4/apiaccesstokens/"), Some(404));
        assert_eq!(refused(Method::DELETE, "/v4/apiAccessTokens"), None);
        assert_eq!(refused(Method::GET, "/v4/apiAccessTokens/"), None);
        assert_eq!(refused(Method::GET, &format!("/{}", "x".repeat(URI_LIMIT))), Some(414));
        assert_eq!(refused(Method::GET, &format!("/?{}", "x".repeat(URI_LIMIT - 2))), None);
    }

    #[test]
    fn the_query_stays() {
        let uri: Uri = "/V4/People/?Limit=1&x=%2F".parse().unwrap();
        assert_eq!(canonical(&uri).unwrap().to_string(), "/v4/people?Limit=1&x=%2F");
    }

    #[test]
    fn every_segment_of_the_document_is_known() {
        let document: serde_json::Value = serde_json::from_str(crate::api::openapi::text()).unwrap();
        for path in document["paths"].as_object().unwrap().keys() {
            for segment in path.split('/').filter(|segment| !segment.is_empty() && !segment.starts_with('{')) {
                assert_eq!(known(segment), Some(segment), "{path}");
            }
        }
    }
}
