//! What came back.

use std::fmt::Debug;

use axum::body::HttpBody as Body;
use http::{HeaderMap, Response};
use http_body_util::BodyExt as _;
use serde_json::Value;

/// An answer, read to its end.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    /// The body as JSON; null where it is none.
    pub json: Value,
}

impl Reply {
    pub async fn read(response: Response<impl Body<Error: Debug>>) -> Self {
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let is_json = parts.headers.get("content-type").is_some_and(|kind| kind.as_bytes().ends_with(b"json"));
        let json = if is_json && !text.is_empty() { serde_json::from_str(&text).unwrap() } else { Value::Null };
        Self { status: parts.status.as_u16(), headers: parts.headers, text, json }
    }

    /// Insists on a status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Insists on an error, its form included, and gives its details.
    #[track_caller]
    pub fn expect_error(&self, status: u16, name: &str) -> String {
        let exception = &self.json["exception"];
        assert_eq!((self.status, exception["name"].as_str()), (status, Some(name)), "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/json");
        assert!(exception["message"].as_str().is_some_and(|text| !text.is_empty()));
        exception["details"].as_str().filter(|text| !text.is_empty()).expect("details that help").to_owned()
    }

    /// All values of a header.
    pub fn header_values(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
    }

    /// The rows of a list.
    #[track_caller]
    pub fn rows(&self) -> &Vec<Value> {
        self.json["data"].as_array().expect("a list")
    }
}
