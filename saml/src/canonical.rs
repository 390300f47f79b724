//! Exclusive XML canonicalization without comments
//! (<https://www.w3.org/TR/2002/REC-xml-exc-c14n-20020718/>).

use std::collections::BTreeSet;

use roxmltree::{Attribute, Node, NodeId};

use crate::{
    document::{MAX_CANONICAL_BYTES, XmlError},
    encoding::{push_attribute, push_text},
};

/// The namespace of `xml:lang` and its like, whose prefix needs no declaration.
pub(crate) const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";

/// The prefixes of `InclusiveNamespaces`. They are declared wherever they are in scope, used or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PrefixList(BTreeSet<String>);

impl PrefixList {
    /// The largest number of prefixes. Each is looked up for each element.
    const MAX: usize = 32;

    /// Parses the attribute `PrefixList`. The default namespace is the empty prefix. Returns `None`
    /// if there are too many.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let prefix = |word: &str| if word == "#default" { String::new() } else { word.to_owned() };
        let prefixes: BTreeSet<_> = value.split_ascii_whitespace().take(Self::MAX + 1).map(prefix).collect();
        (prefixes.len() <= Self::MAX).then_some(Self(prefixes))
    }
}

/// Returns the canonical form of an element, without one of its child elements if one is named.
pub(crate) fn canonicalize(
    element: Node<'_, '_>,
    without: Option<NodeId>,
    inclusive: &PrefixList,
) -> Result<String, XmlError> {
    let mut writer = Writer { output: String::new(), without, inclusive, declared: Vec::new() };
    writer.element(element)?;
    Ok(writer.output)
}

struct Writer<'a> {
    output: String,
    without: Option<NodeId>,
    inclusive: &'a PrefixList,
    /// The prefixes that the open elements declare in the output, with their namespaces.
    declared: Vec<(&'a str, &'a str)>,
}

impl<'a> Writer<'a> {
    /// Writes an element. The parser has limited the depth of the recursion.
    fn element<'input: 'a>(&mut self, element: Node<'a, 'input>) -> Result<(), XmlError> {
        let (prefix, name) = (prefix(element), qualified_name(element));
        let declared_before = self.declared.len();
        self.output.push('<');
        self.output.push_str(name);
        self.namespaces(element, prefix);
        let mut attributes: Vec<_> = element.attributes().collect();
        attributes.sort_by_key(|attribute| (attribute.namespace().unwrap_or_default(), attribute.name()));
        for attribute in attributes {
            push_attribute(&mut self.output, attribute_name(element, &attribute), attribute.value());
        }
        self.output.push('>');
        for child in element.children() {
            if child.is_element() && Some(child.id()) != self.without {
                self.element(child)?;
            } else if child.is_text() {
                push_text(&mut self.output, child.text().unwrap_or_default());
            }
        }
        self.output.push_str("</");
        self.output.push_str(name);
        self.output.push('>');
        self.declared.truncate(declared_before);
        if self.output.len() > MAX_CANONICAL_BYTES {
            return Err(XmlError::TooLarge { bytes: self.output.len(), maximum: MAX_CANONICAL_BYTES });
        }
        Ok(())
    }

    /// Declares the namespaces that the element uses and its ancestors in the output do not declare.
    fn namespaces<'input: 'a>(&mut self, element: Node<'a, 'input>, prefix: &'a str) {
        let attribute_prefixes = element
            .attributes()
            .filter(|attribute| attribute.namespace().is_some_and(|namespace| namespace != XML_NAMESPACE))
            .map(|attribute| attribute_name(element, &attribute).split_once(':').map_or("", |(prefix, _)| prefix));
        let used = attribute_prefixes.chain([prefix]).chain(self.inclusive.0.iter().map(String::as_str));
        for prefix in used.collect::<BTreeSet<_>>() {
            let Some(namespace) = namespace_of(element, prefix) else { continue };
            let declared = self.declared.iter().rev().find(|(declared, _)| *declared == prefix);
            let is_declared =
                declared.map_or(prefix.is_empty() && namespace.is_empty(), |(_, declared)| *declared == namespace);
            if is_declared {
                continue;
            }
            let name = if prefix.is_empty() { "xmlns".to_owned() } else { format!("xmlns:{prefix}") };
            push_attribute(&mut self.output, &name, namespace);
            self.declared.push((prefix, namespace));
        }
    }
}

/// Returns the namespace of a prefix in the scope of an element. Without a declaration, the default
/// namespace is empty, and other prefixes have none.
fn namespace_of<'a>(element: Node<'a, '_>, prefix: &str) -> Option<&'a str> {
    let declaration = element.namespaces().find(|namespace| namespace.name().unwrap_or_default() == prefix);
    match declaration {
        Some(namespace) => Some(namespace.uri()),
        None => prefix.is_empty().then_some(""),
    }
}

/// Returns the name of an element as it is in the text. The parser keeps only the local part.
fn qualified_name<'input>(element: Node<'_, 'input>) -> &'input str {
    let start = element.range().start + 1;
    let text = element.document().input_text().get(start..).unwrap_or_default();
    let end = text.find([' ', '\t', '\r', '\n', '/', '>']).unwrap_or(text.len());
    &text[..end]
}

fn prefix<'input>(element: Node<'_, 'input>) -> &'input str {
    qualified_name(element).split_once(':').map_or("", |(prefix, _)| prefix)
}

/// Returns the name of an attribute as it is in the text.
fn attribute_name<'input>(element: Node<'_, 'input>, attribute: &Attribute<'_, 'input>) -> &'input str {
    let text = element.document().input_text().get(attribute.range()).unwrap_or_default();
    let end = text.find([' ', '\t', '\r', '\n', '=']).unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests;
