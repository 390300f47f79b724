//! The paths of attributes (RFC 7644, section 3.10, and figure 7).

use super::{
    ScimError,
    error::ScimType,
    grammar::{parse_equality, without_schema},
};
use crate::domain::scim::{EmailSelector, NameField};

/// The attributes of the standard that this service does not have. Clients send them by default, so
/// they are ignored. An unknown name is an error: it may be a misspelling of `active`.
const IGNORED_ATTRIBUTES: [&str; 17] = [
    "addresses",
    "entitlements",
    "groups",
    "ims",
    "locale",
    "nickName",
    "password",
    "phoneNumbers",
    "photos",
    "preferredLanguage",
    "profileUrl",
    "roles",
    "schemas",
    "timezone",
    "title",
    "userType",
    "x509Certificates",
];
/// The components of a name that this service does not have.
const IGNORED_NAME_FIELDS: [&str; 3] = ["middleName", "honorificPrefix", "honorificSuffix"];

/// The target of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AttributePath {
    UserName,
    ExternalId,
    DisplayName,
    Active,
    Name,
    NameField(NameField),
    Emails(EmailSelector),
    EmailField(EmailSelector, EmailFieldName),
    /// An attribute that this service does not have.
    Ignored,
}

/// A field of an e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EmailFieldName {
    Value,
    Type,
    Primary,
    /// `display`, which this service does not have.
    Display,
}

impl AttributePath {
    /// Parses a path.
    ///
    /// # Errors
    /// `invalidPath` for an unknown attribute, `invalidFilter` for a filter of another form than
    /// `[type eq "work"]`, `mutability` for a read-only attribute.
    pub(super) fn parse(text: &str) -> Result<Self, ScimError> {
        let path = without_schema(text.trim());
        if path.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("urn:")) {
            return Ok(Self::Ignored);
        }
        let (attribute, filter, field) = split(path).ok_or_else(|| unknown(text))?;
        let is = |name: &str| attribute.eq_ignore_ascii_case(name);
        if is("emails") {
            return parse_email(text, filter, field);
        }
        if is("name") && filter.is_none() {
            return parse_name(text, field);
        }
        if IGNORED_ATTRIBUTES.into_iter().any(is) {
            return Ok(Self::Ignored);
        }
        if is("id") || is("meta") {
            return Err(ScimError::Invalid(ScimType::Mutability, format!("{attribute} is read-only.")));
        }
        match (filter, field) {
            (None, None) if is("userName") => Ok(Self::UserName),
            (None, None) if is("externalId") => Ok(Self::ExternalId),
            (None, None) if is("displayName") => Ok(Self::DisplayName),
            (None, None) if is("active") => Ok(Self::Active),
            _ => Err(unknown(text)),
        }
    }
}

/// Splits `attribute[filter].field`. Returns `None` if brackets do not match.
fn split(path: &str) -> Option<(&str, Option<&str>, Option<&str>)> {
    let Some((attribute, rest)) = path.split_once('[') else {
        return Some(match path.split_once('.') {
            Some((attribute, field)) => (attribute, None, Some(field)),
            None => (path, None, None),
        });
    };
    let (filter, rest) = rest.rsplit_once(']')?;
    match rest.strip_prefix('.') {
        Some(field) => Some((attribute, Some(filter), Some(field))),
        None => rest.is_empty().then_some((attribute, Some(filter), None)),
    }
}

fn parse_name(text: &str, field: Option<&str>) -> Result<AttributePath, ScimError> {
    let Some(field) = field else { return Ok(AttributePath::Name) };
    let is = |name: &str| field.eq_ignore_ascii_case(name);
    match () {
        () if is("formatted") => Ok(AttributePath::NameField(NameField::Formatted)),
        () if is("familyName") => Ok(AttributePath::NameField(NameField::FamilyName)),
        () if is("givenName") => Ok(AttributePath::NameField(NameField::GivenName)),
        () if IGNORED_NAME_FIELDS.into_iter().any(is) => Ok(AttributePath::Ignored),
        () => Err(unknown(text)),
    }
}

fn parse_email(text: &str, filter: Option<&str>, field: Option<&str>) -> Result<AttributePath, ScimError> {
    let selector = match filter {
        None => EmailSelector::All,
        Some(filter) => parse_selector(filter).ok_or_else(|| {
            let detail = "The filter of e-mail addresses must be type eq \"...\", value eq \"...\" or primary eq true.";
            ScimError::Invalid(ScimType::Filter, detail.to_owned())
        })?,
    };
    let Some(field) = field else { return Ok(AttributePath::Emails(selector)) };
    let is = |name: &str| field.eq_ignore_ascii_case(name);
    let field = match () {
        () if is("value") => EmailFieldName::Value,
        () if is("type") => EmailFieldName::Type,
        () if is("primary") => EmailFieldName::Primary,
        () if is("display") => EmailFieldName::Display,
        () => return Err(unknown(text)),
    };
    Ok(AttributePath::EmailField(selector, field))
}

fn parse_selector(filter: &str) -> Option<EmailSelector> {
    use serde_json::Value;
    let (field, value) = parse_equality(filter)?;
    let is = |name: &str| field.eq_ignore_ascii_case(name);
    match value {
        Value::String(kind) if is("type") => Some(EmailSelector::Type(kind)),
        Value::String(value) if is("value") => Some(EmailSelector::Value(value)),
        Value::Bool(primary) if is("primary") => Some(EmailSelector::Primary(primary)),
        // Some clients write the boolean as text.
        Value::String(text) if is("primary") => text.to_ascii_lowercase().parse().ok().map(EmailSelector::Primary),
        _ => None,
    }
}

fn unknown(path: &str) -> ScimError {
    let shown: String = path.chars().take(100).filter(|c| !c.is_control()).collect();
    ScimError::Invalid(ScimType::Path, format!("Users have no attribute {shown}; GET /scim/v2/Schemas lists them."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_match_in_any_case_and_with_the_schema() {
        use AttributePath as Path;
        let work = EmailSelector::Type("work".to_owned());
        for (text, path) in [
            ("userName", Path::UserName),
            ("urn:ietf:params:scim:schemas:core:2.0:User:userName", Path::UserName),
            ("ACTIVE", Path::Active),
            ("name", Path::Name),
            ("name.givenname", Path::NameField(NameField::GivenName)),
            ("name.middleName", Path::Ignored),
            ("emails", Path::Emails(EmailSelector::All)),
            (r#"emails[type eq "work"]"#, Path::Emails(work.clone())),
            (r#"emails[type EQ "work"].value"#, Path::EmailField(work, EmailFieldName::Value)),
            ("emails[primary eq true].type", Path::EmailField(EmailSelector::Primary(true), EmailFieldName::Type)),
            ("title", Path::Ignored),
            (r#"addresses[type eq "work"].locality"#, Path::Ignored),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", Path::Ignored),
        ] {
            assert_eq!(AttributePath::parse(text).unwrap(), path, "{text}");
        }
    }

    #[test]
    fn unknown_attributes_are_errors() {
        for (text, expected) in [
            ("actve", ScimType::Path),
            ("", ScimType::Path),
            ("active.value", ScimType::Path),
            ("isAdmin", ScimType::Path),
            ("emails[type eq \"work\"", ScimType::Path),
            ("emails[type eq \"work\"]value", ScimType::Path),
            ("emails[type sw \"w\"].value", ScimType::Filter),
            ("emails[].value", ScimType::Filter),
            ("id", ScimType::Mutability),
            ("meta.created", ScimType::Mutability),
        ] {
            let error = AttributePath::parse(text).unwrap_err();
            assert!(matches!(error, ScimError::Invalid(kind, _) if kind == expected), "{text}: {error:?}");
        }
    }
}
