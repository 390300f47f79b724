//! `/v4/open-api-spec`: the OpenAPI 3.1 document of all endpoints, generated from the code.

use std::sync::{Arc, LazyLock, OnceLock};

use axum::{
    Extension,
    body::Bytes,
    http::{Method, header::CONTENT_TYPE},
    response::IntoResponse,
};
use serde_json::Value;
use utoipa::{
    OpenApi,
    openapi::{
        ContentBuilder, Header, ObjectBuilder, Ref, RefOr, Response,
        example::ExampleBuilder,
        path::Operation,
        schema::{Schema, SchemaType, Type},
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
        server::Server,
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

mod descriptions;
mod errors;
mod examples;
mod trust_rules;
mod webhooks;

use super::{error::ErrorBody, extract::AnyCaller, required_scope::RequiredScope};
use crate::{app::App, auth_check::OAuthError, config::Config};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tokenward",
        description = "Issues API access tokens and identifies their owners.",
        contact(name = "Tokenward"),
        license(name = "MIT or Apache License 2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((url = "/", description = "The service that serves this document")),
    tags(
        (name = "apiAccessTokens", description = "Create, list, read and delete access tokens."),
        (name = "people", description = "The people of a workspace. Each owns tokens."),
        (name = "workspaces", description = "Workspaces and their settings."),
        (name = "events", description = "The audit log."),
        (name = "webhooks", description = "URLs that receive the events of the workspace, signed by Standard Webhooks 1.0."),
        (name = "auth", description = "Auth checks for reverse proxies: is a token valid, and whose is it?"),
        (name = "oauth2", description = "Token introspection, revocation and device authorization by OAuth 2.0."),
        (name = "leaks", description = "Reports of leaked tokens, for secret scanners. They need no credential."),
        (name = "openapi", description = "This document."),
        (name = "health", description = "Health checks for load balancers and orchestrators. They need no credential.")
    ),
    components(schemas(ErrorBody)),
    security(("bearer" = []), ("basic" = []))
)]
struct Document;

/// Returns an empty router with the header of the document.
fn document_router() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
}

/// Returns the route of the document, which contains the public URL.
pub(super) fn routes(config: &Config) -> OpenApiRouter<App> {
    let served = ServedDocument { public_url: config.public_url(), json: Arc::default() };
    OpenApiRouter::new().routes(routes!(get_document)).layer(Extension(served))
}

/// The document of one service, serialized for the first request.
#[derive(Clone)]
struct ServedDocument {
    public_url: String,
    json: Arc<OnceLock<Bytes>>,
}

static DOCUMENT: LazyLock<utoipa::openapi::OpenApi> = LazyLock::new(|| {
    let mut document =
        document_router().merge(super::token_routes()).merge(super::other_routes(&Config::default())).into_openapi();
    document.merge(super::open_routes(&Config::default()).into_openapi());
    document.merge(crate::auth_check::openapi_document());
    add_common_parts(&mut document);
    document
});

static DOCUMENT_JSON: LazyLock<String> = LazyLock::new(|| to_json(&DOCUMENT));

#[expect(clippy::expect_used, reason = "the document contains only strings, numbers and maps")]
fn to_json(document: &utoipa::openapi::OpenApi) -> String {
    document.to_pretty_json().expect("an OpenAPI document serializes to JSON")
}

/// Returns the document.
#[must_use]
pub fn document() -> &'static utoipa::openapi::OpenApi {
    &DOCUMENT
}

/// Returns the document as JSON. The URL of the server is relative.
#[must_use]
pub fn document_json() -> &'static str {
    &DOCUMENT_JSON
}

/// Returns the document of a service with this public URL, as JSON.
#[must_use]
pub fn document_json_for(public_url: &str) -> String {
    let mut document = DOCUMENT.clone();
    document.servers = Some(vec![Server::new(public_url)]);
    to_json(&document)
}

/// Adds what the code of the operations does not declare: the authentication schemes, descriptions
/// of properties, and examples of all requests and responses.
fn add_common_parts(document: &mut utoipa::openapi::OpenApi) {
    let components = document.components.get_or_insert_default();
    let basic = HttpBuilder::new().scheme(HttpAuthScheme::Basic).description(Some("E-mail and password"));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A token value"));
    components.add_security_scheme("basic", SecurityScheme::Http(basic.build()));
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer.build()));
    descriptions::add_descriptions(components);
    for (path, item) in &mut document.paths.paths {
        let operations = [
            (Method::GET, &mut item.get),
            (Method::POST, &mut item.post),
            (Method::PATCH, &mut item.patch),
            (Method::DELETE, &mut item.delete),
        ];
        for (method, operation) in operations {
            let Some(operation) = operation else { continue };
            add_required_scope(operation, &method, path);
            add_examples(operation);
            add_errors(operation);
            remove_null_type(operation);
            remove_empty_requirement(operation);
        }
    }
}

/// Adds the scope that the operation requires of a token, unless it requires no credential.
fn add_required_scope(operation: &mut Operation, method: &Method, path: &str) {
    let is_check = path.starts_with("/v4/auth") && path != "/v4/auth/batch";
    let is_authenticated = operation.security.is_none() && !is_check;
    if is_authenticated {
        let required = RequiredScope::of(method, path).as_str();
        operation.extensions.get_or_insert_default().insert("x-required-scope".to_owned(), Value::from(required));
    }
}

/// Adds examples of the request and of the successful response.
fn add_examples(operation: &mut Operation) {
    let id = operation.operation_id.clone().unwrap_or_default();
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        for content in body.content.values_mut() {
            if let RefOr::T(content) = content {
                content.example = examples::request_of(&id);
            }
        }
    }
    for response in operation.responses.responses.values_mut() {
        let RefOr::T(response) = response else { continue };
        for content in response.content.values_mut() {
            if let RefOr::T(content) = content {
                content.example = examples::response_of(&id);
            }
        }
    }
}

/// Adds the errors of an operation, with an example of each.
fn add_errors(operation: &mut Operation) {
    let is_oauth = operation.tags.as_ref().is_some_and(|tags| tags.iter().any(|tag| tag == "oauth2"));
    for (name, error) in errors::errors_of(operation.operation_id.as_deref().unwrap_or_default()) {
        let status = error.status();
        let (schema, body) = if is_oauth {
            ("OAuthError", serde_json::to_value(OAuthError::from(error).body()))
        } else {
            ("Error", serde_json::to_value(error.body()))
        };
        let body = body.ok().map(with_request_id);
        let responses = &mut operation.responses.responses;
        let response = responses.entry(status.as_str().to_owned()).or_insert_with(|| {
            let reason = status.canonical_reason().unwrap_or_default();
            RefOr::T(error_response(status.as_u16(), reason, schema))
        });
        let RefOr::T(response) = response else { continue };
        if let Some(RefOr::T(content)) = response.content.get_mut("application/json") {
            let example = ExampleBuilder::new().value(body).build();
            content.examples.insert(name.to_owned(), RefOr::T(example));
        }
    }
}

/// Fills in the request ID, which is all that the response to a bug contains.
fn with_request_id(mut body: Value) -> Value {
    for pointer in ["/exception/details", "/error_description"] {
        if let Some(details) = body.pointer_mut(pointer).filter(|details| **details == "") {
            *details = "64d12b0c7fd24a7f9b3c1e5a90f3a2c1".into();
        }
    }
    body
}

/// Returns an error response without examples.
fn error_response(status: u16, reason: &str, schema: &str) -> Response {
    let mut response = Response::new(reason);
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
    response.content.insert("application/json".to_owned(), content.into());
    let header = match status {
        401 => Some(("WWW-Authenticate", Type::String, "The accepted authentication schemes (RFC 6750, RFC 7617)")),
        429 | 503 => Some(("Retry-After", Type::Integer, "The time to wait, in seconds; 1 or more")),
        _ => None,
    };
    if let Some((name, header_type, description)) = header {
        let mut header = Header::new(ObjectBuilder::new().schema_type(header_type).build());
        header.description = Some(description.to_owned());
        response.headers.insert(name.to_owned(), RefOr::T(header));
    }
    response
}

/// Removes `null` from the types of parameters. Query parameters and headers cannot be null: an
/// optional one is omitted.
fn remove_null_type(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && let Some(RefOr::T(Schema::Object(schema))) = &mut parameter.schema
            && let SchemaType::Array(types) = &schema.schema_type
            && let [single_type] = types.iter().filter(|kind| **kind != Type::Null).collect::<Vec<_>>()[..]
        {
            schema.schema_type = SchemaType::Type(single_type.clone());
        }
    }
}

/// Replaces the security requirement without a scheme by an empty list, which generators of clients
/// understand: the operation needs no credential.
fn remove_empty_requirement(operation: &mut Operation) {
    if operation.security.as_deref() == Some(&[SecurityRequirement::default()]) {
        operation.security = Some(Vec::new());
    }
}

/// Get the OpenAPI document
///
/// Clients use this operation to test a connection and a credential.
#[utoipa::path(get, path = "/v4/open-api-spec", operation_id = "getOpenApiSpec", tag = "openapi",
    responses((status = 200, description = "OpenAPI 3.1", body = Value)))]
async fn get_document(_: AnyCaller, Extension(served): Extension<ServedDocument>) -> impl IntoResponse {
    let json = served.json.get_or_init(|| (document_json_for(&served.public_url) + "\n").into());
    ([(CONTENT_TYPE, "application/json")], json.clone())
}
