//! Examples: requests as curl commands, and bodies as JSON.

use std::fmt::Write as _;

use serde_json::Value;
use utoipa::openapi::{
    RefOr, Required,
    path::{Parameter, ParameterIn},
    schema::{KnownFormat, Object, Schema, SchemaFormat, SchemaType, Type},
};

/// A body up to this length is on one line.
const ONE_LINE: usize = 60;

/// An example of a body.
#[derive(Clone)]
pub(super) struct Example {
    /// The case that it shows; empty if there is only one.
    pub name: String,
    pub json: String,
}

impl Example {
    /// Creates an example. `name` is in camel case.
    pub(super) fn new(name: &str, value: &Value) -> Self {
        Self { name: to_words(name), json: pretty_json(value) }
    }
}

/// Returns a name in camel case as words.
fn to_words(name: &str) -> String {
    let mut words = String::new();
    for (index, c) in name.char_indices() {
        match c {
            _ if index == 0 => words.extend(c.to_uppercase()),
            'A'..='Z' => words.extend([' ', c.to_ascii_lowercase()]),
            _ => words.push(c),
        }
    }
    words
}

/// Returns a value as indented JSON.
fn pretty_json(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// Returns the command of a request. `$TOKEN` stands for a token value. `body` is the media type and
/// an example.
pub(super) fn command(
    method: &str,
    url: &str,
    parameters: &[&Parameter],
    body: Option<(&str, Option<&Value>)>,
    needs_credential: bool,
) -> String {
    let mut parts = Vec::new();
    // With a body, POST is the default of curl.
    if method != "GET" && !(method == "POST" && body.is_some()) {
        parts.push(format!("-X {method}"));
    }
    if needs_credential {
        parts.push("-H \"Authorization: Bearer $TOKEN\"".to_owned());
    }
    parts.extend(body.into_iter().flat_map(|(media_type, example)| body_options(media_type, example)));
    parts.push(quote(&with_parameters(url, parameters)));
    format!("curl {}", parts.join(" \\\n  "))
}

fn body_options(media_type: &str, example: Option<&Value>) -> Vec<String> {
    let example = example.cloned().unwrap_or_default();
    if media_type == "application/x-www-form-urlencoded" {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let fields = example.as_object().into_iter().flatten();
        return fields
            .map(|(name, value)| format!("--data-urlencode {}", quote(&format!("{name}={}", text(value)))))
            .collect();
    }
    let line = example.to_string();
    let json = if line.len() > ONE_LINE { pretty_json(&example) } else { line };
    vec![format!("-H 'Content-Type: {media_type}'"), format!("-d {}", quote(&json))]
}

/// Fills in the parameters of the path, and adds the required ones of the query.
fn with_parameters(url: &str, parameters: &[&Parameter]) -> String {
    let mut url = url.to_owned();
    for parameter in parameters {
        let value = || value_of(parameter.schema.as_ref());
        if parameter.parameter_in == ParameterIn::Path {
            url = url.replace(&format!("{{{}}}", parameter.name), &value());
        } else if parameter.parameter_in == ParameterIn::Query && parameter.required == Required::True {
            let separator = if url.contains('?') { '&' } else { '?' };
            write!(url, "{separator}{}={}", parameter.name, value()).ok();
        }
    }
    url
}

/// Returns a valid value of a parameter.
fn value_of(schema: Option<&RefOr<Schema>>) -> String {
    let Some(RefOr::T(Schema::Object(Object { schema_type, format, pattern, enum_values, .. }))) = schema else {
        return "value".to_owned();
    };
    if let Some(Value::String(first)) = enum_values.as_ref().and_then(|values| values.first()) {
        return first.clone();
    }
    // A pattern such as `^(current|[1-9][0-9]*)$`: the first alternative, if it is a word.
    let alternatives = pattern.as_deref().and_then(|pattern| pattern.strip_prefix("^(")?.split('|').next());
    let word = alternatives.filter(|first| first.bytes().all(|b| b.is_ascii_alphanumeric()));
    match (format, schema_type) {
        (Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)), _) => "01a20a6a-c1b5-7dc2-aeac-0281c48408b8".to_owned(),
        (_, SchemaType::Type(Type::Integer)) => "7".to_owned(),
        _ => word.unwrap_or("value").to_owned(),
    }
}

/// Quotes a word for a POSIX shell, if it needs it.
fn quote(text: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/@%+=,".contains(&b);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use utoipa::openapi::{ObjectBuilder, path::ParameterBuilder};

    use super::*;

    fn parameter(name: &str, place: ParameterIn, schema: Object) -> Parameter {
        let required = Required::True;
        ParameterBuilder::new().name(name).parameter_in(place).required(required).schema(Some(schema)).build()
    }

    #[test]
    fn names_of_examples_become_words() {
        assert_eq!(to_words("lifetimeTooLong"), "Lifetime too long");
        assert_eq!(to_words("internal"), "Internal");
    }

    #[test]
    fn a_command_has_method_credential_body_and_parameters() {
        let id = parameter("id", ParameterIn::Path, Object::with_type(Type::Integer));
        let key = parameter("key", ParameterIn::Query, Object::with_type(Type::String));
        assert_eq!(command("GET", "http://h/v4/x", &[], None, false), "curl http://h/v4/x");
        assert_eq!(
            command("DELETE", "http://h/x/{id}", &[&id, &key], None, true),
            "curl -X DELETE \\\n  -H \"Authorization: Bearer $TOKEN\" \\\n  'http://h/x/7?key=value'"
        );
        let body = json!({"name": "it's"});
        assert_eq!(
            command("POST", "http://h/x", &[], Some(("application/json", Some(&body))), false),
            "curl -H 'Content-Type: application/json' \\\n  -d '{\"name\":\"it'\\''s\"}' \\\n  http://h/x"
        );
        let form = json!({"token": "a b"});
        assert_eq!(
            command("POST", "http://h/x", &[], Some(("application/x-www-form-urlencoded", Some(&form))), false),
            "curl --data-urlencode 'token=a b' \\\n  http://h/x"
        );
    }

    #[test]
    fn a_path_parameter_gets_a_valid_value() {
        let pattern = |pattern: &str| ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).build();
        for (schema, value) in [
            (pattern("^(current|[1-9][0-9]{0,17})$"), "current"),
            (pattern("^(any|admin)$"), "any"),
            (pattern("^[a-z]+$"), "value"),
            (Object::with_type(Type::Integer), "7"),
        ] {
            assert_eq!(value_of(Some(&RefOr::T(Schema::Object(schema)))), value);
        }
    }
}
