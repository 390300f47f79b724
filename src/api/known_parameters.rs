//! Middleware that rejects input which an operation would ignore: an unknown query parameter, and
//! the body of a deletion without an ID in its path. A deletion that ignored its filter would
//! delete everything.
//!
//! The accepted parameters are taken from the OpenAPI document, so the check covers every new
//! route.

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
use crate::{
    app::App,
    http::{authenticate::Authenticated, content_encoding},
    service::Tokens,
};

/// Query parameters of the original API that are not implemented. They are accepted on every GET
/// and ignored.
const IGNORED_PARAMETERS: [&str; 8] =
    ["fields", "embed", "includeDeleted", "includePrivileges", "filter", "workspaceId", "uuid", "noLimit"];

/// The names of the query parameters of one operation.
type ParameterNames = Vec<String>;

/// The query parameters of each operation, by path template and method. Cheap to clone.
#[derive(Clone, Debug)]
struct OperationParameters(Arc<HashMap<String, Vec<(Method, ParameterNames)>>>);

/// The feature that routes depend on. For callers of a workspace that has it switched off the
/// routes do not exist, so that any invalid request gets 404.
#[derive(Clone)]
pub(super) enum FeatureGate {
    None,
    Tokens(Box<Tokens>),
}

/// Adds the parameter check to routes. It does not apply to unknown paths and methods.
pub(super) fn with_parameter_checks(routes: OpenApiRouter<App>, feature_gate: FeatureGate) -> OpenApiRouter<App> {
    let operations = OperationParameters::from_document(routes.get_openapi());
    routes.route_layer(middleware::from_fn_with_state((operations, feature_gate), check_parameters))
}

async fn check_parameters(
    State((operations, feature_gate)): State<(OperationParameters, FeatureGate)>,
    template: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    // Health checks and well-known documents are not part of the API.
    if !template.as_str().starts_with("/v4/") {
        return next.run(request).await;
    }
    let principal = request.extensions().get::<Authenticated>().map(|authenticated| authenticated.principal.clone());
    let error = match operations.validate(template.as_str(), request).await {
        Ok(request) => return next.run(request).await,
        Err(error) => error,
    };
    let feature_check = match (&feature_gate, principal) {
        // The authentication of a bearer token includes this check.
        (FeatureGate::Tokens(tokens), Some(caller)) if caller.token().is_none() => tokens.ensure_enabled(&caller).await,
        _ => Ok(()),
    };
    feature_check.map_or_else(ApiError::from, |()| error).into_response()
}

impl OperationParameters {
    fn from_document(document: &OpenApi) -> Self {
        let paths = document.paths.paths.iter().map(|(path, item)| {
            let operations = [
                (Method::GET, &item.get),
                (Method::POST, &item.post),
                (Method::PUT, &item.put),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ];
            let parameters = operations
                .into_iter()
                .filter_map(|(method, operation)| Some((method, query_parameter_names(operation.as_ref()?))));
            (path.clone(), parameters.collect())
        });
        Self(Arc::new(paths.collect()))
    }

    /// Returns the request if the operation accepts its query parameters and its body.
    async fn validate(&self, template: &str, request: Request) -> Result<Request, ApiError> {
        let method = request.method().clone();
        // An operation that is not in the document accepts no parameters.
        let names = self.find(template, &method).unwrap_or_default();
        check_query(names, request.uri().query().unwrap_or_default(), method.is_safe())?;
        let path_has_no_id = !template.contains('{');
        if method == Method::DELETE && path_has_no_id { require_empty_body(request).await } else { Ok(request) }
    }

    fn find(&self, template: &str, method: &Method) -> Option<&[String]> {
        // HEAD is processed as GET.
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let operations = self.0.get(template)?;
        operations.iter().find(|(candidate, _)| candidate == method).map(|(_, names)| names.as_slice())
    }
}

fn query_parameter_names(operation: &Operation) -> ParameterNames {
    let parameters = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) if matches!(parameter.parameter_in, ParameterIn::Query) => Some(parameter.name.clone()),
        _ => None,
    });
    parameters.collect()
}

/// Checks the parameter names. The handlers check the values and reject repeated names.
fn check_query(names: &[String], query: &str, is_read: bool) -> Result<(), ApiError> {
    let is_accepted =
        |name: &str| names.iter().any(|accepted| accepted == name) || (is_read && IGNORED_PARAMETERS.contains(&name));
    match form_urlencoded::parse(query.as_bytes()).find(|(name, _)| !is_accepted(name)) {
        Some((name, _)) => Err(unknown_parameter_error(&name, names)),
        None => Ok(()),
    }
}

fn unknown_parameter_error(name: &str, accepted: &[String]) -> ApiError {
    let subject =
        spelling::echoable_name(name).map_or("A query parameter".to_owned(), |name| format!("Query parameter {name}"));
    ApiError::BadRequest(match spelling::find_nearest(name, accepted.iter().map(String::as_str)) {
        Some(nearest) => format!("{subject} is unknown; the nearest parameter of this operation is {nearest}."),
        None => format!("{subject} is unknown; this operation accepts no query parameters."),
    })
}

/// Rejects a body with content. An empty object is accepted, because some clients send one with
/// every request.
async fn require_empty_body(request: Request) -> Result<Request, ApiError> {
    let (parts, body) = request.into_parts();
    let read_error = |_| ApiError::BadRequest("The body could not be read.".to_owned());
    // The body middleware has already read the body and limited its size.
    let bytes = Bytes::from_request(Request::new(body), &()).await.map_err(read_error)?;
    if is_empty_body(&bytes) {
        return Ok(Request::from_parts(parts, Body::from(bytes)));
    }
    if content_encoding::is_encoded(&parts.headers) {
        return Err(ApiError::UnsupportedEncoding);
    }
    Err(ApiError::BadRequest(
        "This operation accepts no body. Path and query determine what it deletes; send it without a body.".to_owned(),
    ))
}

fn is_empty_body(body: &[u8]) -> bool {
    matches!(body.trim_ascii(), b"" | b"{}" | b"null")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_details(names: &[&str], query: &str, is_read: bool) -> Option<String> {
        let names: ParameterNames = names.iter().map(|name| (*name).to_owned()).collect();
        check_query(&names, query, is_read).err().map(|error| error.details())
    }

    #[test]
    fn names_are_compared_after_percent_decoding() {
        let names = ["personId", "limit"];
        for valid in ["", "&", "personId=2", "person%49d=2&limit=", "personId", "fields=a&fields=b&noLimit"] {
            assert_eq!(error_details(&names, valid, true), None, "{valid}");
        }
        for (invalid, suggestion) in [
            ("person_id=2", "personId"),
            ("limit=1&personid=2", "personId"),
            ("Limit=1", "limit"),
            ("=2", "limit"),
            ("%FF=2", "limit"),
            ("Fields=x", "limit"),
        ] {
            let details = error_details(&names, invalid, true).unwrap();
            assert!(suggestion == "limit" || details.contains(suggestion), "{invalid}: {details}");
        }
    }

    #[test]
    fn parameters_that_reads_ignore_are_rejected_on_writes() {
        for name in IGNORED_PARAMETERS {
            assert_eq!(error_details(&[], &format!("{name}=x"), true), None);
            let details = error_details(&[], &format!("{name}=x"), false).unwrap();
            assert_eq!(
                details,
                format!("Query parameter {name} is unknown; this operation accepts no query parameters.")
            );
        }
    }

    #[test]
    fn a_token_value_sent_as_a_name_is_not_echoed() {
        let value = "twd_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg1234567";
        assert!(!error_details(&[], value, true).unwrap().contains("twd_"));
    }

    #[test]
    fn an_empty_object_counts_as_an_empty_body() {
        assert!(["", " \n", "{}", "null", " {} "].iter().all(|body| is_empty_body(body.as_bytes())));
        assert!(!["[]", "x", "{\"status\":\"expired\"}", "0"].iter().any(|body| is_empty_body(body.as_bytes())));
    }
}
