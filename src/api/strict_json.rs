//! The extractor of JSON request bodies, which must be an object with values of the right types.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
};
use serde::de::DeserializeOwned;

use super::{
    ApiError,
    json_object::{JsonFields, JsonObject},
};
use crate::http::json_body;

/// The JSON object in the body of a request.
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + JsonFields> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let headers = request.headers().clone();
        // The body middleware has already read the body and limited its size.
        let read_error = |_| ApiError::BadRequest("The body could not be read.".to_owned());
        let body = Bytes::from_request(request, state).await.map_err(read_error)?;
        json_body::parse(&headers, &body).map(|JsonObject(value)| Self(value))
    }
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
        match json_body::parse_text::<JsonObject<Sample>>(body.as_bytes()) {
            Ok(JsonObject(sample)) => Ok((sample.lifetime_seconds.0, sample.password)),
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
        assert!(json_body::parse_text::<JsonObject<Sample>>(b"{\"lifetimeSeconds\":1,\"password\":\"\xe9\"}").is_err());
    }
}
