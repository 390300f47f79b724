//! Filters of lists (RFC 7644, section 3.4.2.2): `userName eq "x"` and `externalId eq "x"`.

use super::{
    ScimError,
    error::ScimType,
    grammar::{parse_equality, without_schema},
};
use crate::domain::scim::ScimFilter;

/// Parses a filter.
pub(super) fn parse_filter(text: &str) -> Result<ScimFilter, ScimError> {
    let (attribute, value) = parse_equality(text).ok_or_else(unsupported)?;
    let serde_json::Value::String(value) = value else { return Err(unsupported()) };
    match without_schema(attribute) {
        name if name.eq_ignore_ascii_case("userName") => Ok(ScimFilter::UserName(value)),
        name if name.eq_ignore_ascii_case("externalId") => Ok(ScimFilter::ExternalId(value)),
        _ => Err(unsupported()),
    }
}

fn unsupported() -> ScimError {
    let detail = "Only the filters userName eq \"...\" and externalId eq \"...\" are supported.";
    ScimError::Invalid(ScimType::Filter, detail.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_of_two_attributes_is_supported() {
        for text in [
            r#"userName eq "ada""#,
            r#"username EQ  "ada" "#,
            r#" urn:ietf:params:scim:schemas:core:2.0:User:userName eq "ada""#,
        ] {
            assert_eq!(parse_filter(text).unwrap(), ScimFilter::UserName("ada".to_owned()), "{text}");
        }
        let text = r#"externalId eq "a \"b\" and (x) \u00e9""#;
        assert_eq!(parse_filter(text).unwrap(), ScimFilter::ExternalId("a \"b\" and (x) é".to_owned()));
    }

    #[test]
    fn everything_else_is_rejected() {
        for text in [
            "",
            "userName",
            "userName eq",
            "userName eq ada",
            "userName eq 'ada'",
            r#"userName ne "ada""#,
            r#"userName eq "ada" or userName pr"#,
            r#"userName eq "ada" and active eq true"#,
            r#"(userName eq "ada")"#,
            r#"not userName eq "ada""#,
            r#"userName eq "ada"; drop table person"#,
            r#"email eq "ada""#,
            "userName eq true",
            "userName eq null",
        ] {
            let error = parse_filter(text).unwrap_err();
            assert!(matches!(error, ScimError::Invalid(ScimType::Filter, _)), "{text}");
        }
    }
}
