//! Pieces of the OpenAPI document that several resources share.

use utoipa::openapi::{
    KnownFormat, ObjectBuilder, RefOr, Schema,
    schema::{SchemaFormat, SchemaType, Type},
};

/// The schema of a moment: `2019-01-16T00:05:01.743Z`.
pub(crate) fn moment() -> RefOr<Schema> {
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .examples([serde_json::json!("2019-01-16T00:05:01.743Z")]);
    schema.build().into()
}

/// The schema of a moment that may be null.
pub(crate) fn moment_or_null() -> RefOr<Schema> {
    let schema = ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
    schema.build().into()
}
