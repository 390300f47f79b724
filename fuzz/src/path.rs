//! The request path. The first line of the input is the method, the second one the path. Literal
//! segments match in any case, and one trailing slash is ignored. The expected routes are those of
//! the OpenAPI document.
//!
//! The requests have no credential. A response with `RouteNotFoundException` means that there is no
//! such route.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use serde_json::Value;

use super::test_service::with_service;

/// The methods of each path in the OpenAPI document.
static ROUTES: LazyLock<BTreeMap<String, BTreeSet<String>>> = LazyLock::new(|| {
    let document: Value = serde_json::from_str(tokenward::api::openapi::document_json()).expect("a document");
    let paths = document["paths"].as_object().expect("paths").iter();
    let methods = |path: &Value| path.as_object().expect("operations").keys().map(|name| name.to_uppercase()).collect();
    paths.map(|(path, operations)| (path.clone(), methods(operations))).collect()
});

/// Returns whether the document has a route for a path, ignoring case and one trailing slash.
fn is_route(method: &str, path: &str) -> bool {
    let bare = path.strip_suffix('/').unwrap_or(path);
    let segments: Vec<&str> = bare.split('/').collect();
    let fits = |template: &str| {
        let wanted: Vec<&str> = template.split('/').collect();
        let fits = |(wanted, segment): (&&str, &&str)| {
            if wanted.starts_with('{') { !segment.is_empty() } else { wanted.eq_ignore_ascii_case(segment) }
        };
        wanted.len() == segments.len() && wanted.iter().zip(&segments).all(fits)
    };
    ROUTES.iter().any(|(template, methods)| methods.contains(method) && fits(template))
}

/// Checks one input.
///
/// # Panics
///
/// Panics if the service treats the input incorrectly.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Some((method, path)) = text.split_once('\n') else { return };
    let is_relevant = ["GET", "POST", "PATCH", "PUT", "DELETE"].contains(&method)
        && path.starts_with('/')
        && !path.contains(['?', '#'])
        && path.len() < 2_048;
    if !is_relevant {
        return;
    }
    let Some(reply) = with_service(|service| service.send(method, path, [], b"")) else { return };
    let status = reply.status.as_u16();
    assert!(status < 500, "{method} {path}: {status} {}", reply.json);
    assert!(!(method == "DELETE" && status < 400), "{method} {path} succeeded without a credential");
    let lower = path.to_ascii_lowercase();
    if lower == "/v4/auth" || lower.starts_with("/v4/auth/") {
        // Forward auth accepts every method, and its requirements are case-sensitive.
        assert!(status >= 400, "{method} {path} was allowed without a credential");
        return;
    }
    // The paths of the pages match exactly, and are not in the document.
    if !["/v4", "/oauth2", "/.well-known", "/health"]
        .iter()
        .any(|root| lower == *root || lower.starts_with(&format!("{root}/")))
    {
        return;
    }
    let is_found = reply.json["exception"]["name"] != "RouteNotFoundException";
    // A deletion with a missing ID must not delete all tokens.
    let lacks_id = method == "DELETE" && lower == "/v4/apiaccesstokens/";
    assert_eq!(is_found, is_route(method, path) && !lacks_id, "{method} {path}: {status} {}", reply.json);
}
