//! JSON bodies: an object, of the right types. Unknown fields are ignored unless they are probably meant for known ones.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::header::CONTENT_TYPE,
};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::{
    ApiError,
    json_object::{Fields, Object},
};
use crate::http::content_encoding;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A JSON object as a handler's parameter.
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Fields> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let is_json = request.headers().get(CONTENT_TYPE).is_none_or(|value| value.to_str().is_ok_and(names_json));
        let is_encoded = content_encoding::is_encoded(request.headers());
        // A layer has read the body and bounded it before.
        let unread = |_| ApiError::Form("The body could not be read.".to_owned());
        let bytes = Bytes::from_request(request, state).await.map_err(unread)?;
        // Some programs put a byte order mark in front, which RFC 8259, section 8.1 permits to ignore.
        let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
        if text.is_empty() {
            return Err(ApiError::Form("The request needs a body: a JSON object.".to_owned()));
        }
        if is_encoded {
            return Err(ApiError::Encoded);
        }
        if !is_json {
            return Err(ApiError::NotJson);
        }
        parse(text).map(Self)
    }
}

fn names_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn parse<T: DeserializeOwned + Fields>(bytes: &[u8]) -> Result<T, ApiError> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| ApiError::Form("The body is not UTF-8, as JSON must be.".to_owned()))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let Object(value) = serde_path_to_error::deserialize(&mut reader).map_err(|error| explain(&error))?;
    reader.end().map_err(|error| ApiError::Form(format!("The body is not JSON: {error}.")))?;
    Ok(value)
}

/// Names the field and what it takes. The value that was sent is not repeated: it may be a password.
fn explain(error: &serde_path_to_error::Error<serde_json::Error>) -> ApiError {
    let inner = error.inner();
    if inner.classify() != Category::Data {
        return ApiError::Form(format!("The body is not JSON: {inner}."));
    }
    let message = inner.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(text, _)| text);
    let path = error.path().to_string();
    ApiError::Form(match message.rsplit_once(", expected ") {
        Some((_, expected)) if path == "." => format!("The body must be {expected}."),
        Some((_, expected)) => format!("{path} must be {expected}."),
        None if path == "." => format!("{message}."),
        None => format!("{path}: {message}."),
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::api::serde_types::WholeNumber;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Sample {
        lifetime_seconds: WholeNumber,
        password: Option<String>,
    }

    impl Fields for Sample {}

    fn parsed(body: &str) -> Result<(i64, Option<String>), String> {
        match parse::<Sample>(body.as_bytes()) {
            Ok(sample) => Ok((sample.lifetime_seconds.0, sample.password)),
            Err(ApiError::Form(details)) => Err(details),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn whole_numbers_may_be_written_as_floats() {
        for (text, value) in
            [("86400", 86_400), ("86400.0", 86_400), ("8.64e4", 86_400), ("-1", -1), ("-0", 0), ("-1.0", -1)]
        {
            assert_eq!(parsed(&format!("{{\"lifetimeSeconds\":{text}}}")), Ok((value, None)), "{text}");
        }
        for huge in ["9223372036854775808", "18446744073709551615", "1e300"] {
            assert_eq!(parsed(&format!("{{\"lifetimeSeconds\":{huge}}}")).map(|(n, _)| n), Ok(i64::MAX), "{huge}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_the_fields_name_and_without_its_value() {
        for wrong in ["\"s3cret\"", "true", "86400.5", "null", "[1]", "{}"] {
            let details = parsed(&format!("{{\"lifetimeSeconds\":{wrong}}}")).unwrap_err();
            assert_eq!(details, "lifetimeSeconds must be a whole number.", "{wrong}");
        }
        assert_eq!(parsed(r#"{"lifetimeSeconds":1,"password":["s3cret"]}"#).unwrap_err(), "password must be a string.");
    }

    #[test]
    fn what_is_no_json_object_is_refused() {
        for wrong in ["[]", "[1]", "1", "\"x\"", "null"] {
            assert_eq!(parsed(wrong).unwrap_err(), "The body must be an object.", "{wrong}");
        }
        for wrong in
            ["{", "{\"lifetimeSeconds\":1e400}", "{\"lifetimeSeconds\":1} x", "{\"lifetimeSeconds\":NaN}", "{'a':1}"]
        {
            assert!(parsed(wrong).unwrap_err().starts_with("The body is not JSON"), "{wrong}");
        }
        assert_eq!(parsed("{}").unwrap_err(), "missing field `lifetimeSeconds`.");
        assert_eq!(
            parsed(r#"{"lifetimeSeconds":1,"lifetimeSeconds":2}"#).unwrap_err(),
            "duplicate field `lifetimeSeconds`."
        );
        assert!(parse::<Sample>(b"{\"lifetimeSeconds\":1,\"password\":\"\xe9\"}").is_err());
    }

    #[test]
    fn json_goes_by_several_names() {
        for fine in ["application/json", "Application/JSON; charset=utf-8", "application/problem+json"] {
            assert!(names_json(fine), "{fine}");
        }
        for wrong in ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"] {
            assert!(!names_json(wrong), "{wrong}");
        }
    }
}
