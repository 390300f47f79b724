//! Error bodies (RFC 7644, section 3.12).

use axum::{
    body::{Body, to_bytes},
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use super::MEDIA_TYPE;
use crate::{http::ApiError, service::Error};
use tokenward_guard::AuthError;

/// An error of a provisioning request.
#[derive(Debug)]
pub(super) enum ScimError {
    /// An error of the service or of the layers around it.
    Api(ApiError),
    /// The request is invalid: the kind of RFC 7644, table 9, and what is wrong.
    Invalid(ScimType, String),
    /// The path exists, with other methods.
    MethodNotAllowed,
    /// A filter on a discovery endpoint (RFC 7644, section 4).
    FilterOnDiscovery,
}

/// The kinds of invalid requests in use (RFC 7644, table 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScimType {
    Filter,
    Path,
    Syntax,
    Value,
    Mutability,
    NoTarget,
    Uniqueness,
}

impl ScimType {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Filter => "invalidFilter",
            Self::Path => "invalidPath",
            Self::Syntax => "invalidSyntax",
            Self::Value => "invalidValue",
            Self::Mutability => "mutability",
            Self::NoTarget => "noTarget",
            Self::Uniqueness => "uniqueness",
        }
    }
}

impl From<ApiError> for ScimError {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<Error> for ScimError {
    fn from(error: Error) -> Self {
        Self::Api(error.into())
    }
}

impl ScimError {
    /// Returns the error of a value of the wrong type.
    pub(super) fn wrong_type(attribute: &str, expected: &str) -> Self {
        Self::Invalid(ScimType::Value, format!("{attribute} must be {expected}."))
    }

    fn scim_type(&self) -> Option<ScimType> {
        match self {
            Self::Invalid(kind, _) => Some(*kind),
            Self::Api(ApiError::BadRequest(_)) => Some(ScimType::Syntax),
            Self::Api(ApiError::Service(error)) => match error {
                Error::Invalid(_) => Some(ScimType::Value),
                Error::ScimUserTaken => Some(ScimType::Uniqueness),
                Error::ScimExternalIdImmutable { .. } => Some(ScimType::Mutability),
                Error::ScimNoTarget => Some(ScimType::NoTarget),
                _ => None,
            },
            _ => None,
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::Api(ApiError::TokenRequired | ApiError::Unauthenticated(AuthError::Denied(_))) => {
                "Send an Authorization header: Bearer with a SCIM credential of the workspace. \
                 Tokens and passwords are not accepted here."
                    .to_owned()
            }
            Self::Api(ApiError::NotJson) => {
                format!("Send the body as JSON, with Content-Type: {MEDIA_TYPE} or application/json.")
            }
            Self::Api(error) => error.details(),
            Self::Invalid(_, detail) => detail.clone(),
            Self::MethodNotAllowed => "The path does not support this method.".to_owned(),
            Self::FilterOnDiscovery => "Discovery endpoints do not support filters.".to_owned(),
        }
    }
}

impl IntoResponse for ScimError {
    fn into_response(self) -> Response {
        let (kind, detail) = (self.scim_type(), self.detail());
        let response = match self {
            // Keeps the status, the headers and the cause for the log.
            Self::Api(error) => error.into_response(),
            Self::Invalid(..) => StatusCode::BAD_REQUEST.into_response(),
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED.into_response(),
            Self::FilterOnDiscovery => StatusCode::FORBIDDEN.into_response(),
        };
        with_body(response, kind, &detail)
    }
}

/// Replaces the body of an error response.
fn with_body(mut response: Response, kind: Option<ScimType>, detail: &str) -> Response {
    let mut body = Map::new();
    body.insert("schemas".to_owned(), json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
    body.insert("status".to_owned(), Value::String(response.status().as_u16().to_string()));
    if let Some(kind) = kind {
        body.insert("scimType".to_owned(), Value::String(kind.as_str().to_owned()));
    }
    body.insert("detail".to_owned(), Value::String(detail.to_owned()));
    *response.body_mut() = Body::from(format!("{}\n", Value::Object(body)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    response.headers_mut().remove(CONTENT_LENGTH);
    response
}

/// Turns an error of the layers around the router into a SCIM error: unknown paths, limits of size and
/// time, panics. Other responses stay as they are.
pub(crate) async fn convert_error(response: Response) -> Response {
    const MAX_BODY_BYTES: usize = 16 * 1024;
    let is_scim = response.headers().get(CONTENT_TYPE).is_some_and(|value| value.as_bytes() == MEDIA_TYPE.as_bytes());
    let status = response.status();
    if is_scim || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, MAX_BODY_BYTES).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let detail = match status {
        StatusCode::NOT_FOUND => "There is no such SCIM endpoint. The endpoints are below /scim/v2.",
        _ => body.pointer("/exception/details").and_then(Value::as_str).unwrap_or_default(),
    };
    with_body(Response::from_parts(parts, Body::empty()), None, detail)
}
