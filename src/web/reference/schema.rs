//! Schemas as rows of a table. The fields of nested objects have dotted names, such as
//! `tokenInfo.tokenId`, and those of the elements of a list names such as `data[].email`.

use serde_json::Value;
use utoipa::{
    Number,
    openapi::{
        Components, RefOr,
        schema::{Array, ArrayItems, Object, Schema, SchemaFormat, SchemaType, Type},
    },
};

use super::markdown::SafeHtml;

/// The maximum depth of nested schemas, and of references to references.
const MAX_DEPTH: usize = 6;

/// A row of a table: a parameter, or a field of a body.
pub(super) struct Field {
    pub name: String,
    /// The type, such as `integer or null`.
    pub kind: String,
    pub limits: Vec<Limit>,
    pub is_required: bool,
    pub description: SafeHtml,
}

/// A limit of a value: a range in words, or words followed by code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    pub text: String,
    pub codes: Vec<String>,
}

/// Reads schemas, and resolves references between them.
#[derive(Clone, Copy)]
pub(super) struct SchemaReader<'a> {
    components: Option<&'a Components>,
}

/// The content of a schema, with its references resolved.
#[derive(Default)]
struct Shape<'a> {
    kinds: Vec<String>,
    is_nullable: bool,
    limits: Vec<Limit>,
    description: Option<&'a str>,
    properties: Vec<(&'a str, &'a RefOr<Schema>, bool)>,
    items: Option<&'a RefOr<Schema>>,
    /// The name of the schema, if it has one.
    name: Option<&'a str>,
}

impl<'a> SchemaReader<'a> {
    pub(super) fn new(components: Option<&'a Components>) -> Self {
        Self { components }
    }

    /// Returns the fields of a body, those of nested schemas included.
    pub(super) fn fields_of(&self, schema: &'a RefOr<Schema>) -> Vec<Field> {
        let mut fields = Vec::new();
        self.add_fields("", schema, &mut Vec::new(), &mut fields);
        fields
    }

    /// Returns the fields of a named schema.
    pub(super) fn fields_of_component(&self, name: &str) -> Vec<Field> {
        self.find(name).map(|schema| self.fields_of(schema)).unwrap_or_default()
    }

    /// Returns one row. `description` overrides the description of the schema.
    pub(super) fn field(
        &self,
        name: &str,
        schema: Option<&'a RefOr<Schema>>,
        is_required: bool,
        description: Option<&str>,
    ) -> Field {
        let shape = schema.map(|schema| self.shape(schema, 0)).unwrap_or_default();
        let description = description.or(shape.description).unwrap_or_default();
        Field {
            name: name.to_owned(),
            kind: shape.kind(),
            is_required,
            description: SafeHtml::from_markdown(description),
            limits: shape.limits,
        }
    }

    /// Adds the fields of a schema. `open` has the schemas that contain it: a schema that contains
    /// itself is not repeated.
    fn add_fields(
        &self,
        prefix: &str,
        schema: &'a RefOr<Schema>,
        open: &mut Vec<Option<&'a str>>,
        fields: &mut Vec<Field>,
    ) {
        let shape = self.shape(schema, 0);
        if open.len() > MAX_DEPTH || (shape.name.is_some() && open.contains(&shape.name)) {
            return;
        }
        open.push(shape.name);
        for (name, schema, is_required) in shape.properties {
            let name = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
            fields.push(self.field(&name, Some(schema), is_required, None));
            self.add_fields(&name, schema, open, fields);
        }
        if let Some(items) = shape.items {
            self.add_fields(&format!("{prefix}[]"), items, open, fields);
        }
        open.pop();
    }

    fn find(&self, name: &str) -> Option<&'a RefOr<Schema>> {
        self.components?.schemas.get(name)
    }

    /// Reads a schema. `depth` counts references and compositions, so that a cycle ends.
    fn shape(&self, schema: &'a RefOr<Schema>, depth: usize) -> Shape<'a> {
        if depth > MAX_DEPTH {
            return Shape::of_kind("object");
        }
        match schema {
            RefOr::Ref(reference) => {
                let name = reference.ref_location.rsplit('/').next().unwrap_or_default();
                let mut shape = self.find(name).map(|schema| self.shape(schema, depth + 1)).unwrap_or_default();
                shape.name = Some(name);
                if !reference.description.is_empty() {
                    shape.description = Some(&reference.description);
                }
                shape
            }
            RefOr::T(Schema::Object(object)) => read_object(object),
            RefOr::T(Schema::Array(array)) => self.read_array(array, depth),
            RefOr::T(Schema::AllOf(all)) => {
                let parts = all.items.iter().map(|part| self.shape(part, depth + 1));
                let properties = parts.flat_map(|part| part.properties).collect();
                Shape { description: all.description.as_deref(), properties, ..Shape::of_kind("object") }
            }
            RefOr::T(Schema::OneOf(one)) => self.read_alternatives(&one.items, one.description.as_deref(), depth),
            RefOr::T(Schema::AnyOf(any)) => self.read_alternatives(&any.items, any.description.as_deref(), depth),
            RefOr::T(_) => Shape::default(),
        }
    }

    fn read_array(&self, array: &'a Array, depth: usize) -> Shape<'a> {
        let items = match &array.items {
            ArrayItems::RefOrSchema(items) => Some(items.as_ref()),
            ArrayItems::False => None,
        };
        let element = items.map(|items| self.shape(items, depth + 1)).unwrap_or_default();
        let mut shape = Shape::of_types(&array.schema_type);
        shape.kinds = vec![format!("array of {}", element.plural())];
        shape.limits = range(array.min_items, array.max_items, " elements").into_iter().chain(element.limits).collect();
        Shape { description: array.description.as_deref(), items, ..shape }
    }

    fn read_alternatives(&self, items: &'a [RefOr<Schema>], description: Option<&'a str>, depth: usize) -> Shape<'a> {
        let mut shape = Shape::default();
        for part in items.iter().map(|part| self.shape(part, depth + 1)) {
            shape.is_nullable |= part.is_nullable;
            for kind in part.kinds {
                if !shape.kinds.contains(&kind) {
                    shape.kinds.push(kind);
                }
            }
            shape.limits.extend(part.limits);
            shape.properties.extend(part.properties);
            shape.description = shape.description.or(part.description);
            shape.items = shape.items.or(part.items);
            shape.name = shape.name.or(part.name);
        }
        shape.description = description.or(shape.description);
        shape
    }
}

impl Shape<'_> {
    fn of_kind(kind: &str) -> Self {
        Self { kinds: vec![kind.to_owned()], ..Self::default() }
    }

    fn of_types(types: &SchemaType) -> Self {
        let types = match types {
            SchemaType::Type(one) => std::slice::from_ref(one),
            SchemaType::Array(several) => several,
            SchemaType::AnyValue => &[],
        };
        let kinds = types.iter().filter_map(|kind| type_name(kind).map(str::to_owned)).collect();
        Self { kinds, is_nullable: types.contains(&Type::Null), ..Self::default() }
    }

    /// Returns the type of several values as text.
    fn plural(&self) -> String {
        let plural = |kind: &String| match kind.split_once(' ') {
            Some((name, format)) => format!("{name}s {format}"),
            None => format!("{kind}s"),
        };
        match (self.kinds.is_empty(), self.is_nullable) {
            (true, _) => "any values".to_owned(),
            (false, is_nullable) => {
                let kinds: Vec<String> = self.kinds.iter().map(plural).collect();
                format!("{}{}", kinds.join(" or "), if is_nullable { " or null" } else { "" })
            }
        }
    }

    /// Returns the type as text.
    fn kind(&self) -> String {
        let kinds = self.kinds.join(" or ");
        match (kinds.is_empty(), self.is_nullable) {
            (true, false) => "any".to_owned(),
            (true, true) => "null".to_owned(),
            (false, false) => kinds,
            (false, true) => format!("{kinds} or null"),
        }
    }
}

fn type_name(kind: &Type) -> Option<&'static str> {
    match kind {
        Type::Object => Some("object"),
        Type::String => Some("string"),
        Type::Integer => Some("integer"),
        Type::Number => Some("number"),
        Type::Boolean => Some("boolean"),
        Type::Array => Some("array"),
        Type::Null => None,
    }
}

fn read_object(object: &Object) -> Shape<'_> {
    let mut shape = Shape::of_types(&object.schema_type);
    if let ([kind], Some(format)) = (&mut shape.kinds[..], format_name(object.format.as_ref())) {
        *kind = format!("{kind} ({format})");
    }
    let is_required = |name: &String| object.required.contains(name);
    shape.properties = object.properties.iter().map(|(name, item)| (name.as_str(), item, is_required(name))).collect();
    shape.description = object.description.as_deref();
    shape.limits = limits_of(object);
    shape
}

/// Returns the name of a format that a client has to know. The sizes of numbers are ranges.
fn format_name(format: Option<&SchemaFormat>) -> Option<String> {
    let name = serde_json::to_value(format?).ok()?;
    let name = name.as_str()?;
    (!["int32", "int64", "float", "double"].contains(&name)).then(|| name.to_owned())
}

fn limits_of(object: &Object) -> Vec<Limit> {
    let code = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let with_codes = |text: &str, codes: Vec<String>| Limit { text: text.to_owned(), codes };
    let numbers = range(object.minimum.as_ref().map(number_text), object.maximum.as_ref().map(number_text), "");
    let lengths = range(object.min_length, object.max_length, " characters");
    let values = object.enum_values.as_ref().map(|values| with_codes("one of", values.iter().map(code).collect()));
    let pattern = object.pattern.as_ref().map(|pattern| with_codes("pattern", vec![pattern.clone()]));
    let default = object.default.as_ref().map(|value| with_codes("default", vec![code(value)]));
    [numbers, lengths, values, pattern, default].into_iter().flatten().collect()
}

fn number_text(number: &Number) -> String {
    match number {
        Number::Int(number) => number.to_string(),
        Number::UInt(number) => number.to_string(),
        Number::Float(number) => number.to_string(),
    }
}

/// Returns a range in words.
fn range<T: ToString>(min: Option<T>, max: Option<T>, unit: &str) -> Option<Limit> {
    let text = match (min.map(|min| min.to_string()), max.map(|max| max.to_string())) {
        (Some(min), Some(max)) if min == max => format!("{min}{unit}"),
        (Some(min), Some(max)) => format!("{min} to {max}{unit}"),
        (Some(min), None) => format!("{min}{unit} or more"),
        (None, Some(max)) => format!("at most {max}{unit}"),
        (None, None) => return None,
    };
    Some(Limit { text, codes: Vec::new() })
}

#[cfg(test)]
mod tests;
