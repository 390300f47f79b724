//! The parts that filters and paths share (RFC 7644, figures 1 and 7).

use super::USER_SCHEMA;

/// Returns a name without the schema of users in front of it.
pub(super) fn without_schema(name: &str) -> &str {
    let Some(head) = name.get(..USER_SCHEMA.len()) else { return name };
    let rest = name.get(USER_SCHEMA.len()..).and_then(|rest| rest.strip_prefix(':'));
    if head.eq_ignore_ascii_case(USER_SCHEMA) { rest.unwrap_or(name) } else { name }
}

/// Parses `attribute eq value`, where the value is a JSON literal. Operators match in any case.
pub(super) fn parse_equality(text: &str) -> Option<(&str, serde_json::Value)> {
    let (attribute, rest) = text.trim().split_once(' ')?;
    let (operator, literal) = rest.trim_start().split_once(' ')?;
    let value = serde_json::from_str(literal.trim()).ok()?;
    operator.eq_ignore_ascii_case("eq").then_some((attribute, value))
}
