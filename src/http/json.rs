//! JSON bodies. Each response ends with a newline, so that the shell prompt of a `curl` user and the
//! output of the next command start on a line of their own.

use axum::{
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Deserializer, Serialize, de};

/// A JSON response. Requests are read by stricter types than this one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let mut body = Vec::with_capacity(256);
        match serde_json::to_writer(&mut body, &self.0) {
            Ok(()) => {
                body.push(b'\n');
                ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
            }
            Err(error) => {
                tracing::error!(%error, "failed to serialize a response");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

/// Deserializes a field that may be absent but must not be null.
pub(crate) fn not_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    match Option::deserialize(deserializer)? {
        Some(value) => Ok(Some(value)),
        None => Err(de::Error::invalid_type(de::Unexpected::Unit, &"a value other than null")),
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_body_is_one_line_that_counts_in_the_length() {
        let response = Json(json!({"id": 7, "name": "two\nlines"})).into_response();
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        let body = response.into_body();
        let length = axum::body::HttpBody::size_hint(&body).exact();
        let body = body.collect().await.unwrap().to_bytes();
        assert_eq!(body, "{\"id\":7,\"name\":\"two\\nlines\"}\n");
        assert_eq!(length, Some(body.len() as u64));
    }
}
