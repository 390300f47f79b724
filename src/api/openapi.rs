//! The OpenAPI 3.1 document of everything the service answers, made from the code.

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

use super::{ApiError, error::ErrorBody, extract::Caller};
use crate::{app::App, auth_check::OAuthErrorBody, config::Delegate};

#[derive(OpenApi)]
#[openapi(
    info(title = "Tokenward", description = "Issues API access tokens and answers who holds one."),
    components(schemas(ErrorBody)),
    security(("bearer" = []), ("basic" = []))
)]
struct Document;

/// An empty router that carries the head of the document.
fn described() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(spec))
}

static TEXT: LazyLock<String> = LazyLock::new(|| {
    let mut document = described().merge(super::token_routes()).merge(super::other_routes()).into_openapi();
    document.merge(super::open_routes(&Delegate::default()).into_openapi());
    document.merge(crate::auth_check::described());
    complete(&mut document);
    #[expect(clippy::expect_used, reason = "the document is made of nothing but strings, numbers and maps")]
    document.to_pretty_json().expect("an OpenAPI document is JSON")
});

/// The document as JSON.
#[must_use]
pub fn text() -> &'static str {
    &TEXT
}

/// Adds what every operation has in common: the ways to authenticate, and the body and an example of each error.
fn complete(document: &mut utoipa::openapi::OpenApi) {
    let components = document.components.get_or_insert_default();
    let basic = HttpBuilder::new().scheme(HttpAuthScheme::Basic).description(Some("E-mail and password"));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A token value"));
    components.add_security_scheme("basic", SecurityScheme::Http(basic.build()));
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer.build()));
    for (path, item) in &mut document.paths.paths {
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            // An unknown query parameter.
            if path.starts_with("/v4/") && !is_for_proxies(operation) {
                operation.responses.responses.entry("400".to_owned()).or_insert_with(|| RefOr::T(Response::default()));
            }
            describe_errors(operation);
            forbid_null(operation);
        }
    }
}

/// An optional parameter is omitted. Only JSON can say null, and a header with that text is a wrong one.
fn forbid_null(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && let Some(RefOr::T(Schema::Object(schema))) = &mut parameter.schema
            && let SchemaType::Array(types) = &schema.schema_type
            && let [one] = types.iter().filter(|kind| **kind != Type::Null).collect::<Vec<_>>()[..]
        {
            schema.schema_type = SchemaType::Type(one.clone());
        }
    }
}

/// The operations by which proxies ask, who know 401 and 403 alone.
const PROXIES: [&str; 2] = ["checkAuthentication", "checkRequirements"];

fn is_for_proxies(operation: &Operation) -> bool {
    operation.operation_id.as_deref().is_some_and(|id| PROXIES.contains(&id))
}

fn describe_errors(operation: &mut Operation) {
    // Anything may fail; only the process itself is always there.
    if operation.operation_id.as_deref() != Some("getLiveness") {
        for status in ["500", "503"] {
            operation.responses.responses.insert(status.to_owned(), RefOr::T(Response::default()));
        }
    }
    // Wherever a password may be presented; a proxy that asks is told 401 instead.
    if operation.responses.responses.contains_key("401") && !is_for_proxies(operation) {
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

/// Read this document
///
/// Clients use it as their connection test.
#[utoipa::path(get, path = "/v4/open-api-spec", operation_id = "getOpenApiSpec", tag = "openapi",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value), (status = 401), (status = 403)))]
async fn spec(_: Caller) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], text())
}
