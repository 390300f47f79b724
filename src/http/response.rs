//! Responses of the HTTP service.

use axum::{
    body::{Body, Bytes},
    http::{Response, StatusCode},
};
use http_body_util::{Either, Full};

use super::{common_headers::insert_common_headers, error::ApiError, request_id::RequestId};

/// A response: a complete body of an auth check, or the body of the router.
pub type HttpResponse = Response<Either<Full<Bytes>, Body>>;

/// Returns an error response with the common headers. The details of a 500 are the request ID alone.
pub(crate) fn error_response(mut response: Response<Body>, id: &RequestId) -> HttpResponse {
    if response.status() == StatusCode::INTERNAL_SERVER_ERROR {
        response = ApiError::internal_response(id.as_str());
    }
    insert_common_headers(response.headers_mut(), id);
    response.map(Either::Right)
}
