//! The content of the reference: the operations of the OpenAPI document by tag.

use std::sync::{Arc, OnceLock};

use utoipa::openapi::{
    Components, OpenApi, PathItem,
    path::Operation as DocumentOperation,
    security::{HttpAuthScheme, SecurityScheme},
};

use super::{
    example::Example,
    markdown::SafeHtml,
    operation::Operation,
    schema::{Field, SchemaReader},
};

/// The labels of the tags. A tag without one is shown by its name.
const TITLES: [(&str, &str); 9] = [
    ("apiAccessTokens", "Access tokens"),
    ("people", "People"),
    ("workspaces", "Workspaces"),
    ("events", "Events"),
    ("auth", "Auth checks"),
    ("oauth2", "OAuth 2.0"),
    ("leaks", "Leak reports"),
    ("openapi", "OpenAPI document"),
    ("health", "Health checks"),
];

/// The reference of one service. Cheap to clone.
#[derive(Clone)]
pub(in crate::web) struct ApiReference {
    document: &'static OpenApi,
    public_url: String,
    /// Built for the first page and then shared by all pages, so that a start does not wait for it.
    model: Arc<OnceLock<Model>>,
}

impl ApiReference {
    pub(in crate::web) fn new(document: &'static OpenApi, public_url: &str) -> Self {
        Self { document, public_url: public_url.to_owned(), model: Arc::default() }
    }

    pub(super) fn model(&self) -> &Model {
        self.model.get_or_init(|| Model::new(self.document, &self.public_url))
    }
}

/// The reference of all operations.
pub(super) struct Model {
    pub version: &'static str,
    pub description: SafeHtml,
    pub public_url: String,
    pub schemes: Vec<Scheme>,
    /// The fields of the body of an error.
    pub error_fields: Vec<Field>,
    pub error_example: Option<Example>,
    pub groups: Vec<Group>,
}

/// An authentication scheme.
pub(super) struct Scheme {
    pub name: &'static str,
    pub description: SafeHtml,
    /// A request with this scheme.
    pub command: String,
}

/// The operations of one tag.
pub(super) struct Group {
    pub tag: &'static str,
    pub title: &'static str,
    pub description: SafeHtml,
    pub operations: Vec<Operation>,
}

impl Group {
    /// Returns the path of the page.
    pub(super) fn path(&self) -> String {
        format!("/api-reference/{}", self.tag)
    }
}

impl Model {
    pub(super) fn new(document: &'static OpenApi, public_url: &str) -> Self {
        let components = document.components.as_ref();
        let groups: Vec<Group> = document
            .tags
            .iter()
            .flatten()
            .map(|tag| Group {
                tag: &tag.name,
                title: TITLES.iter().find(|(name, _)| *name == tag.name).map_or(tag.name.as_str(), |(_, title)| title),
                description: SafeHtml::from_markdown(tag.description.as_deref().unwrap_or_default()),
                operations: operations_of(document, &tag.name, public_url),
            })
            .collect();
        let schemas = SchemaReader::new(components);
        Self {
            version: &document.info.version,
            description: SafeHtml::from_markdown(document.info.description.as_deref().unwrap_or_default()),
            public_url: public_url.to_owned(),
            schemes: components.map(|components| schemes_of(components, public_url)).unwrap_or_default(),
            error_fields: schemas.fields_of_component("Error"),
            error_example: groups.iter().flat_map(|group| &group.operations).find_map(Operation::first_error).cloned(),
            groups,
        }
    }
}

/// Returns the operations with a tag, in the order of their paths.
fn operations_of(document: &'static OpenApi, tag: &str, public_url: &str) -> Vec<Operation> {
    let items = document.paths.paths.iter().flat_map(|(path, item)| methods_of(item).map(move |entry| (path, entry)));
    items
        .filter(|(_, (_, operation))| operation.tags.iter().flatten().any(|name| name == tag))
        .map(|(path, (method, operation))| Operation::new(document, (method, path), operation, public_url))
        .collect()
}

fn methods_of(item: &PathItem) -> impl Iterator<Item = (&'static str, &DocumentOperation)> {
    let methods = [
        ("GET", &item.get),
        ("POST", &item.post),
        ("PUT", &item.put),
        ("PATCH", &item.patch),
        ("DELETE", &item.delete),
    ];
    methods.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

fn schemes_of(components: &Components, public_url: &str) -> Vec<Scheme> {
    let url = format!("{public_url}/v4/people/current");
    let scheme = |scheme: &SecurityScheme| {
        let SecurityScheme::Http(http) = scheme else { return None };
        let (name, command) = match http.scheme {
            HttpAuthScheme::Bearer => ("Bearer", format!("curl -H \"Authorization: Bearer $TOKEN\" {url}")),
            HttpAuthScheme::Basic => ("Basic", format!("curl -u ada@example.com {url}")),
            _ => return None,
        };
        let description = SafeHtml::from_markdown(http.description.as_deref().unwrap_or_default());
        Some(Scheme { name, description, command })
    };
    let mut schemes: Vec<Scheme> = components
        .security_schemes
        .values()
        .filter_map(|item| match item {
            utoipa::openapi::RefOr::T(item) => scheme(item),
            utoipa::openapi::RefOr::Ref(_) => None,
        })
        .collect();
    // Bearer first: it is the scheme of scripts.
    schemes.sort_by_key(|scheme| scheme.name != "Bearer");
    schemes
}
