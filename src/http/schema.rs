//! OpenAPI schemas that several resources share.

use utoipa::openapi::{
    KnownFormat, ObjectBuilder, RefOr, Schema,
    schema::{SchemaFormat, SchemaType, Type},
};

/// Returns the schema of a timestamp: `2019-01-16T00:05:01.743Z`.
pub(crate) fn timestamp_schema() -> RefOr<Schema> {
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .examples([serde_json::json!("2019-01-16T00:05:01.743Z")]);
    schema.build().into()
}

/// Returns the schema of a text that is one of these words.
pub(crate) fn words_schema<const N: usize>(description: &str, words: [&str; N]) -> RefOr<Schema> {
    let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words));
    schema.description(Some(description)).build().into()
}

/// Returns the schema of a timestamp that may be null.
pub(crate) fn nullable_timestamp_schema() -> RefOr<Schema> {
    let schema = ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
    schema.build().into()
}
