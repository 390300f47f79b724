//! The claims of an assertion, read from digested bytes only.

use std::time::{Duration, SystemTime};

use roxmltree::Node;

use crate::{
    Assertion, Attributes, Expectations, NameId, NameIdRule, ReadError, StructureError,
    element::{
        ASSERTION, MAX_VALUE, attribute, children, is, optional, required, required_attribute, text, value_within,
    },
    envelope::{check_issuer, check_version, in_response_to, instant, mismatch},
    signature::DigestedDocument,
    time,
};

/// The time after its `IssueInstant` for which an assertion is accepted, whatever it says itself. So the IDs
/// of used assertions are remembered for a limited time.
const MAX_AGE: Duration = Duration::from_hours(1);
/// The longest `NameID` and qualifier (SAML core, section 8.3.7).
const MAX_NAME: usize = 256;
const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
const TRANSIENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";

/// The claims, and the request for which they were made.
pub(crate) struct Claims {
    pub(crate) assertion: Assertion,
    pub(crate) in_response_to: String,
}

/// Reads the assertion of a document, which is the assertion itself or a response around it.
pub(crate) fn read(digested: &DigestedDocument<'_>, expected: &Expectations<'_>) -> Result<Claims, ReadError> {
    const NAME: &str = "Assertion";
    let root = digested.root();
    let assertion = if is(root, ASSERTION, NAME) { root } else { required(root, "Response", ASSERTION, NAME)? };
    check_version(assertion, NAME)?;
    check_issuer(required(assertion, NAME, ASSERTION, "Issuer")?, expected)?;
    let issued = instant(required_attribute(assertion, NAME, "IssueInstant")?, "IssueInstant")?;
    if time::is_well_after(issued, expected.now) {
        return Err(ReadError::NotYetValid { name: "IssueInstant" });
    }

    let mut end = issued.checked_add(MAX_AGE).unwrap_or(issued);
    check_end(end, "the lifetime of one hour", expected)?;
    let subject = required(assertion, NAME, ASSERTION, "Subject")?;
    let name_id = read_name(subject, expected)?;
    let confirmation = confirm(subject, expected)?;
    end = end.min(confirmation.end);
    if let Some(conditions_end) = check_conditions(required(assertion, NAME, ASSERTION, "Conditions")?, expected)? {
        end = end.min(conditions_end);
    }
    let authentication = required(assertion, NAME, ASSERTION, "AuthnStatement")?;
    let (authn_instant, session_index) = read_authentication(authentication, expected)?;

    let assertion = Assertion {
        id: required_attribute(assertion, NAME, "ID")?.to_owned(),
        remember_until: end.checked_add(time::SKEW).unwrap_or(end),
        name_id,
        attributes: read_attributes(assertion)?,
        authn_instant,
        session_index,
        algorithm: digested.algorithm(),
    };
    Ok(Claims { assertion, in_response_to: confirmation.in_response_to })
}

fn read_name(subject: Node<'_, '_>, expected: &Expectations<'_>) -> Result<Option<NameId>, ReadError> {
    const NAME: &str = "Subject";
    if children(subject, ASSERTION, "EncryptedID").next().is_some() {
        return Err(ReadError::EncryptedClaim);
    }
    let Some(element) = optional(subject, NAME, ASSERTION, "NameID")? else {
        return match expected.name_id {
            NameIdRule::Stable => Err(StructureError::MissingElement { parent: NAME, name: "NameID" }.into()),
            NameIdRule::Any => Ok(None),
        };
    };
    let qualifier = |name: &'static str| match attribute(element, name) {
        Some(value) => value_within(value, name, MAX_VALUE).map(|value| Some(value.to_owned())),
        None => Ok(None),
    };
    let name = NameId {
        value: value_within(text(element, "NameID")?, "NameID", MAX_NAME)?.to_owned(),
        format: qualifier("Format")?,
        name_qualifier: qualifier("NameQualifier")?,
        sp_name_qualifier: qualifier("SPNameQualifier")?,
    };
    if expected.name_id == NameIdRule::Stable && name.format.as_deref() == Some(TRANSIENT) {
        return Err(ReadError::TransientName);
    }
    Ok(Some(name))
}

/// The statements of the subject confirmation.
struct Confirmation {
    in_response_to: String,
    end: SystemTime,
}

/// Checks that the bearer may present the assertion here and now (SAML profiles, section 4.1.4.2).
fn confirm(subject: Node<'_, '_>, expected: &Expectations<'_>) -> Result<Confirmation, ReadError> {
    const NAME: &str = "SubjectConfirmationData";
    let confirmation = required(subject, "Subject", ASSERTION, "SubjectConfirmation")?;
    if attribute(confirmation, "Method") != Some(BEARER) {
        return Err(ReadError::NotBearer);
    }
    let data = required(confirmation, "SubjectConfirmation", ASSERTION, NAME)?;
    let recipient = required_attribute(data, NAME, "Recipient")?;
    if recipient != expected.acs_url {
        return Err(mismatch("Recipient", recipient, expected.acs_url));
    }
    check_begin(data, expected)?;
    let end = instant(required_attribute(data, NAME, "NotOnOrAfter")?, "NotOnOrAfter")?;
    check_end(end, "NotOnOrAfter", expected)?;
    Ok(Confirmation { in_response_to: in_response_to(data)?.to_owned(), end })
}

/// Checks all conditions, and returns when they end.
fn check_conditions(conditions: Node<'_, '_>, expected: &Expectations<'_>) -> Result<Option<SystemTime>, ReadError> {
    const NAME: &str = "Conditions";
    check_begin(conditions, expected)?;
    let end = match attribute(conditions, "NotOnOrAfter") {
        Some(value) => Some(instant(value, "NotOnOrAfter")?),
        None => None,
    };
    if let Some(end) = end {
        check_end(end, "NotOnOrAfter", expected)?;
    }
    // OneTimeUse is what the caller does in any case, and ProxyRestriction binds identity providers.
    let known = ["AudienceRestriction", "OneTimeUse", "ProxyRestriction"];
    let is_known = |condition: Node<'_, '_>| known.iter().any(|name| is(condition, ASSERTION, name));
    if conditions.children().filter(Node::is_element).any(|condition| !is_known(condition)) {
        return Err(ReadError::UnknownCondition);
    }
    let restriction = required(conditions, NAME, ASSERTION, "AudienceRestriction")?;
    for audience in children(restriction, ASSERTION, "Audience") {
        if text(audience, "Audience")? == expected.audience {
            return Ok(end);
        }
    }
    Err(ReadError::Audience { expected: expected.audience.into() })
}

fn read_authentication(
    statement: Node<'_, '_>,
    expected: &Expectations<'_>,
) -> Result<(SystemTime, Option<String>), ReadError> {
    let authenticated = instant(required_attribute(statement, "AuthnStatement", "AuthnInstant")?, "AuthnInstant")?;
    if time::is_well_after(authenticated, expected.now) {
        return Err(ReadError::NotYetValid { name: "AuthnInstant" });
    }
    if let Some(end) = attribute(statement, "SessionNotOnOrAfter") {
        check_end(instant(end, "SessionNotOnOrAfter")?, "SessionNotOnOrAfter", expected)?;
    }
    let session_index = match attribute(statement, "SessionIndex") {
        Some(index) => Some(value_within(index, "SessionIndex", MAX_VALUE)?.to_owned()),
        None => None,
    };
    Ok((authenticated, session_index))
}

/// Reads the attributes. Some providers repeat an attribute for each of its values.
fn read_attributes(assertion: Node<'_, '_>) -> Result<Attributes, ReadError> {
    let mut attributes = Attributes::new();
    let Some(statement) = optional(assertion, "Assertion", ASSERTION, "AttributeStatement")? else {
        return Ok(attributes);
    };
    if children(statement, ASSERTION, "EncryptedAttribute").next().is_some() {
        return Err(ReadError::EncryptedClaim);
    }
    for element in children(statement, ASSERTION, "Attribute") {
        let name = required_attribute(element, "Attribute", "Name")?;
        let values = attributes.entry(name.to_owned()).or_default();
        for value in children(element, ASSERTION, "AttributeValue") {
            values.push(text(value, "AttributeValue")?.to_owned());
        }
    }
    Ok(attributes)
}

fn check_begin(element: Node<'_, '_>, expected: &Expectations<'_>) -> Result<(), ReadError> {
    const NAME: &str = "NotBefore";
    match attribute(element, NAME) {
        Some(value) if time::is_well_after(instant(value, NAME)?, expected.now) => {
            Err(ReadError::NotYetValid { name: NAME })
        }
        _ => Ok(()),
    }
}

fn check_end(end: SystemTime, name: &'static str, expected: &Expectations<'_>) -> Result<(), ReadError> {
    if time::is_well_after(expected.now, end) { Err(ReadError::Expired { name }) } else { Ok(()) }
}
