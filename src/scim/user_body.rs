//! Users in bodies of requests: the values of attributes.

use serde_json::{Map, Value};

use super::{ScimError, USER_SCHEMA, error::ScimType};
use crate::domain::scim::{ScimAttributes, ScimEmail, ScimName, ScimProfile};

/// A user as a client sends it.
pub(super) struct UserBody {
    pub(super) attributes: ScimAttributes,
    /// `None`: not sent.
    pub(super) is_active: Option<bool>,
}

impl UserBody {
    /// Parses the body of POST and PUT. Attributes that this service does not have are ignored, `password`
    /// and `roles` included.
    ///
    /// # Errors
    /// `invalidValue` for a value of the wrong type, or a body of another schema.
    pub(super) fn parse(body: &Map<String, Value>) -> Result<Self, ScimError> {
        require_schema(body, USER_SCHEMA)?;
        let text = |name: &str| optional_text(name, get(body, name));
        let profile = ScimProfile {
            display_name: text("displayName")?.filter(|name| !name.is_empty()),
            name: get(body, "name").map_or_else(|| Ok(ScimName::default()), parse_name)?,
            emails: get(body, "emails").map_or_else(|| Ok(Vec::new()), parse_emails)?,
        };
        let attributes = ScimAttributes {
            user_name: text("userName")?.unwrap_or_default(),
            external_id: text("externalId")?.filter(|id| !id.is_empty()),
            profile,
        };
        Ok(Self { attributes, is_active: get(body, "active").map(parse_active).transpose()? })
    }
}

/// Checks that a body that names its schemas names this one.
pub(super) fn require_schema(body: &Map<String, Value>, schema: &str) -> Result<(), ScimError> {
    let is_named = |schemas: &Value| {
        let names = schemas.as_array().map(Vec::as_slice).unwrap_or_default();
        names.iter().filter_map(Value::as_str).any(|name| name.eq_ignore_ascii_case(schema))
    };
    if get(body, "schemas").is_none_or(is_named) {
        return Ok(());
    }
    Err(ScimError::Invalid(ScimType::Value, format!("schemas must contain {schema}.")))
}

/// Returns a value by its name, in any case. A value that is null counts as absent (RFC 7643,
/// section 2.5).
pub(super) fn get<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let found = object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    found.filter(|value| !value.is_null())
}

/// Returns the text of a value; `None` if it is absent.
pub(super) fn optional_text(name: &str, value: Option<&Value>) -> Result<Option<String>, ScimError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(ScimError::wrong_type(name, "a string")),
    }
}

/// Parses a boolean. Some clients write it as text: `"False"`.
pub(super) fn parse_boolean(name: &str, value: &Value) -> Result<bool, ScimError> {
    match value {
        Value::Bool(value) => Ok(*value),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(ScimError::wrong_type(name, "true or false")),
    }
}

/// Parses the state of a user.
pub(super) fn parse_active(value: &Value) -> Result<bool, ScimError> {
    parse_boolean("active", value)
}

/// Parses the components of a name.
pub(super) fn parse_name(value: &Value) -> Result<ScimName, ScimError> {
    let Value::Object(object) = value else { return Err(ScimError::wrong_type("name", "an object")) };
    let text = |name: &str| -> Result<Option<String>, ScimError> {
        Ok(optional_text(name, get(object, name))?.filter(|text| !text.is_empty()))
    };
    Ok(ScimName { formatted: text("formatted")?, family_name: text("familyName")?, given_name: text("givenName")? })
}

/// Parses e-mail addresses: an array, or a single address.
pub(super) fn parse_emails(value: &Value) -> Result<Vec<ScimEmail>, ScimError> {
    match value {
        Value::Array(values) => values.iter().map(parse_email).collect(),
        Value::Object(_) => Ok(vec![parse_email(value)?]),
        _ => Err(ScimError::wrong_type("emails", "an array of objects")),
    }
}

fn parse_email(value: &Value) -> Result<ScimEmail, ScimError> {
    let Value::Object(object) = value else { return Err(ScimError::wrong_type("emails", "an array of objects")) };
    let primary = get(object, "primary").map(|value| parse_boolean("emails.primary", value)).transpose()?;
    Ok(ScimEmail {
        value: optional_text("emails.value", get(object, "value"))?.unwrap_or_default(),
        kind: optional_text("emails.type", get(object, "type"))?,
        primary,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(body: &Value) -> Result<UserBody, ScimError> {
        UserBody::parse(body.as_object().unwrap())
    }

    #[test]
    fn names_match_in_any_case_and_booleans_may_be_text() {
        let user = parse(&json!({"USERNAME": "ada", "externalid": "x", "Active": "False", "displayName": null,
            "emails": {"value": "a@example.com", "primary": "True"}, "password": "secret", "roles": ["admin"]}));
        let user = user.unwrap();
        assert_eq!((user.attributes.user_name.as_str(), user.is_active), ("ada", Some(false)));
        assert_eq!(
            user.attributes.profile.emails[0],
            ScimEmail { value: "a@example.com".to_owned(), kind: None, primary: Some(true) }
        );
        assert_eq!(user.attributes.external_id.as_deref(), Some("x"));
    }

    #[test]
    fn values_of_other_types_are_errors() {
        for body in [
            json!({"userName": 7}),
            json!({"userName": "a", "active": "no"}),
            json!({"userName": "a", "active": 0}),
            json!({"userName": "a", "name": "Ada"}),
            json!({"userName": "a", "emails": "a@example.com"}),
            json!({"userName": "a", "emails": ["a@example.com"]}),
            json!({"userName": "a", "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"]}),
        ] {
            assert!(matches!(parse(&body), Err(ScimError::Invalid(ScimType::Value, _))), "{body}");
        }
    }
}
