//! `/v4/open-api-spec`: the OpenAPI 3.1 document of all endpoints, generated from the code.

use std::sync::LazyLock;

use axum::{http::header::CONTENT_TYPE, response::IntoResponse};
use utoipa::{
    OpenApi,
    openapi::{
        ContentBuilder, Ref, RefOr, Response,
        path::Operation,
        schema::{Schema, SchemaType, Type},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{ApiError, error::ErrorBody, extract::AnyCaller};
use crate::{app::App, auth_check::OAuthErrorBody, config::Config};

#[derive(OpenApi)]
#[openapi(
    info(title = "Tokenward", description = "Issues API access tokens and identifies their owners."),
    components(schemas(ErrorBody)),
    security(("bearer" = []), ("basic" = []))
)]
struct Document;

/// Returns an empty router with the header of the document.
fn document_router() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_document))
}

static DOCUMENT_JSON: LazyLock<String> = LazyLock::new(|| {
    let mut document = document_router().merge(super::token_routes()).merge(super::other_routes()).into_openapi();
    document.merge(super::open_routes(&Config::default()).into_openapi());
    document.merge(crate::auth_check::openapi_document());
    add_common_parts(&mut document);
    #[expect(clippy::expect_used, reason = "the document contains only strings, numbers and maps")]
    let mut json = document.to_pretty_json().expect("an OpenAPI document serializes to JSON");
    json.push('\n');
    json
});

/// Returns the document as JSON, without a newline at the end.
#[must_use]
pub fn document_json() -> &'static str {
    DOCUMENT_JSON.trim_end()
}

/// Adds the parts that all operations share: the authentication schemes, and the body and an
/// example of each error.
fn add_common_parts(document: &mut utoipa::openapi::OpenApi) {
    let components = document.components.get_or_insert_default();
    let basic = HttpBuilder::new().scheme(HttpAuthScheme::Basic).description(Some("E-mail and password"));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A token value"));
    components.add_security_scheme("basic", SecurityScheme::Http(basic.build()));
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer.build()));
    for (path, item) in &mut document.paths.paths {
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            // Every operation rejects unknown query parameters.
            if path.starts_with("/v4/") && !is_proxy_operation(operation) {
                operation.responses.responses.entry("400".to_owned()).or_insert_with(|| RefOr::T(Response::default()));
            }
            describe_errors(operation);
            remove_null_type(operation);
        }
    }
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

/// The operations for reverse proxies, which understand only 401 and 403.
const PROXY_OPERATIONS: [&str; 2] = ["checkAuthentication", "checkRequirements"];

fn is_proxy_operation(operation: &Operation) -> bool {
    operation.operation_id.as_deref().is_some_and(|id| PROXY_OPERATIONS.contains(&id))
}

fn describe_errors(operation: &mut Operation) {
    // Only the liveness check needs neither the database nor any other resource.
    if operation.operation_id.as_deref() != Some("getLiveness") {
        for status in ["500", "503"] {
            operation.responses.responses.insert(status.to_owned(), RefOr::T(Response::default()));
        }
    }
    // Operations that accept a password throttle failed logins. Proxies get 401 instead.
    if operation.responses.responses.contains_key("401") && !is_proxy_operation(operation) {
        operation.responses.responses.insert("429".to_owned(), RefOr::T(Response::default()));
    }
    if operation.tags.as_ref().is_some_and(|tags| tags.iter().any(|tag| tag == "oauth2")) {
        describe_oauth_errors(operation);
        return;
    }
    for error in ApiError::examples() {
        let status = error.status();
        if let Some(RefOr::T(response)) = operation.responses.responses.get_mut(status.as_str()) {
            let body = error.body();
            response.description = status.canonical_reason().unwrap_or_default().to_owned();
            let content = ContentBuilder::new()
                .schema(Some(Ref::from_schema_name("Error")))
                .example(serde_json::to_value(&body).ok())
                .build();
            response.content.insert("application/json".to_owned(), content.into());
        }
    }
}

fn describe_oauth_errors(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        let (RefOr::T(response), Some(body)) = (response, OAuthErrorBody::example(status)) else { continue };
        body.error.clone_into(&mut response.description);
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name("OAuthError")))
            .example(serde_json::to_value(&body).ok())
            .build();
        response.content.insert("application/json".to_owned(), content.into());
    }
}

/// Get the OpenAPI document
///
/// Clients use this operation to test a connection and a credential.
#[utoipa::path(get, path = "/v4/open-api-spec", operation_id = "getOpenApiSpec", tag = "openapi",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value), (status = 401), (status = 403)))]
async fn get_document(_: AnyCaller) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT_JSON.as_str())
}
