//! Reading of a response.

use crate::{
    Expectations, ReadError, UnboundAssertion, claims, document, envelope,
    layout::Layout,
    signature::{self, DigestedDocument},
};

/// Verifies a response of an identity provider and reads its assertion.
///
/// `bytes` is the decoded form parameter `SAMLResponse` of the HTTP POST binding. All claims are
/// read from the bytes whose digest was verified. The claims are available after
/// [`UnboundAssertion::bind`] has compared the request.
///
/// # Errors
///
/// Returns an error if the response is not signed by one of the keys, or does not state what is
/// expected. [`ReadError`] has the reasons.
pub fn read_response(bytes: &[u8], expected: &Expectations<'_>) -> Result<UnboundAssertion, ReadError> {
    let document = document::parse(document::text(bytes)?)?;
    let response = document.root_element();
    if !crate::element::is(response, crate::element::PROTOCOL, "Response") {
        return Err(ReadError::NotAResponse);
    }
    // A response that reports a failure has no assertion.
    envelope::check_status(response)?;
    let layout = Layout::of(response)?;
    let Some(signature) = layout.response_signature else {
        return read_assertion(&layout, None, expected);
    };
    let digested = signature::verify(layout.response, signature, expected.keys)?;
    let digested = digested.parse()?;
    let layout = Layout::of(digested.root())?;
    if layout.response_signature.is_some() {
        return Err(ReadError::MisplacedSignature);
    }
    read_assertion(&layout, Some(&digested), expected)
}

/// Reads the assertion of a response. `around` is the document of the layout if it was digested.
fn read_assertion(
    layout: &Layout<'_, '_>,
    around: Option<&DigestedDocument<'_>>,
    expected: &Expectations<'_>,
) -> Result<UnboundAssertion, ReadError> {
    let envelope_request = envelope::check(layout.response, expected)?;
    let claims = match (layout.assertion_signature, around) {
        (Some(signature), _) => {
            let digested = signature::verify(layout.assertion, signature, expected.keys)?;
            claims::read(&digested.parse()?, expected)?
        }
        (None, Some(around)) => claims::read(around, expected)?,
        (None, None) => return Err(ReadError::Unsigned),
    };
    if claims.in_response_to != envelope_request {
        return Err(ReadError::InResponseTo);
    }
    Ok(UnboundAssertion { assertion: claims.assertion, in_response_to: claims.in_response_to })
}
