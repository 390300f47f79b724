//! The places of the assertion and the signatures of a response.

use std::collections::BTreeSet;

use roxmltree::Node;

use crate::{
    ReadError,
    element::{ASSERTION, PROTOCOL, SIGNATURE, is},
};

/// The places of the assertion and of the signatures. No other element can be taken for one.
pub(crate) struct Layout<'a, 'input> {
    pub(crate) response: Node<'a, 'input>,
    pub(crate) assertion: Node<'a, 'input>,
    pub(crate) response_signature: Option<Node<'a, 'input>>,
    pub(crate) assertion_signature: Option<Node<'a, 'input>>,
}

impl<'a, 'input> Layout<'a, 'input> {
    /// Finds the parts of a response. Elements count by their local names, so that one of another
    /// namespace is not overlooked but an error.
    pub(crate) fn of(response: Node<'a, 'input>) -> Result<Self, ReadError> {
        if !is(response, PROTOCOL, "Response") {
            return Err(ReadError::NotAResponse);
        }
        check_ids(response)?;
        let named = |name: &'static str| {
            response.descendants().filter(move |node| node.is_element() && node.tag_name().name() == name)
        };
        if named("EncryptedAssertion").next().is_some() {
            return Err(ReadError::EncryptedAssertion);
        }
        let assertions: Vec<_> = named("Assertion").collect();
        let [assertion] = assertions[..] else { return Err(ReadError::AssertionCount { found: assertions.len() }) };
        if !is(assertion, ASSERTION, "Assertion") || assertion.parent() != Some(response) {
            return Err(ReadError::MisplacedAssertion);
        }
        if named("Response").count() != 1 {
            return Err(ReadError::MisplacedAssertion);
        }
        let mut layout = Self { response, assertion, response_signature: None, assertion_signature: None };
        for signature in named("Signature") {
            layout.place(signature)?;
        }
        Ok(layout)
    }

    fn place(&mut self, signature: Node<'a, 'input>) -> Result<(), ReadError> {
        let place = match signature.parent() {
            Some(parent) if parent == self.response => &mut self.response_signature,
            Some(parent) if parent == self.assertion => &mut self.assertion_signature,
            _ => return Err(ReadError::MisplacedSignature),
        };
        if !is(signature, SIGNATURE, "Signature") || place.replace(signature).is_some() {
            return Err(ReadError::MisplacedSignature);
        }
        Ok(())
    }
}

/// Checks that no two elements have the same ID in any spelling, and that none has a namespace.
fn check_ids(response: Node<'_, '_>) -> Result<(), ReadError> {
    let mut ids = BTreeSet::new();
    for attribute in response.descendants().flat_map(|node| node.attributes()) {
        if !attribute.name().eq_ignore_ascii_case("id") {
            continue;
        }
        if attribute.namespace().is_some() || !ids.insert(attribute.value()) {
            return Err(ReadError::AmbiguousId);
        }
    }
    Ok(())
}
