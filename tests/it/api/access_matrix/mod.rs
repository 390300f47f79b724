//! The access matrix: every operation, by every kind of actor, on every kind of target, against one
//! table.
//!
//! A new route needs a row of [`TABLE`](table::TABLE) for each target that its path may name and,
//! if it takes a body, an arm of [`request::request_body`]. A failing test prints the whole table
//! with the actual statuses.

mod fixture;
mod request;
mod table;

use rstest::rstest;
use rstest_reuse::apply;
use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{Engine, TestApp, both_databases};
use fixture::MatrixFixture;
use table::{Row, TABLE};

#[apply(both_databases)]
async fn every_operation_matches_the_access_matrix(engine: Engine) {
    let app = TestApp::start(engine).await;
    let mut fixture = MatrixFixture::new(app).await;
    let (actors, rows) = table::parse_table();
    let mut actual = Vec::new();
    for row in &rows {
        let mut cells = Vec::new();
        for actor in &actors {
            cells.push(request::run_cell(&mut fixture, row, actor).await);
        }
        actual.push((row, cells));
    }
    let actual = table::format_table(&actors, &actual);
    let different: Vec<_> = actual.lines().filter(|line| !TABLE.lines().any(|expected| expected == *line)).collect();
    assert!(actual == TABLE, "actual table:\n{actual}\ndifferent rows:\n{}", different.join("\n"));
}

/// A path supports exactly the documented methods. Only `/v4/auth`, which proxies call, accepts any
/// method.
#[apply(both_databases)]
async fn undocumented_methods_return_404(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin().create_token().await;
    let described = documented_operations();
    let paths: BTreeSet<_> =
        described.iter().map(|(_, path)| path).filter(|path| !path.starts_with("/v4/auth")).collect();
    for path in paths {
        let address = path.replace("{tokenId}", &admin.token_id).replace("{id}", "1");
        let address = address.replace("{ruleId}", &admin.token_id);
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"] {
            if !described.contains(&(method.to_owned(), path.clone())) {
                admin.send_json(method, &address, "{}").await.expect_error(404, "RouteNotFoundException");
            }
        }
    }
}

/// Returns method and path of every operation of the OpenAPI document.
fn documented_operations() -> BTreeSet<(String, String)> {
    let document: Value = serde_json::from_str(tokenward::api::openapi::document_json()).unwrap();
    let mut operations = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            operations.insert((method.to_uppercase(), path.clone()));
        }
    }
    operations
}

#[test]
fn every_operation_has_rows_and_every_row_has_an_operation() {
    let rows = table::parse_table().1;
    let actual: BTreeSet<_> = rows.iter().map(|row| (row.method.to_owned(), row.path.to_owned())).collect();
    assert_eq!(actual, documented_operations(), "left: rows, right: operations of the document");
    for (method, path) in &actual {
        let targets: BTreeSet<_> = rows.iter().filter(|row| row.is_for(method, path)).map(Row::object).collect();
        for object in required_objects(path) {
            assert!(targets.contains(object), "{method} {path} has no row for: {object}");
        }
    }
    let distinct: BTreeSet<_> = rows.iter().map(|row| (row.method, row.path, row.target)).collect();
    assert_eq!(distinct.len(), rows.len(), "the table has a duplicate row");
}

/// Returns the targets for which a path needs rows.
fn required_objects(path: &str) -> &'static [&'static str] {
    match path {
        path if path.contains("{tokenId}") || path.starts_with("/v4/people/{id}") => {
            &["own", "colleague", "other", "unknown"]
        }
        path if path.starts_with("/v4/workspaces/{id}") || path.starts_with("/v4/webhooks/{id}") => {
            &["own", "other", "unknown"]
        }
        "/oauth2/introspect" | "/oauth2/revoke" | "/v4/leaks" => &["own", "colleague", "other", "unknown"],
        "/v4/auth/{requirements}" => &["any", "own", "other", "admin", "unknown"],
        _ => &["-"],
    }
}

/// Routes cannot be listed at run time, so this test scans the source: every mounted or annotated
/// route must be in the document, and so in the table. The pages have tables of their own in
/// `tests/it/web/page_access`, the routes of SCIM in `tests/it/scim/attacks.rs`.
#[test]
fn every_route_in_the_code_is_documented() {
    let described: BTreeSet<String> = documented_operations().into_iter().map(|(_, path)| path).collect();
    let mut found = BTreeSet::new();
    for (_, text) in crate::module_dependencies::source_files()
        .filter(|(file, _)| !file.starts_with("web") && !file.starts_with("scim"))
    {
        let text = text.split("#[cfg(test)]\nmod ").next().unwrap();
        let mounted = text.split(".route(\"").skip(1);
        let annotated = text.split("utoipa::path(").skip(1).filter_map(|rest| Some(rest.split_once("path = \"")?.1));
        found.extend(mounted.chain(annotated).map(|rest| rest.split('"').next().unwrap().to_owned()));
    }
    assert_eq!(found, described, "left: routes in the code, right: routes in the document");
}
