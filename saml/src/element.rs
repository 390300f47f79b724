//! Access to elements that tolerates no ambiguity.

use roxmltree::Node;

/// Namespaces of SAML 2.0 and of XML signatures.
pub(crate) const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
pub(crate) const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
pub(crate) const METADATA: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
pub(crate) const SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";

/// A part of a document that is not as the specification has it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StructureError {
    /// A mandatory element is missing.
    #[error("{parent} has no {name}")]
    MissingElement {
        /// The element that should contain it.
        parent: &'static str,
        /// The missing element.
        name: &'static str,
    },
    /// An element that identifies something is there more than once.
    #[error("{parent} has more than one {name}; exactly one is read")]
    RepeatedElement {
        /// The element that contains them.
        parent: &'static str,
        /// The repeated element.
        name: &'static str,
    },
    /// A mandatory attribute is missing.
    #[error("{element} has no attribute {name}")]
    MissingAttribute {
        /// The element.
        element: &'static str,
        /// The missing attribute.
        name: &'static str,
    },
    /// An element contains something else than text.
    #[error("{element} contains elements or comments; only text is read")]
    NotText {
        /// The element.
        element: &'static str,
    },
    /// A value has a form that the specification does not allow, or is too long.
    #[error("{name} is empty, longer than {maximum} characters, or not in the form that SAML 2.0 requires")]
    InvalidValue {
        /// The element or attribute.
        name: &'static str,
        /// The length up to which values are accepted, in characters.
        maximum: usize,
    },
}

/// The longest identifier, address or name, in characters (SAML core, section 8.3.6).
pub(crate) const MAX_VALUE: usize = 1024;

/// Returns the child elements with a name.
pub(crate) fn children<'a, 'input: 'a>(
    parent: Node<'a, 'input>,
    namespace: &'static str,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'input>> {
    parent.children().filter(move |child| is(*child, namespace, name))
}

pub(crate) fn is(element: Node<'_, '_>, namespace: &str, name: &str) -> bool {
    element.is_element() && element.tag_name().namespace() == Some(namespace) && element.tag_name().name() == name
}

/// Returns the only child element with a name, or `None` if there is none.
pub(crate) fn optional<'a, 'input>(
    parent: Node<'a, 'input>,
    parent_name: &'static str,
    namespace: &'static str,
    name: &'static str,
) -> Result<Option<Node<'a, 'input>>, StructureError> {
    let mut found = children(parent, namespace, name);
    let first = found.next();
    match found.next() {
        Some(_) => Err(StructureError::RepeatedElement { parent: parent_name, name }),
        None => Ok(first),
    }
}

/// Returns the only child element with a name.
pub(crate) fn required<'a, 'input>(
    parent: Node<'a, 'input>,
    parent_name: &'static str,
    namespace: &'static str,
    name: &'static str,
) -> Result<Node<'a, 'input>, StructureError> {
    optional(parent, parent_name, namespace, name)?.ok_or(StructureError::MissingElement { parent: parent_name, name })
}

/// Returns the value of an attribute without a namespace.
pub(crate) fn attribute<'a>(element: Node<'a, '_>, name: &str) -> Option<&'a str> {
    // A name without a namespace would match an attribute of any namespace.
    element
        .attributes()
        .find(|attribute| attribute.namespace().is_none() && attribute.name() == name)
        .map(|attribute| attribute.value())
}

/// Returns the value of a mandatory attribute, which is an identifier or an address.
pub(crate) fn required_attribute<'a>(
    element: Node<'a, '_>,
    element_name: &'static str,
    name: &'static str,
) -> Result<&'a str, StructureError> {
    let value = attribute(element, name).ok_or(StructureError::MissingAttribute { element: element_name, name })?;
    value_within(value, name, MAX_VALUE)
}

/// Returns the text of an element that contains nothing else.
pub(crate) fn text<'a>(element: Node<'a, '_>, name: &'static str) -> Result<&'a str, StructureError> {
    let mut children = element.children();
    match (children.next(), children.next()) {
        (None, _) => Ok(""),
        (Some(only), None) if only.is_text() => Ok(only.text().unwrap_or_default()),
        _ => Err(StructureError::NotText { element: name }),
    }
}

/// Checks an identifier: not empty, not too long, no white space around it, no control characters.
pub(crate) fn value_within<'a>(value: &'a str, name: &'static str, maximum: usize) -> Result<&'a str, StructureError> {
    let is_valid = !value.is_empty()
        && value.chars().count() <= maximum
        && value.trim() == value
        && !value.chars().any(char::is_control);
    if is_valid { Ok(value) } else { Err(StructureError::InvalidValue { name, maximum }) }
}
