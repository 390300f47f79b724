//! The response around the assertion. Nothing of it becomes a claim: it can only be rejected, so it
//! is checked even if only the assertion is signed.

use roxmltree::Node;

use crate::{
    Expectations, ReadError,
    element::{
        ASSERTION, MAX_VALUE, PROTOCOL, attribute, children, optional, required, required_attribute, text, value_within,
    },
    time,
};

const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";
const STATUS_PREFIX: &str = "urn:oasis:names:tc:SAML:2.0:status:";

/// Checks the status, so that a failed sign-in is reported as such.
pub(crate) fn check_status(response: Node<'_, '_>) -> Result<(), ReadError> {
    let status = required(response, "Response", PROTOCOL, "Status")?;
    let code = required(status, "Status", PROTOCOL, "StatusCode")?;
    if attribute(code, "Value") == Some(SUCCESS) {
        return Ok(());
    }
    let nested = children(code, PROTOCOL, "StatusCode").next();
    let names: Vec<_> = [Some(code), nested].into_iter().flatten().map(status_name).collect();
    Err(ReadError::Status { code: names.join("/") })
}

/// Returns the last part of a status code of SAML.
fn status_name<'a>(code: Node<'a, '_>) -> &'a str {
    attribute(code, "Value")
        .and_then(|value| value.strip_prefix(STATUS_PREFIX))
        .filter(|name| name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .unwrap_or("unknown")
}

/// Checks the response, and returns the ID of the request that it names.
pub(crate) fn check<'a>(response: Node<'a, '_>, expected: &Expectations<'_>) -> Result<&'a str, ReadError> {
    const NAME: &str = "Response";
    check_version(response, NAME)?;
    check_status(response)?;
    if let Some(issuer) = optional(response, NAME, ASSERTION, "Issuer")? {
        check_issuer(issuer, expected)?;
    }
    let destination = required_attribute(response, NAME, "Destination")?;
    if destination != expected.acs_url {
        return Err(mismatch("Destination", destination, expected.acs_url));
    }
    let issued = instant(required_attribute(response, NAME, "IssueInstant")?, "IssueInstant")?;
    if time::is_well_after(issued, expected.now) {
        return Err(ReadError::NotYetValid { name: "IssueInstant" });
    }
    in_response_to(response)
}

/// Returns the mandatory attribute `InResponseTo`.
pub(crate) fn in_response_to<'a>(element: Node<'a, '_>) -> Result<&'a str, ReadError> {
    let value = attribute(element, "InResponseTo").ok_or(ReadError::InResponseTo)?;
    Ok(value_within(value, "InResponseTo", MAX_VALUE)?)
}

pub(crate) fn check_version(element: Node<'_, '_>, name: &'static str) -> Result<(), ReadError> {
    match required_attribute(element, name, "Version")? {
        "2.0" => Ok(()),
        other => Err(mismatch("Version", other, "2.0")),
    }
}

pub(crate) fn check_issuer(issuer: Node<'_, '_>, expected: &Expectations<'_>) -> Result<(), ReadError> {
    let issuer = value_within(text(issuer, "Issuer")?, "Issuer", MAX_VALUE)?;
    if issuer == expected.issuer { Ok(()) } else { Err(mismatch("Issuer", issuer, expected.issuer)) }
}

pub(crate) fn mismatch(name: &'static str, found: &str, expected: &str) -> ReadError {
    ReadError::Mismatch { name, found: found.into(), expected: expected.into() }
}

/// Parses the value of an instant.
pub(crate) fn instant(value: &str, name: &'static str) -> Result<std::time::SystemTime, ReadError> {
    time::parse(value).ok_or(ReadError::Structure(crate::StructureError::InvalidValue { name, maximum: 64 }))
}
