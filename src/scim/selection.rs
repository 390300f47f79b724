//! The attributes that a client wants in a response (RFC 7644, section 3.9).

use serde_json::{Map, Value};

use super::grammar::without_schema;

/// The attributes that every response has.
const ALWAYS_RETURNED: [&str; 2] = ["schemas", "id"];

/// A selection of attributes. Names are in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Selection {
    /// `None`: all.
    included: Option<Vec<String>>,
    excluded: Vec<String>,
}

impl Selection {
    /// Creates a selection from the two parameters. `attributes` wins, because the standard allows only
    /// one of them.
    pub(super) fn new(attributes: Option<&str>, excluded: Option<&str>) -> Self {
        let names = |text: &str| -> Vec<String> {
            let names = text.split(',').map(|name| without_schema(name.trim()).to_ascii_lowercase());
            names.filter(|name| !name.is_empty()).collect()
        };
        let included = attributes.map(names);
        let excluded = if included.is_some() { Vec::new() } else { excluded.map(names).unwrap_or_default() };
        Self { included, excluded }
    }

    /// Removes what is not selected from a resource.
    pub(super) fn apply(&self, resource: &mut Map<String, Value>) {
        resource.retain(|name, value| {
            if ALWAYS_RETURNED.contains(&name.as_str()) {
                return true;
            }
            let is_kept = self.keeps(&name.to_ascii_lowercase());
            if !is_kept {
                return false;
            }
            match value {
                Value::Object(fields) => self.apply_to_fields(name, fields),
                Value::Array(values) => values.iter_mut().for_each(|value| {
                    if let Value::Object(fields) = value {
                        self.apply_to_fields(name, fields);
                    }
                }),
                _ => {}
            }
            true
        });
    }

    /// Returns whether an attribute is kept, at least in part.
    fn keeps(&self, name: &str) -> bool {
        let is_parent = |selected: &String| selected.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        let is_included = |names: &Vec<String>| names.iter().any(|selected| selected == name || is_parent(selected));
        self.included.as_ref().is_none_or(is_included) && !self.excluded.iter().any(|excluded| excluded == name)
    }

    fn apply_to_fields(&self, parent: &str, fields: &mut Map<String, Value>) {
        let parent = parent.to_ascii_lowercase();
        let is_whole = self.included.as_ref().is_none_or(|names| names.contains(&parent));
        fields.retain(|field, _| {
            let path = format!("{parent}.{}", field.to_ascii_lowercase());
            let is_included = is_whole || self.included.as_ref().is_none_or(|names| names.contains(&path));
            is_included && !self.excluded.contains(&path)
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn selected(attributes: Option<&str>, excluded: Option<&str>) -> Value {
        let resource = json!({"schemas": ["s"], "id": "7", "userName": "ada", "name": {"givenName": "Ada", "familyName": "L"},
            "emails": [{"value": "a@example.com", "type": "work"}]});
        let Value::Object(mut resource) = resource else { panic!("an object") };
        Selection::new(attributes, excluded).apply(&mut resource);
        Value::Object(resource)
    }

    #[test]
    fn attributes_are_included_or_excluded_by_name() {
        assert_eq!(selected(Some("USERNAME"), None), json!({"schemas": ["s"], "id": "7", "userName": "ada"}));
        let given = json!({"schemas": ["s"], "id": "7", "name": {"givenName": "Ada"}});
        assert_eq!(selected(Some("urn:ietf:params:scim:schemas:core:2.0:User:name.givenName"), None), given);
        let excluded = selected(None, Some("id, userName,emails.type,name"));
        assert_eq!(excluded, json!({"schemas": ["s"], "id": "7", "emails": [{"value": "a@example.com"}]}));
        assert_eq!(selected(Some("groups"), Some("userName")), json!({"schemas": ["s"], "id": "7"}));
    }
}
