//! The schemas (RFC 7643, section 7): that of users, with the attributes that this service has, and
//! those of the discovery endpoints.

use serde_json::{Value, json};

use super::USER_SCHEMA;

/// The definition of an attribute with the defaults of the standard.
struct Attribute(Value);

impl Attribute {
    fn new(name: &str, kind: &str, description: &str) -> Self {
        Self(json!({
            "name": name,
            "type": kind,
            "multiValued": false,
            "description": description,
            "required": false,
            "caseExact": false,
            "mutability": "readWrite",
            "returned": "default",
            "uniqueness": "none",
        }))
    }

    fn text(name: &str, description: &str) -> Self {
        Self::new(name, "string", description)
    }

    fn flag(name: &str, description: &str) -> Self {
        Self::new(name, "boolean", description)
    }

    fn complex(name: &str, description: &str, fields: impl IntoIterator<Item = Self>) -> Self {
        let fields: Vec<Value> = fields.into_iter().map(|field| field.0).collect();
        Self::new(name, "complex", description).with("subAttributes", json!(fields))
    }

    fn with(mut self, property: &str, value: Value) -> Self {
        self.0[property] = value;
        self
    }

    fn required(self) -> Self {
        self.with("required", json!(true))
    }

    fn multi_valued(self) -> Self {
        self.with("multiValued", json!(true))
    }

    fn exact(self) -> Self {
        self.with("caseExact", json!(true))
    }

    fn unique(self) -> Self {
        self.with("uniqueness", json!("server"))
    }

    /// Makes the attribute and its fields read-only.
    fn read_only(mut self) -> Self {
        self.0["mutability"] = json!("readOnly");
        let fields = self.0.get_mut("subAttributes").and_then(Value::as_array_mut);
        for field in fields.into_iter().flatten() {
            *field = Self(field.take()).read_only().0;
        }
        self
    }
}

fn schema(base: &str, id: &str, name: &str, description: &str, attributes: Vec<Attribute>) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
        "id": id,
        "name": name,
        "description": description,
        "attributes": attributes.into_iter().map(|attribute| attribute.0).collect::<Vec<_>>(),
        "meta": {"resourceType": "Schema", "location": format!("{base}/Schemas/{id}")},
    })
}

/// Returns all schemas.
pub(super) fn all_schemas(base: &str) -> Vec<Value> {
    let core = |name: &str| format!("urn:ietf:params:scim:schemas:core:2.0:{name}");
    let read_only = |attributes: Vec<Attribute>| attributes.into_iter().map(Attribute::read_only).collect();
    vec![
        schema(base, USER_SCHEMA, "User", "A person of the workspace.", user_attributes()),
        schema(
            base,
            &core("ServiceProviderConfig"),
            "ServiceProviderConfig",
            "The supported operations.",
            read_only(config_attributes()),
        ),
        schema(base, &core("ResourceType"), "ResourceType", "A type of resources.", read_only(type_attributes())),
        schema(base, &core("Schema"), "Schema", "A schema.", read_only(schema_attributes())),
    ]
}

fn user_attributes() -> Vec<Attribute> {
    use Attribute as A;
    vec![
        A::text("userName", "The name at the identity provider. An e-mail address, if emails has no primary value.")
            .required()
            .unique(),
        A::text("externalId", "The identifier at the identity provider.").exact(),
        A::text("displayName", "The name of the account."),
        A::complex(
            "name",
            "The components of the name. They name the account if there is no displayName.",
            [
                A::text("formatted", "The whole name."),
                A::text("familyName", "The family name."),
                A::text("givenName", "The given name."),
            ],
        ),
        A::complex(
            "emails",
            "The e-mail addresses. The primary one is that of the account.",
            [
                A::text("value", "The address.").required(),
                A::text("type", "A label such as work or home."),
                A::flag("primary", "True for the address of the account."),
            ],
        )
        .multi_valued()
        .required(),
        A::flag("active", "False if the account is disabled: neither tokens nor sign-in work.").required(),
    ]
}

fn config_attributes() -> Vec<Attribute> {
    use Attribute as A;
    let supported = || A::flag("supported", "True if the operation is supported.").required();
    let option = |name: &str, description: &str| A::complex(name, description, [supported()]).required();
    vec![
        A::new("documentationUri", "reference", "The URL of the documentation.")
            .with("referenceTypes", json!(["external"])),
        option("patch", "PATCH requests."),
        A::complex(
            "bulk",
            "Bulk requests.",
            [
                supported(),
                A::new("maxOperations", "integer", "The maximum number of operations.").required(),
                A::new("maxPayloadSize", "integer", "The maximum size in bytes.").required(),
            ],
        )
        .required(),
        A::complex(
            "filter",
            "Filters of lists.",
            [supported(), A::new("maxResults", "integer", "The maximum size of a page.").required()],
        )
        .required(),
        option("changePassword", "Changes of passwords."),
        option("sort", "Sorted lists."),
        option("etag", "Versions of resources."),
        A::complex(
            "authenticationSchemes",
            "The accepted credentials.",
            [
                A::text("type", "The kind of credential.").required(),
                A::text("name", "The name of the scheme.").required(),
                A::text("description", "A description of the scheme.").required(),
                A::new("specUri", "reference", "The URL of the specification.")
                    .with("referenceTypes", json!(["external"])),
                A::new("documentationUri", "reference", "The URL of the documentation.")
                    .with("referenceTypes", json!(["external"])),
                A::flag("primary", "True for the preferred scheme."),
            ],
        )
        .multi_valued()
        .required(),
    ]
}

fn type_attributes() -> Vec<Attribute> {
    use Attribute as A;
    let uri = |name: &str, description: &str| {
        A::new(name, "reference", description).with("referenceTypes", json!(["uri"])).required().exact()
    };
    vec![
        A::text("id", "The identifier of the type."),
        A::text("name", "The name of the type.").required(),
        A::text("description", "A description of the type."),
        uri("endpoint", "The path of the resources below the base URL."),
        uri("schema", "The schema of the resources."),
        A::complex(
            "schemaExtensions",
            "Further schemas of the resources.",
            [uri("schema", "The schema."), A::flag("required", "True if resources must have it.").required()],
        )
        .multi_valued(),
    ]
}

fn schema_attributes() -> Vec<Attribute> {
    use Attribute as A;
    let fields = || {
        vec![
            A::text("name", "The name of the attribute.").required().exact(),
            A::text("type", "The type of the value.").required(),
            A::flag("multiValued", "True for several values.").required(),
            A::text("description", "A description of the attribute."),
            A::flag("required", "True if a resource must have a value."),
            A::text("canonicalValues", "Suggested values.").multi_valued().exact(),
            A::flag("caseExact", "True if case matters."),
            A::text("mutability", "When a value may be written.").exact(),
            A::text("returned", "When a value is in responses.").exact(),
            A::text("uniqueness", "Where a value is unique.").exact(),
            A::text("referenceTypes", "The types that a reference may name.").multi_valued().exact(),
        ]
    };
    let sub = A::complex("subAttributes", "The fields of a complex attribute.", fields()).multi_valued();
    vec![
        A::text("id", "The URI of the schema.").required(),
        A::text("name", "The name of the schema.").required(),
        A::text("description", "A description of the schema."),
        A::complex("attributes", "The attributes of resources.", fields().into_iter().chain([sub]))
            .multi_valued()
            .required(),
    ]
}
