//! HTTP responses with their body.

use std::fmt::Debug;

use axum::body::HttpBody as Body;
use http::{HeaderMap, Response};
use http_body_util::BodyExt as _;
use serde_json::Value;

/// A response with its whole body.
#[derive(Debug)]
pub struct TestResponse {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    /// The body as JSON; null if it is not JSON.
    pub json: Value,
}

impl TestResponse {
    pub async fn read(response: Response<impl Body<Error: Debug>>) -> Self {
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let is_json = parts.headers.get("content-type").is_some_and(|kind| kind.as_bytes().ends_with(b"json"));
        if is_json && !text.is_empty() {
            // A second one would be an empty line in the output of curl.
            assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "no newline at the end: {text:?}");
        }
        let json = if is_json && !text.is_empty() { serde_json::from_str(&text).unwrap() } else { Value::Null };
        Self { status: parts.status.as_u16(), headers: parts.headers, text, json }
    }

    /// Asserts the status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Asserts an API error with this status and exception name, and returns its details.
    #[track_caller]
    pub fn expect_error(&self, status: u16, name: &str) -> String {
        let exception = &self.json["exception"];
        assert_eq!((self.status, exception["name"].as_str()), (status, Some(name)), "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/json");
        assert!(exception["message"].as_str().is_some_and(|text| !text.is_empty()));
        exception["details"].as_str().filter(|text| !text.is_empty()).expect("an error with details").to_owned()
    }

    /// Returns all values of a header.
    pub fn header_values(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
    }

    /// Returns the rows of a list.
    #[track_caller]
    pub fn rows(&self) -> &Vec<Value> {
        self.json["data"].as_array().expect("a list")
    }
}
