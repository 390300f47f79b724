//! Rejects words that an operation would ignore: a query parameter that it does not take, and the body of a deletion that names no
//! object in its path. A deletion whose filter is ignored deletes everything.
//!
//! What an operation takes is read from its description in the OpenAPI document, so a new route is covered with its first line.

use std::{collections::HashMap, sync::Arc};

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest as _, MatchedPath, Request, State},
    http::Method,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use utoipa::openapi::{
    OpenApi, RefOr,
    path::{Operation, ParameterIn},
};
use utoipa_axum::router::OpenApiRouter;

use super::{ApiError, spelling};
use crate::{app::App, http::content_encoding, service::Tokens};
use tokenward_guard::Principal;

/// Query parameters of the original's GETs that have no meaning here. They are accepted on every GET, and ignored.
const IGNORED: [&str; 8] =
    ["fields", "embed", "includeDeleted", "includePrivileges", "filter", "workspaceId", "uuid", "noLimit"];

/// The query parameters of one operation.
type Names = Vec<String>;

/// The query parameters that each operation takes, by path template and method. Cheap to clone.
#[derive(Clone, Debug)]
struct Operations(Arc<HashMap<String, Vec<(Method, Names)>>>);

/// Whether a workspace may have switched these routes off. Then they do not exist for it, whatever else is wrong with the request.
#[derive(Clone)]
pub(super) enum Switch {
    None,
    Tokens(Box<Tokens>),
}

/// Puts routes behind the check. Paths and methods that do not exist stay outside.
pub(super) fn checked(routes: OpenApiRouter<App>, switch: Switch) -> OpenApiRouter<App> {
    let operations = Operations::of(routes.get_openapi());
    routes.route_layer(middleware::from_fn_with_state((operations, switch), check))
}

async fn check(
    State((operations, switch)): State<(Operations, Switch)>,
    template: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    // Health checks and the like are no part of the API.
    if !template.as_str().starts_with("/v4/") {
        return next.run(request).await;
    }
    let principal = request.extensions().get::<Principal>().cloned();
    let error = match operations.accepted(template.as_str(), request).await {
        Ok(request) => return next.run(request).await,
        Err(error) => error,
    };
    let is_there = match (&switch, principal) {
        // A bearer has been checked against the switch already.
        (Switch::Tokens(tokens), Some(caller)) if caller.token().is_none() => tokens.ensure_enabled(&caller).await,
        _ => Ok(()),
    };
    is_there.map_or_else(ApiError::from, |()| error).into_response()
}

impl Operations {
    fn of(document: &OpenApi) -> Self {
        let items = document.paths.paths.iter().map(|(path, item)| {
            let operations = [
                (Method::GET, &item.get),
                (Method::POST, &item.post),
                (Method::PUT, &item.put),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ];
            let described =
                operations.into_iter().filter_map(|(method, operation)| Some((method, names(operation.as_ref()?))));
            (path.clone(), described.collect())
        });
        Self(Arc::new(items.collect()))
    }

    /// The request, unless it says more than the operation takes.
    async fn accepted(&self, template: &str, request: Request) -> Result<Request, ApiError> {
        let method = request.method().clone();
        // An operation without a description takes no parameter.
        let names = self.find(template, &method).unwrap_or_default();
        check_query(names, request.uri().query().unwrap_or_default(), method.is_safe())?;
        let names_no_object = !template.contains('{');
        if method == Method::DELETE && names_no_object { without_body(request).await } else { Ok(request) }
    }

    fn find(&self, template: &str, method: &Method) -> Option<&[String]> {
        // A HEAD is answered as a GET.
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        self.0.get(template)?.iter().find(|(known, _)| known == method).map(|(_, names)| names.as_slice())
    }
}

fn names(operation: &Operation) -> Names {
    let parameters = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) if matches!(parameter.parameter_in, ParameterIn::Query) => Some(parameter.name.clone()),
        _ => None,
    });
    parameters.collect()
}

/// Only names are looked at; values, and names that are sent twice, are the handler's.
fn check_query(names: &[String], query: &str, is_read: bool) -> Result<(), ApiError> {
    let is_known = |name: &str| names.iter().any(|known| known == name) || (is_read && IGNORED.contains(&name));
    match form_urlencoded::parse(query.as_bytes()).find(|(name, _)| !is_known(name)) {
        Some((name, _)) => Err(unknown(&name, names)),
        None => Ok(()),
    }
}

fn unknown(name: &str, known: &[String]) -> ApiError {
    let what = spelling::shown(name).map_or("A query parameter".to_owned(), |name| format!("Query parameter {name}"));
    ApiError::Form(match spelling::nearest(name, known.iter().map(String::as_str)) {
        Some(nearest) => format!("{what} is unknown; the nearest one that this operation takes is {nearest}."),
        None => format!("{what} is unknown; this operation takes no query parameters."),
    })
}

/// Some clients send an empty object with every request.
async fn without_body(request: Request) -> Result<Request, ApiError> {
    let (parts, body) = request.into_parts();
    let unread = |_| ApiError::Form("The body could not be read.".to_owned());
    // A layer has read the body and bounded it before.
    let bytes = Bytes::from_request(Request::new(body), &()).await.map_err(unread)?;
    if says_nothing(&bytes) {
        return Ok(Request::from_parts(parts, Body::from(bytes)));
    }
    if content_encoding::is_encoded(&parts.headers) {
        return Err(ApiError::Encoded);
    }
    Err(ApiError::Form(
        "This operation takes no body. Path and query say what it deletes; send it without one.".to_owned(),
    ))
}

fn says_nothing(body: &[u8]) -> bool {
    matches!(body.trim_ascii(), b"" | b"{}" | b"null")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn details(names: &[&str], query: &str, is_read: bool) -> Option<String> {
        let names: Names = names.iter().map(|name| (*name).to_owned()).collect();
        check_query(&names, query, is_read).err().map(|error| error.details())
    }

    #[test]
    fn names_are_compared_as_they_are_meant() {
        let names = ["personId", "limit"];
        for fine in ["", "&", "personId=2", "person%49d=2&limit=", "personId", "fields=a&fields=b&noLimit"] {
            assert_eq!(details(&names, fine, true), None, "{fine}");
        }
        for (wrong, named) in [
            ("person_id=2", "personId"),
            ("limit=1&personid=2", "personId"),
            ("Limit=1", "limit"),
            ("=2", "limit"),
            ("%FF=2", "limit"),
            ("Fields=x", "limit"),
        ] {
            let details = details(&names, wrong, true).unwrap();
            assert!(named == "limit" || details.contains(named), "{wrong}: {details}");
        }
    }

    #[test]
    fn what_is_ignored_on_reading_is_unknown_on_writing() {
        for name in IGNORED {
            assert_eq!(details(&[], &format!("{name}=x"), true), None);
            let refused = details(&[], &format!("{name}=x"), false).unwrap();
            assert_eq!(
                refused,
                format!("Query parameter {name} is unknown; this operation takes no query parameters.")
            );
        }
    }

    #[test]
    fn a_value_in_the_place_of_a_name_is_not_repeated() {
        let value = "twd_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg1234567";
        assert!(!details(&[], value, true).unwrap().contains("twd_"));
    }

    #[test]
    fn an_empty_object_is_no_body() {
        assert!(["", " \n", "{}", "null", " {} "].iter().all(|body| says_nothing(body.as_bytes())));
        assert!(!["[]", "x", "{\"status\":\"expired\"}", "0"].iter().any(|body| says_nothing(body.as_bytes())));
    }
}
