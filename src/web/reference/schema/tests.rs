//! Rows of schemas with references, compositions and cycles.

use serde_json::{Value, json};

use super::*;

/// Returns the rows of the schema `Root` as text.
fn rows(schemas: &Value) -> Vec<String> {
    let components: Components = serde_json::from_value(json!({ "schemas": schemas })).unwrap();
    let fields = SchemaReader::new(Some(&components)).fields_of_component("Root");
    let row = |field: &Field| {
        let required = if field.is_required { " required" } else { "" };
        let limits: Vec<String> = field
            .limits
            .iter()
            .map(|limit| [vec![limit.text.clone()], limit.codes.clone()].concat().join(" "))
            .collect();
        format!("{}: {}{required} [{}] {}", field.name, field.kind, limits.join(", "), field.description)
    };
    fields.iter().map(row).collect()
}

#[test]
fn types_limits_and_nullability_are_shown() {
    let shown = rows(&json!({"Root": {"type": "object", "required": ["a"], "properties": {
        "a": {"type": "integer", "format": "int64", "minimum": 1, "maximum": 1000, "description": "A `number`."},
        "b": {"type": ["string", "null"], "format": "uuid"},
        "c": {"type": "string", "enum": ["x", "y"], "default": "x"},
        "d": {"type": "string", "maxLength": 5, "pattern": "^a<b$"},
        "e": {"anyOf": [{"type": "integer", "minimum": -1, "maximum": -1}, {"type": "integer", "minimum": 1}]},
        "f": {"type": "boolean"},
    }}}));
    assert_eq!(
        shown,
        [
            "a: integer required [1 to 1000] <p>A <code>number</code>.</p>",
            "b: string (uuid) or null [] ",
            "c: string [one of x y, default x] ",
            "d: string [at most 5 characters, pattern ^a<b$] ",
            "e: integer [-1, 1 or more] ",
            "f: boolean [] ",
        ]
    );
}

#[test]
fn references_and_compositions_are_resolved() {
    let shown = rows(&json!({
        "Root": {"allOf": [
            {"$ref": "#/components/schemas/Base"},
            {"type": "object", "required": ["list"], "properties": {
                "list": {"type": "array", "maxItems": 100, "items": {"$ref": "#/components/schemas/Item"}},
                "item": {"oneOf": [{"$ref": "#/components/schemas/Item", "description": "Own."}, {"type": "null"}]},
            }},
        ]},
        "Base": {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}},
        "Item": {"type": "object", "description": "An item.", "properties": {"name": {"type": "string"}}},
    }));
    assert_eq!(
        shown,
        [
            "id: integer required [] ",
            "item: object or null [] <p>Own.</p>",
            "item.name: string [] ",
            "list: array of objects required [at most 100 elements] ",
            "list[].name: string [] ",
        ]
    );
}

#[test]
fn the_elements_of_a_list_have_dotted_names() {
    let root = json!({"type": "array", "items": {"type": "object", "properties": {"key": {"type": "string"}}}});
    assert_eq!(rows(&json!({ "Root": root })), ["[].key: string [] "]);
}

#[test]
fn a_schema_that_contains_itself_ends() {
    let object = json!({"type": "object", "properties": {
        "child": {"$ref": "#/components/schemas/Root"},
        "children": {"type": "array", "items": {"$ref": "#/components/schemas/Root"}},
    }});
    assert_eq!(
        rows(&json!({ "Root": object })),
        [
            "child: object [] ",
            "child.child: object [] ",
            "child.children: array of objects [] ",
            "children: array of objects [] ",
            "children[].child: object [] ",
            "children[].children: array of objects [] ",
        ]
    );
    // A reference to itself, a list of itself, and a missing schema.
    for root in [
        json!({"$ref": "#/components/schemas/Root"}),
        json!({"type": "array", "items": {"$ref": "#/components/schemas/Root"}}),
        json!({"oneOf": [{"$ref": "#/components/schemas/Root"}, {"$ref": "#/components/schemas/Root"}]}),
        json!({"$ref": "#/components/schemas/Missing"}),
    ] {
        assert!(rows(&json!({ "Root": root })).is_empty());
    }
}
