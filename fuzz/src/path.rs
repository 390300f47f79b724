//! The path of a request: a method in the first line, the path in the second. Known segments match in any case, one slash at the end is
//! dropped, and nothing else is: what the router receives is what is written down here again, by the API's own document.
//!
//! The requests carry no credential, so that a route is told by its answer: `RouteNotFoundException` where there is none.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use serde_json::Value;

use super::test_service::with_service;

/// The methods of each path in the document.
static ROUTES: LazyLock<BTreeMap<String, BTreeSet<String>>> = LazyLock::new(|| {
    let document: Value = serde_json::from_str(tokenward::api::openapi::text()).expect("a document");
    let paths = document["paths"].as_object().expect("paths").iter();
    let methods = |path: &Value| path.as_object().expect("operations").keys().map(|name| name.to_uppercase()).collect();
    paths.map(|(path, operations)| (path.clone(), methods(operations))).collect()
});

/// Whether the document has a route for a path, once its case and one slash at its end are overlooked.
fn is_route(method: &str, path: &str) -> bool {
    let bare = path.strip_suffix('/').unwrap_or(path);
    let segments: Vec<&str> = bare.split('/').collect();
    let fits = |template: &str| {
        let wanted: Vec<&str> = template.split('/').collect();
        let fits = |(wanted, given): (&&str, &&str)| {
            if wanted.starts_with('{') { !given.is_empty() } else { wanted.eq_ignore_ascii_case(given) }
        };
        wanted.len() == segments.len() && wanted.iter().zip(&segments).all(fits)
    };
    ROUTES.iter().any(|(template, methods)| methods.contains(method) && fits(template))
}

/// Checks one input; panics where the service is wrong about it.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Some((method, path)) = text.split_once('\n') else { return };
    let is_judged = ["GET", "POST", "PATCH", "PUT", "DELETE"].contains(&method)
        && path.starts_with('/')
        && !path.contains(['?', '#'])
        && path.len() < 2_048;
    if !is_judged {
        return;
    }
    let Some(reply) = with_service(|service| service.send(method, path, [], b"")) else { return };
    let status = reply.status.as_u16();
    assert!(status < 500, "{method} {path}: {status} {}", reply.json);
    assert!(!(method == "DELETE" && status < 400), "{method} {path} did something without a credential");
    let lower = path.to_ascii_lowercase();
    if lower == "/v4/auth" || lower.starts_with("/v4/auth/") {
        // It takes every method, and what stands below it is taken literally: no case, and no slash, is overlooked there.
        assert!(status >= 400, "{method} {path} let a stranger in");
        return;
    }
    // The pages have paths of their own, which match exactly.
    if !["/v4", "/oauth2", "/.well-known", "/health"]
        .iter()
        .any(|root| lower == *root || lower.starts_with(&format!("{root}/")))
    {
        return;
    }
    let is_found = reply.json["exception"]["name"] != "RouteNotFoundException";
    // A deletion whose id is missing must not become the deletion of everything.
    let lacks_id = method == "DELETE" && lower == "/v4/apiaccesstokens/";
    assert_eq!(is_found, is_route(method, path) && !lacks_id, "{method} {path}: {status} {}", reply.json);
}
