//! Parsing of documents within limits.

use std::collections::BTreeSet;

use roxmltree::{Document, ParsingOptions};

/// The largest document, in bytes.
pub(crate) const MAX_BYTES: usize = 256 * 1024;
/// The largest canonical form. It repeats namespace declarations, so it can be longer.
pub(crate) const MAX_CANONICAL_BYTES: usize = 4 * MAX_BYTES;
/// The deepest nesting of elements.
const MAX_DEPTH: usize = 64;
/// The largest number of elements, texts and comments.
const MAX_NODES: u32 = 16_384;
/// The largest number of attributes and namespace declarations. The parser compares the attributes
/// of an element pairwise.
const MAX_ATTRIBUTES: usize = 4_096;
/// The largest number of prefixes. The parser compares the namespaces in scope pairwise.
const MAX_PREFIXES: usize = 64;

/// The longest namespace.
const MAX_NAMESPACE_BYTES: usize = 512;

/// A document that is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XmlError {
    /// The document is too large.
    #[error("the document has {bytes} bytes; the maximum is {maximum}")]
    TooLarge {
        /// The length of the document, or of the canonical form up to here.
        bytes: usize,
        /// The maximum.
        maximum: usize,
    },
    /// The document is not in UTF-8, or declares another encoding.
    #[error("the document is not in UTF-8; have the identity provider send UTF-8")]
    Encoding,
    /// The document has a document type declaration.
    #[error("the document has a DTD; entities and DTDs are not read")]
    Dtd,
    /// The document has a processing instruction.
    #[error("the document has a processing instruction; none is read")]
    ProcessingInstruction,
    /// Elements are nested too deeply.
    #[error("the document has more than {MAX_DEPTH} levels of elements")]
    TooDeep,
    /// The document has too many parts.
    #[error("the document has too many {parts}; the maximum is {maximum}")]
    TooMany {
        /// The things of which there are too many.
        parts: &'static str,
        /// The maximum.
        maximum: usize,
    },
    /// The document is not well-formed, or uses namespaces in an invalid way.
    #[error("the document is not well-formed XML with namespaces at line {line}, column {column}")]
    Malformed {
        /// The line, from 1 on.
        line: u32,
        /// The column, from 1 on.
        column: u32,
    },
}

/// Reads the bytes of a document that comes from outside.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, XmlError> {
    if bytes.len() > MAX_BYTES {
        return Err(XmlError::TooLarge { bytes: bytes.len(), maximum: MAX_BYTES });
    }
    let text = str::from_utf8(bytes).map_err(|_| XmlError::Encoding)?;
    if let Some(declaration) = text.strip_prefix("<?xml ").and_then(|rest| rest.split_once("?>")).map(|(it, _)| it) {
        let declaration = declaration.replace('\'', "\"").to_ascii_lowercase();
        let names_utf8 = declaration.contains("encoding=\"utf-8\"");
        if declaration.contains("encoding") && !names_utf8 {
            return Err(XmlError::Encoding);
        }
    }
    Ok(text)
}

/// Parses a document. It has no DTD, no processing instructions, and stays within the limits.
pub(crate) fn parse(text: &str) -> Result<Document<'_>, XmlError> {
    check_cost(text)?;
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|e| error(&e))?;
    check_depth(&document)?;
    if document.root().descendants().any(|node| node.is_pi()) {
        return Err(XmlError::ProcessingInstruction);
    }
    check_namespaces(&document)?;
    Ok(document)
}

/// Limits what the parser needs quadratic time for.
fn check_cost(text: &str) -> Result<(), XmlError> {
    // Text that looks like an attribute counts, too.
    let is_quoted = |after: &str| after.trim_ascii_start().starts_with(['"', '\'']);
    if text.split('=').skip(1).filter(|after| is_quoted(after)).count() > MAX_ATTRIBUTES {
        return Err(XmlError::TooMany { parts: "attributes", maximum: MAX_ATTRIBUTES });
    }
    let mut prefixes = BTreeSet::new();
    for (at, name) in text.match_indices("xmlns") {
        let after = &text[at + name.len()..];
        prefixes.insert(after.split(['=', ' ', '\t', '\r', '\n']).next());
        if prefixes.len() > MAX_PREFIXES {
            return Err(XmlError::TooMany { parts: "namespace prefixes", maximum: MAX_PREFIXES });
        }
    }
    Ok(())
}

fn check_depth(document: &Document<'_>) -> Result<(), XmlError> {
    // Nodes are in document order: a parent is before its children.
    let mut depths: Vec<usize> = Vec::new();
    for node in document.root().descendants() {
        let depth = node.parent().and_then(|parent| depths.get(parent.id().get_usize())).map_or(0, |depth| depth + 1);
        if depth > MAX_DEPTH {
            return Err(XmlError::TooDeep);
        }
        depths.push(depth);
    }
    Ok(())
}

/// Checks what the parser does not: that a prefix has a namespace, that a default namespace is
/// declared once, and that namespaces are absolute URIs, which canonicalization requires.
fn check_namespaces(document: &Document<'_>) -> Result<(), XmlError> {
    // Each element has all namespaces in its scope. Each of them is only checked once.
    let mut checked = BTreeSet::new();
    for node in document.root().descendants() {
        let mut defaults = 0;
        for namespace in node.namespaces() {
            let (uri, is_default) = (namespace.uri(), namespace.name().is_none());
            defaults += usize::from(is_default);
            let is_valid = if uri.is_empty() { is_default } else { checked.contains(uri) || is_absolute_uri(uri) };
            if !is_valid || defaults > 1 {
                let at = document.text_pos_at(node.range().start);
                return Err(XmlError::Malformed { line: at.row, column: at.col });
            }
            checked.insert(uri);
        }
    }
    Ok(())
}

/// Returns whether a text has a scheme and only characters of RFC 3986, and is not too long.
fn is_absolute_uri(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':').filter(|_| uri.len() <= MAX_NAMESPACE_BYTES) else { return false };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let mut escapes = rest.split('%').skip(1);
    let is_escape = |digits: &str| digits.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte);
    is_scheme && rest.bytes().all(is_plain) && escapes.all(is_escape) && rest.matches('#').count() <= 1
}

/// The texts of the parser may contain parts of the document, so that only the position is kept.
fn error(error: &roxmltree::Error) -> XmlError {
    match error {
        roxmltree::Error::DtdDetected => XmlError::Dtd,
        roxmltree::Error::NodesLimitReached => {
            XmlError::TooMany { parts: "elements", maximum: usize::try_from(MAX_NODES).unwrap_or(usize::MAX) }
        }
        _ => XmlError::Malformed { line: error.pos().row, column: error.pos().col },
    }
}
