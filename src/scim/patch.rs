//! PATCH requests (RFC 7644, section 3.5.2), as the standard has them and as identity providers send
//! them: operations in any case, without a path, and with paths as names of a value.

use serde_json::{Map, Value};

use super::{
    ScimError,
    attribute_path::{AttributePath, EmailFieldName},
    error::ScimType,
    user_body::{get, optional_text, parse_active, parse_boolean, parse_emails, parse_name, require_schema},
};
use crate::domain::scim::{EmailEdit, EmailField, EmailSelector, ScimEdit};

const PATCH_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// The maximum number of operations of a request.
const MAX_OPERATIONS: usize = 100;
/// The maximum number of changed values of a request.
const MAX_EDITS: usize = 500;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Add,
    Replace,
    Remove,
}

/// Parses the body of a PATCH request.
///
/// # Errors
/// `invalidSyntax` for a body without operations, and the errors of paths and values.
pub(super) fn parse_patch(body: &Map<String, Value>) -> Result<Vec<ScimEdit>, ScimError> {
    require_schema(body, PATCH_SCHEMA)?;
    let operations = get(body, "Operations").and_then(Value::as_array).filter(|operations| !operations.is_empty());
    let operations = operations.ok_or_else(|| syntax("Operations must be an array with at least one operation."))?;
    if operations.len() > MAX_OPERATIONS {
        return Err(syntax(&format!("Operations must have at most {MAX_OPERATIONS} elements.")));
    }
    let mut edits = Vec::new();
    for operation in operations {
        let operation = operation.as_object().ok_or_else(|| syntax("Each operation must be an object."))?;
        parse_operation(operation, &mut edits)?;
        // An operation without a path has many of them.
        if edits.len() > MAX_EDITS {
            return Err(syntax(&format!("The operations must change at most {MAX_EDITS} values.")));
        }
    }
    Ok(edits)
}

fn syntax(detail: &str) -> ScimError {
    ScimError::Invalid(ScimType::Syntax, detail.to_owned())
}

fn parse_operation(object: &Map<String, Value>, edits: &mut Vec<ScimEdit>) -> Result<(), ScimError> {
    let name = optional_text("op", get(object, "op"))?.unwrap_or_default();
    let operation = match () {
        () if name.eq_ignore_ascii_case("add") => Operation::Add,
        () if name.eq_ignore_ascii_case("replace") => Operation::Replace,
        () if name.eq_ignore_ascii_case("remove") => Operation::Remove,
        () => return Err(syntax("op must be add, replace or remove.")),
    };
    let value = get(object, "value").unwrap_or(&Value::Null);
    if let Some(path) = optional_text("path", get(object, "path"))?.filter(|path| !path.is_empty()) {
        return edit(operation, &path, value, edits);
    }
    if operation == Operation::Remove {
        return Err(ScimError::Invalid(ScimType::NoTarget, "remove needs a path.".to_owned()));
    }
    let values = value.as_object().ok_or_else(|| ScimError::wrong_type("value", "an object, if there is no path"))?;
    values.iter().try_for_each(|(path, value)| edit(operation, path, value, edits))
}

/// Adds the edits of one path.
fn edit(operation: Operation, path: &str, value: &Value, edits: &mut Vec<ScimEdit>) -> Result<(), ScimError> {
    let path = AttributePath::parse(path)?;
    let text = |name: &str| Ok::<_, ScimError>(optional_text(name, Some(value))?.filter(|text| !text.is_empty()));
    let removes = operation == Operation::Remove;
    let cleared = |name: &str| if removes { Ok(None) } else { text(name) };
    edits.push(match path {
        AttributePath::Ignored => return Ok(()),
        AttributePath::UserName | AttributePath::Active if removes => {
            return Err(ScimError::Invalid(ScimType::Mutability, "The attribute is required.".to_owned()));
        }
        AttributePath::UserName => ScimEdit::UserName(text("userName")?.unwrap_or_default()),
        AttributePath::Active => ScimEdit::Active(parse_active(value)?),
        AttributePath::ExternalId => ScimEdit::ExternalId(cleared("externalId")?),
        AttributePath::DisplayName => ScimEdit::DisplayName(cleared("displayName")?),
        AttributePath::Name if removes || value.is_null() => ScimEdit::RemoveName,
        AttributePath::Name => ScimEdit::Name(parse_name(value)?),
        AttributePath::NameField(field) => ScimEdit::NameField(field, cleared("name")?),
        AttributePath::Emails(selector) => return edit_emails(operation, selector, value, edits),
        AttributePath::EmailField(selector, field) => {
            let fields = if removes { removed_field(field) } else { email_field(field, value)? };
            let creates = operation == Operation::Add;
            edits.extend(fields.map(|field| set(selector.clone(), field, creates)));
            return Ok(());
        }
    });
    Ok(())
}

fn set(selector: EmailSelector, field: EmailField, creates: bool) -> ScimEdit {
    ScimEdit::Emails(EmailEdit::Set { selector, field, creates })
}

fn edit_emails(
    operation: Operation,
    selector: EmailSelector,
    value: &Value,
    edits: &mut Vec<ScimEdit>,
) -> Result<(), ScimError> {
    let edit = match (operation, selector) {
        (Operation::Remove, selector) => EmailEdit::Remove(selector),
        (_, EmailSelector::All) if value.is_null() => EmailEdit::Replace(Vec::new()),
        (Operation::Add, EmailSelector::All) => EmailEdit::Add(parse_emails(value)?),
        (Operation::Replace, EmailSelector::All) => EmailEdit::Replace(parse_emails(value)?),
        (operation, selector) => {
            let values = value.as_object().ok_or_else(|| ScimError::wrong_type("emails", "an object"))?;
            let creates = operation == Operation::Add;
            // The type last: it may be what the filter selects by.
            for (name, field) in
                [("value", EmailFieldName::Value), ("primary", EmailFieldName::Primary), ("type", EmailFieldName::Type)]
            {
                if let Some(value) = get(values, name) {
                    edits.extend(email_field(field, value)?.map(|field| set(selector.clone(), field, creates)));
                }
            }
            return Ok(());
        }
    };
    edits.push(ScimEdit::Emails(edit));
    Ok(())
}

/// Returns a field with its new value; `None` for a field that this service does not have.
fn email_field(name: EmailFieldName, value: &Value) -> Result<Option<EmailField>, ScimError> {
    Ok(match name {
        EmailFieldName::Value => {
            Some(EmailField::Value(optional_text("emails.value", Some(value))?.unwrap_or_default()))
        }
        EmailFieldName::Type => Some(EmailField::Type(optional_text("emails.type", Some(value))?)),
        EmailFieldName::Primary => Some(EmailField::Primary(parse_boolean("emails.primary", value)?)),
        EmailFieldName::Display => None,
    })
}

/// Returns a field without a value. An address without a value is invalid.
fn removed_field(name: EmailFieldName) -> Option<EmailField> {
    match name {
        EmailFieldName::Value => Some(EmailField::Value(String::new())),
        EmailFieldName::Type => Some(EmailField::Type(None)),
        EmailFieldName::Primary => Some(EmailField::Primary(false)),
        EmailFieldName::Display => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::scim::{NameField, ScimEmail};

    fn parse(operations: &Value) -> Result<Vec<ScimEdit>, ScimError> {
        let body = json!({"schemas": [PATCH_SCHEMA], "Operations": operations});
        parse_patch(body.as_object().unwrap())
    }

    #[test]
    fn the_number_of_changed_values_is_limited() {
        let values = |count: usize| {
            let emails = (0..count).map(|n| (format!("emails[type eq \"t{n}\"].value"), json!("a@example.com")));
            json!([{"op": "add", "value": emails.collect::<Map<String, Value>>()}])
        };
        assert_eq!(parse(&values(MAX_EDITS)).unwrap().len(), MAX_EDITS);
        assert!(matches!(parse(&values(MAX_EDITS + 1)), Err(ScimError::Invalid(ScimType::Syntax, _))));
    }

    #[test]
    fn operations_of_identity_providers_are_understood() {
        let work = EmailSelector::Type("work".to_owned());
        let email = |text: &str| EmailField::Value(text.to_owned());
        for (operations, expected) in [
            (json!([{"op": "replace", "value": {"active": false}}]), vec![ScimEdit::Active(false)]),
            (json!([{"op": "Replace", "path": "active", "value": "False"}]), vec![ScimEdit::Active(false)]),
            (json!([{"op": "Replace", "value": {"active": "True"}}]), vec![ScimEdit::Active(true)]),
            (
                json!([{"op": "Add", "path": "emails[type eq \"work\"].value", "value": "a@example.com"}]),
                vec![set(work.clone(), email("a@example.com"), true)],
            ),
            (
                json!([{"op": "Replace", "value": {"emails[type eq \"work\"].value": "a@example.com", "name.givenName": "Ada"}}]),
                vec![
                    set(work, email("a@example.com"), false),
                    ScimEdit::NameField(NameField::GivenName, Some("Ada".to_owned())),
                ],
            ),
            (json!([{"op": "Remove", "path": "displayName"}]), vec![ScimEdit::DisplayName(None)]),
            (json!([{"op": "replace", "path": "title", "value": "Countess"}]), vec![]),
            (
                json!([{"op": "add", "path": "emails", "value": [{"value": "a@example.com"}]}]),
                vec![ScimEdit::Emails(EmailEdit::Add(vec![ScimEmail {
                    value: "a@example.com".to_owned(),
                    ..ScimEmail::default()
                }]))],
            ),
        ] {
            assert_eq!(parse(&operations).unwrap(), expected, "{operations}");
        }
    }

    #[test]
    fn other_operations_are_errors_of_their_kind() {
        for (operations, expected) in [
            (json!([]), ScimType::Syntax),
            (json!("x"), ScimType::Syntax),
            (json!([7]), ScimType::Syntax),
            (json!([{"op": "move", "path": "active"}]), ScimType::Syntax),
            (json!([{"op": "remove"}]), ScimType::NoTarget),
            (json!([{"op": "replace", "value": true}]), ScimType::Value),
            (json!([{"op": "replace", "path": "active", "value": "maybe"}]), ScimType::Value),
            (json!([{"op": "replace", "path": "actve", "value": false}]), ScimType::Path),
            (json!([{"op": "replace", "value": {"actve": false}}]), ScimType::Path),
            (json!([{"op": "remove", "path": "active"}]), ScimType::Mutability),
            (json!([{"op": "remove", "path": "userName"}]), ScimType::Mutability),
            (json!([{"op": "replace", "path": "id", "value": "1"}]), ScimType::Mutability),
            (json!(vec![json!({"op": "add", "path": "title", "value": "x"}); 101]), ScimType::Syntax),
        ] {
            let error = parse(&operations).unwrap_err();
            assert!(matches!(error, ScimError::Invalid(kind, _) if kind == expected), "{operations}: {error:?}");
        }
    }
}
