//! One operation of the reference: parameters, body, responses and examples.

use utoipa::openapi::{
    OpenApi, RefOr, Required, Response as DocumentResponse,
    content::Content,
    path::{Operation as DocumentOperation, Parameter, ParameterIn},
    security::SecurityRequirement,
};

use super::{
    example::{self, Example},
    markdown::SafeHtml,
    schema::{Field, SchemaReader},
};

/// An operation.
pub(super) struct Operation {
    /// The `operationId`, which is the anchor on the page.
    pub id: &'static str,
    pub method: &'static str,
    pub path: &'static str,
    pub summary: &'static str,
    pub description: SafeHtml,
    pub needs_credential: bool,
    /// The parameters by place, such as `Query parameters`.
    pub parameters: Vec<(&'static str, Vec<Field>)>,
    pub body: Option<Body>,
    /// The request as a curl command.
    pub command: String,
    pub successes: Vec<Response>,
    pub errors: Vec<Response>,
}

/// The body of a request.
pub(super) struct Body {
    pub media_type: &'static str,
    pub is_required: bool,
    pub fields: Vec<Field>,
}

/// The response with one status.
pub(super) struct Response {
    pub status: &'static str,
    pub description: SafeHtml,
    pub headers: Vec<Field>,
    pub fields: Vec<Field>,
    pub examples: Vec<Example>,
}

impl Operation {
    pub(super) fn new(
        document: &'static OpenApi,
        (method, path): (&'static str, &'static str),
        operation: &'static DocumentOperation,
        public_url: &str,
    ) -> Self {
        let schemas = SchemaReader::new(document.components.as_ref());
        let parameters: Vec<&'static Parameter> = operation.parameters.iter().flatten().filter_map(inline).collect();
        let content = operation.request_body.as_ref().and_then(inline).and_then(|body| {
            let (media_type, content) = body.content.iter().next()?;
            Some((media_type.as_str(), inline(content)?, body.required == Some(Required::True)))
        });
        let needs_credential = needs_credential(document, operation);
        let example = content.map(|(media_type, content, _)| (media_type, content.example.as_ref()));
        let responses = operation.responses.responses.iter();
        let (successes, errors) = responses
            .filter_map(|(status, response)| Some(read_response(&schemas, status, inline(response)?)))
            .partition(|response: &Response| response.status.starts_with('2'));
        Self {
            id: operation.operation_id.as_deref().unwrap_or_default(),
            method,
            path,
            summary: operation.summary.as_deref().unwrap_or(path),
            description: SafeHtml::from_markdown(operation.description.as_deref().unwrap_or_default()),
            needs_credential,
            command: example::command(method, &format!("{public_url}{path}"), &parameters, example, needs_credential),
            parameters: group_parameters(&schemas, &parameters),
            body: content.map(|(media_type, content, is_required)| Body {
                media_type,
                is_required,
                fields: content.schema.as_ref().map(|schema| schemas.fields_of(schema)).unwrap_or_default(),
            }),
            successes,
            errors,
        }
    }

    /// Returns the first example of an error.
    pub(super) fn first_error(&self) -> Option<&Example> {
        self.errors.iter().find_map(|response| response.examples.first())
    }

    /// Returns the class of the label of the method.
    pub(super) fn method_class(&self) -> String {
        self.method.to_ascii_lowercase()
    }
}

/// Returns the item unless it is a reference. The document has references only to schemas.
fn inline<T>(item: &RefOr<T>) -> Option<&T> {
    match item {
        RefOr::T(item) => Some(item),
        RefOr::Ref(_) => None,
    }
}

/// Returns whether a request needs a credential: the operation has no security requirement of its
/// own, or none of them is empty.
fn needs_credential(document: &OpenApi, operation: &DocumentOperation) -> bool {
    let requirements = operation.security.as_ref().or(document.security.as_ref());
    requirements.is_some_and(|all| !all.is_empty() && !all.contains(&SecurityRequirement::default()))
}

fn group_parameters(schemas: &SchemaReader<'static>, parameters: &[&Parameter]) -> Vec<(&'static str, Vec<Field>)> {
    let places = [
        (ParameterIn::Path, "Path parameters"),
        (ParameterIn::Query, "Query parameters"),
        (ParameterIn::Header, "Request headers"),
    ];
    let fields_in = |place: &ParameterIn| -> Vec<Field> {
        let parameters = parameters.iter().filter(|parameter| parameter.parameter_in == *place);
        let field = |parameter: &&Parameter| {
            let is_required = parameter.required == Required::True;
            schemas.field(&parameter.name, parameter.schema.as_ref(), is_required, parameter.description.as_deref())
        };
        parameters.map(field).collect()
    };
    let groups = places.iter().map(|(place, title)| (*title, fields_in(place)));
    groups.filter(|(_, fields)| !fields.is_empty()).collect()
}

fn read_response(
    schemas: &SchemaReader<'static>,
    status: &'static str,
    response: &'static DocumentResponse,
) -> Response {
    let content = response.content.values().next().and_then(inline);
    let headers = response.headers.iter().filter_map(|(name, header)| {
        let header = inline(header)?;
        Some(schemas.field(name, header.schema.as_ref(), true, header.description.as_deref()))
    });
    let is_error = !status.starts_with('2');
    // The overview lists the fields of errors.
    let schema = content.and_then(|content| content.schema.as_ref()).filter(|_| !is_error);
    Response {
        status,
        description: SafeHtml::from_markdown(&response.description),
        headers: headers.collect(),
        fields: schema.map(|schema| schemas.fields_of(schema)).unwrap_or_default(),
        examples: content.map(examples_of).unwrap_or_default(),
    }
}

fn examples_of(content: &Content) -> Vec<Example> {
    let single = content.example.iter().map(|value| Example::new("", value));
    let named = content
        .examples
        .iter()
        .filter_map(|(name, example)| Some(Example::new(name, inline(example)?.value.as_ref()?)));
    single.chain(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_requirement_means_no_credential() {
        let bearer = || SecurityRequirement::new("bearer", Vec::<String>::new());
        let mut document = OpenApi::default();
        let mut operation = DocumentOperation::default();
        assert!(!needs_credential(&document, &operation));
        document.security = Some(vec![bearer()]);
        assert!(needs_credential(&document, &operation));
        operation.security = Some(Vec::new());
        assert!(!needs_credential(&document, &operation));
        operation.security = Some(vec![SecurityRequirement::default()]);
        assert!(!needs_credential(&document, &operation));
        operation.security = Some(vec![bearer(), SecurityRequirement::default()]);
        assert!(!needs_credential(&document, &operation));
        operation.security = Some(vec![bearer()]);
        assert!(needs_credential(&document, &operation));
    }
}
