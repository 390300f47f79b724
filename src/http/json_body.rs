//! JSON request bodies: the content type, the encoding, and errors that name the field.

use axum::http::{HeaderMap, header::CONTENT_TYPE};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::{ApiError, content_encoding};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Deserializes a body: JSON in UTF-8, with a content type of JSON or none, and not compressed.
///
/// # Errors
/// [`ApiError::UnsupportedEncoding`] or [`ApiError::NotJson`] for another form of body,
/// [`ApiError::BadRequest`] if it is empty, not JSON, or has a value of another type. The error does not
/// contain the value, which may be a secret.
pub(crate) fn parse<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, ApiError> {
    // Some programs send a byte order mark, which parsers may ignore (RFC 8259, section 8.1).
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    if body.is_empty() {
        return Err(ApiError::BadRequest("Send a JSON object as the body of the request.".to_owned()));
    }
    if content_encoding::is_encoded(headers) {
        return Err(ApiError::UnsupportedEncoding);
    }
    if !headers.get(CONTENT_TYPE).is_none_or(|value| value.to_str().is_ok_and(is_json_content_type)) {
        return Err(ApiError::NotJson);
    }
    parse_text(body)
}

fn is_json_content_type(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Deserializes a JSON text.
///
/// # Errors
/// [`ApiError::BadRequest`] as for [`parse`].
pub(crate) fn parse_text<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let not_utf8 = |_| ApiError::BadRequest("The body is not JSON: it is not UTF-8.".to_owned());
    let text = std::str::from_utf8(bytes).map_err(not_utf8)?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| describe_error(&error))?;
    deserializer.end().map_err(|error| ApiError::BadRequest(format!("The body is not JSON: {error}.")))?;
    // A derived implementation accepts an array of the values of the fields as well.
    if !text.trim_ascii_start().starts_with('{') {
        return Err(ApiError::BadRequest("The body must be an object.".to_owned()));
    }
    Ok(value)
}

/// Returns an error with the path of the field and the expected type, without the value.
fn describe_error(error: &serde_path_to_error::Error<serde_json::Error>) -> ApiError {
    let inner = error.inner();
    if inner.classify() != Category::Data {
        return ApiError::BadRequest(format!("The body is not JSON: {inner}."));
    }
    let message = inner.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(text, _)| text);
    let path = error.path().to_string();
    ApiError::BadRequest(match message.rsplit_once(", expected ") {
        // The name may be a secret that was sent in the wrong place.
        Some((unknown, expected)) if unknown.starts_with("unknown field ") => {
            format!("The body has an unknown field; the known ones are {expected}.")
        }
        Some((_, expected)) if path == "." => format!("The body must be {expected}."),
        Some((_, expected)) => format!("{path} must be {expected}."),
        None if path == "." => format!("{message}."),
        None => format!("{path}: {message}."),
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        secret: String,
    }

    fn headers(content_type: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))])
    }

    #[test]
    fn a_byte_order_mark_and_every_json_type_are_accepted() {
        let body = b"\xef\xbb\xbf{\"secret\":\"x\"}";
        for headers in
            [HeaderMap::new(), headers("application/json; charset=utf-8"), headers("application/problem+json")]
        {
            assert_eq!(parse::<Sample>(&headers, body).unwrap().secret, "x", "{headers:?}");
        }
        assert!(matches!(parse::<Sample>(&headers("text/plain"), body), Err(ApiError::NotJson)));
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

    #[test]
    fn an_error_contains_no_part_of_the_body() {
        for body in [r#"{"s3cret":1}"#, r#"{"secret":["s3cret"]}"#, r#""s3cret""#, r#"{"secret":"s3cret"#] {
            let Err(ApiError::BadRequest(details)) = parse_text::<Sample>(body.as_bytes()) else { panic!("{body}") };
            assert!(!details.contains("s3cret"), "{details}");
        }
    }
}
