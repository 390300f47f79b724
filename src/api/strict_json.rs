//! The extractor of JSON request bodies, which must be an object with values of the right types.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::header::CONTENT_TYPE,
};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::{
    ApiError,
    json_object::{JsonFields, JsonObject},
};
use crate::http::content_encoding;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The JSON object in the body of a request.
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + JsonFields> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let is_json =
            request.headers().get(CONTENT_TYPE).is_none_or(|value| value.to_str().is_ok_and(is_json_content_type));
        let is_encoded = content_encoding::is_encoded(request.headers());
        // The body middleware has already read the body and limited its size.
        let read_error = |_| ApiError::BadRequest("The body could not be read.".to_owned());
        let bytes = Bytes::from_request(request, state).await.map_err(read_error)?;
        // Some programs send a byte order mark, which parsers may ignore (RFC 8259, section 8.1).
        let body = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
        if body.is_empty() {
            return Err(ApiError::BadRequest("Send a JSON object as the body of the request.".to_owned()));
        }
        if is_encoded {
            return Err(ApiError::UnsupportedEncoding);
        }
        if !is_json {
            return Err(ApiError::NotJson);
        }
        parse(body).map(Self)
    }
}

fn is_json_content_type(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn parse<T: DeserializeOwned + JsonFields>(bytes: &[u8]) -> Result<T, ApiError> {
    let not_utf8 = |_| ApiError::BadRequest("The body is not JSON: it is not UTF-8.".to_owned());
    let text = std::str::from_utf8(bytes).map_err(not_utf8)?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let JsonObject(value) =
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| describe_error(&error))?;
    deserializer.end().map_err(|error| ApiError::BadRequest(format!("The body is not JSON: {error}.")))?;
    Ok(value)
}

/// Returns an error with the path of the field and the expected type. It does not contain the
/// value, which may be a password.
fn describe_error(error: &serde_path_to_error::Error<serde_json::Error>) -> ApiError {
    let inner = error.inner();
    if inner.classify() != Category::Data {
        return ApiError::BadRequest(format!("The body is not JSON: {inner}."));
    }
    let message = inner.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(text, _)| text);
    let path = error.path().to_string();
    ApiError::BadRequest(match message.rsplit_once(", expected ") {
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

    impl JsonFields for Sample {}

    fn parse_sample(body: &str) -> Result<(i64, Option<String>), String> {
        match parse::<Sample>(body.as_bytes()) {
            Ok(sample) => Ok((sample.lifetime_seconds.0, sample.password)),
            Err(ApiError::BadRequest(details)) => Err(details),
            Err(error) => panic!("{error:?}"),
        }
    }

    #[test]
    fn whole_numbers_may_have_a_fraction_of_zero_or_an_exponent() {
        for (text, value) in
            [("86400", 86_400), ("86400.0", 86_400), ("8.64e4", 86_400), ("-1", -1), ("-0", 0), ("-1.0", -1)]
        {
            assert_eq!(parse_sample(&format!("{{\"lifetimeSeconds\":{text}}}")), Ok((value, None)), "{text}");
        }
        for too_large in ["9223372036854775808", "18446744073709551615", "1e300"] {
            assert_eq!(
                parse_sample(&format!("{{\"lifetimeSeconds\":{too_large}}}")).map(|(n, _)| n),
                Ok(i64::MAX),
                "{too_large}"
            );
        }
    }

    #[test]
    fn a_value_of_the_wrong_type_is_rejected_with_the_field_name_and_without_the_value() {
        for invalid in ["\"s3cret\"", "true", "86400.5", "null", "[1]", "{}"] {
            let details = parse_sample(&format!("{{\"lifetimeSeconds\":{invalid}}}")).unwrap_err();
            assert_eq!(details, "lifetimeSeconds must be a whole number.", "{invalid}");
        }
        assert_eq!(
            parse_sample(r#"{"lifetimeSeconds":1,"password":["s3cret"]}"#).unwrap_err(),
            "password must be a string."
        );
    }

    #[test]
    fn a_body_that_is_not_a_json_object_is_rejected() {
        for invalid in ["[]", "[1]", "1", "\"x\"", "null"] {
            assert_eq!(parse_sample(invalid).unwrap_err(), "The body must be an object.", "{invalid}");
        }
        for invalid in
            ["{", "{\"lifetimeSeconds\":1e400}", "{\"lifetimeSeconds\":1} x", "{\"lifetimeSeconds\":NaN}", "{'a':1}"]
        {
            assert!(parse_sample(invalid).unwrap_err().starts_with("The body is not JSON"), "{invalid}");
        }
        assert_eq!(parse_sample("{}").unwrap_err(), "missing field `lifetimeSeconds`.");
        assert_eq!(
            parse_sample(r#"{"lifetimeSeconds":1,"lifetimeSeconds":2}"#).unwrap_err(),
            "duplicate field `lifetimeSeconds`."
        );
        assert!(parse::<Sample>(b"{\"lifetimeSeconds\":1,\"password\":\"\xe9\"}").is_err());
    }

    #[test]
    fn json_content_types_are_recognized() {
        for valid in ["application/json", "Application/JSON; charset=utf-8", "application/problem+json"] {
            assert!(is_json_content_type(valid), "{valid}");
        }
        for invalid in ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"] {
            assert!(!is_json_content_type(invalid), "{invalid}");
        }
    }
}
