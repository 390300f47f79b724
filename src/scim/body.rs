//! Bodies: JSON objects of the media type `application/scim+json`, or `application/json`.

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, LOCATION},
    },
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value};

use super::{MEDIA_TYPE, ScimError};
use crate::http::{ApiError, content_encoding};

/// The JSON object in the body of a request.
pub(super) struct ScimBody(pub(super) Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for ScimBody {
    type Rejection = ScimError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ScimError> {
        let is_json = request.headers().get(CONTENT_TYPE).is_none_or(|value| value.to_str().is_ok_and(is_json_type));
        let is_encoded = content_encoding::is_encoded(request.headers());
        // The body middleware has already read the body and limited its size.
        let read_error = |_| ApiError::BadRequest("The body could not be read.".to_owned());
        let bytes = Bytes::from_request(request, state).await.map_err(read_error)?;
        if is_encoded {
            return Err(ApiError::UnsupportedEncoding.into());
        }
        if !is_json {
            return Err(ApiError::NotJson.into());
        }
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(object)) => Ok(Self(object)),
            // The position only: the text may contain anything.
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                Err(ApiError::BadRequest(format!("The body is not JSON: line {line}, column {column}.")).into())
            }
            Ok(_) => Err(ApiError::BadRequest("The body must be a JSON object.".to_owned()).into()),
        }
    }
}

fn is_json_type(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(MEDIA_TYPE) || essence.eq_ignore_ascii_case("application/json")
}

/// A response with a JSON body.
pub(super) struct ScimJson {
    pub(super) status: StatusCode,
    /// The URL of a new resource.
    pub(super) location: Option<String>,
    pub(super) body: Value,
}

impl ScimJson {
    /// Creates a response with status 200.
    pub(super) const fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, location: None, body }
    }
}

impl IntoResponse for ScimJson {
    fn into_response(self) -> Response {
        let mut response = (self.status, Body::from(format!("{}\n", self.body))).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some(location) = self.location.and_then(|location| HeaderValue::try_from(location).ok()) {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }
}
