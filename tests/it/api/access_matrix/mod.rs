//! Who may call what: every operation, for everybody, on everybody's objects, against one table to read.
//!
//! A new route needs a line of [`TABLE`](table::TABLE) for each object it may be about, and, if it takes a body, a line of
//! [`request::body`]. What the statuses are need not be guessed: the failing test prints the table as it was walked.

mod fixture;
mod request;
mod table;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::TestApp;
use fixture::Scene;
use table::{Row, TABLE};

on_both!(everybody_may_do_what_the_table_says, no_other_method_is_answered);

async fn everybody_may_do_what_the_table_says(app: TestApp) {
    let mut scene = Scene::new(app).await;
    let (actors, rows) = table::read();
    let mut walked = Vec::new();
    for row in &rows {
        let mut cells = Vec::new();
        for actor in &actors {
            cells.push(request::walk(&mut scene, row, actor).await);
        }
        walked.push((row, cells));
    }
    let walked = table::write(&actors, &walked);
    let differing: Vec<_> = walked.lines().filter(|line| !TABLE.lines().any(|meant| meant == *line)).collect();
    assert!(walked == TABLE, "as it was walked:\n{walked}\nwhat differs:\n{}", differing.join("\n"));
}

/// A path answers by the methods that the document has, and by no other; only what proxies ask is asked by any.
async fn no_other_method_is_answered(app: TestApp) {
    let admin = app.admin().bearer().await;
    let described = operations();
    let paths: BTreeSet<_> =
        described.iter().map(|(_, path)| path).filter(|path| !path.starts_with("/v4/auth")).collect();
    for path in paths {
        let address = path.replace("{tokenId}", &admin.token_id).replace("{id}", "1");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"] {
            if !described.contains(&(method.to_owned(), path.clone())) {
                admin.with_json(method, &address, "{}").await.expect_error(404, "RouteNotFoundException");
            }
        }
    }
}

/// Method and path of every operation of the document.
fn operations() -> BTreeSet<(String, String)> {
    let document: Value = serde_json::from_str(tokenward::api::openapi::text()).unwrap();
    let mut operations = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            operations.insert((method.to_uppercase(), path.clone()));
        }
    }
    operations
}

#[test]
fn every_operation_has_its_rows_and_every_row_its_operation() {
    let rows = table::read().1;
    let walked: BTreeSet<_> = rows.iter().map(|row| (row.method.to_owned(), row.path.to_owned())).collect();
    assert_eq!(walked, operations(), "rows on the left, operations of the document on the right");
    for (method, path) in &walked {
        let about: BTreeSet<_> = rows.iter().filter(|row| row.is_of(method, path)).map(Row::object).collect();
        for object in objects(path) {
            assert!(about.contains(object), "{method} {path} has no row for: {object}");
        }
    }
    let distinct: BTreeSet<_> = rows.iter().map(|row| (row.method, row.path, row.about)).collect();
    assert_eq!(distinct.len(), rows.len(), "a row stands there twice");
}

/// Whose objects a path's rows must be about.
fn objects(path: &str) -> &'static [&'static str] {
    match path {
        path if path.contains("{tokenId}") || path.starts_with("/v4/people/{id}") => {
            &["own", "colleague", "other", "unknown"]
        }
        path if path.starts_with("/v4/workspaces/{id}") => &["own", "other", "unknown"],
        "/oauth2/introspect" | "/oauth2/revoke" | "/v4/leaks" => &["own", "colleague", "other", "unknown"],
        "/v4/auth/{requirements}" => &["any", "own", "other", "admin", "unknown"],
        _ => &["-"],
    }
}

/// The router cannot be asked for its routes, so the code is: what is mounted or annotated there stands in the document, and so in
/// the table. The pages have tables of their own, in `tests/it/web/doors.rs`.
#[test]
fn every_route_of_the_code_stands_in_the_document() {
    let described: BTreeSet<String> = operations().into_iter().map(|(_, path)| path).collect();
    let mut found = BTreeSet::new();
    for (_, text) in crate::module_dependencies::sources().filter(|(file, _)| !file.starts_with("web")) {
        let text = text.split("#[cfg(test)]\nmod ").next().unwrap();
        let mounted = text.split(".route(\"").skip(1);
        let annotated = text.split("utoipa::path(").skip(1).filter_map(|rest| Some(rest.split_once("path = \"")?.1));
        found.extend(mounted.chain(annotated).map(|rest| rest.split('"').next().unwrap().to_owned()));
    }
    assert_eq!(found, described, "what is found in the code on the left, the document on the right");
}
