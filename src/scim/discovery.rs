//! The discovery endpoints (RFC 7644, section 4).

use axum::{
    Extension,
    extract::{Path, RawQuery},
};
use serde_json::{Value, json};

use super::{
    BaseUrl, ScimError, USER_SCHEMA,
    authenticate::Client,
    body::ScimJson,
    query::{MAX_COUNT, has_filter},
    schemas::all_schemas,
    users::LIST_SCHEMA,
};
use crate::http::ApiError;

/// Reads the supported operations.
pub(super) async fn service_provider_config(
    Client(_): Client,
    Extension(base): Extension<BaseUrl>,
    RawQuery(query): RawQuery,
) -> Result<ScimJson, ScimError> {
    reject_filter(query.as_deref())?;
    Ok(ScimJson::ok(json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": {"supported": true},
        "bulk": {"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": true, "maxResults": MAX_COUNT},
        "changePassword": {"supported": false},
        "sort": {"supported": false},
        "etag": {"supported": false},
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "SCIM credential",
            "description": "The bearer credential of the workspace, made by tokenward scim credential.",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": true,
        }],
        "meta": {"resourceType": "ServiceProviderConfig", "location": format!("{}/ServiceProviderConfig", base.0)},
    })))
}

/// Lists the types of resources.
pub(super) async fn resource_types(
    Client(_): Client,
    Extension(base): Extension<BaseUrl>,
    RawQuery(query): RawQuery,
) -> Result<ScimJson, ScimError> {
    reject_filter(query.as_deref())?;
    Ok(ScimJson::ok(list(&[user_type(&base)])))
}

/// Reads a type of resources.
pub(super) async fn resource_type(
    Client(_): Client,
    Extension(base): Extension<BaseUrl>,
    Path(id): Path<String>,
) -> Result<ScimJson, ScimError> {
    if id == "User" { Ok(ScimJson::ok(user_type(&base))) } else { Err(ApiError::RouteNotFound.into()) }
}

/// Lists the schemas.
pub(super) async fn schemas(
    Client(_): Client,
    Extension(base): Extension<BaseUrl>,
    RawQuery(query): RawQuery,
) -> Result<ScimJson, ScimError> {
    reject_filter(query.as_deref())?;
    Ok(ScimJson::ok(list(&all_schemas(&base.0))))
}

/// Reads a schema.
pub(super) async fn schema(
    Client(_): Client,
    Extension(base): Extension<BaseUrl>,
    Path(id): Path<String>,
) -> Result<ScimJson, ScimError> {
    let schema = all_schemas(&base.0).into_iter().find(|schema| schema["id"] == id.as_str());
    schema.map(ScimJson::ok).ok_or(ApiError::RouteNotFound.into())
}

fn user_type(base: &BaseUrl) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": "User",
        "name": "User",
        "description": "A person of the workspace.",
        "endpoint": "/Users",
        "schema": USER_SCHEMA,
        "meta": {"resourceType": "ResourceType", "location": format!("{}/ResourceTypes/User", base.0)},
    })
}

fn list(resources: &[Value]) -> Value {
    json!({
        "schemas": [LIST_SCHEMA],
        "totalResults": resources.len(),
        "startIndex": 1,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    })
}

fn reject_filter(query: Option<&str>) -> Result<(), ScimError> {
    if has_filter(query) { Err(ScimError::FilterOnDiscovery) } else { Ok(()) }
}
