//! The expectations of a caller, and the result of a response that meets them.

use std::{collections::BTreeMap, fmt, time::SystemTime};

use crate::{Algorithm, ReadError, VerificationKey};

/// The rule for a `NameID` that names the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameIdRule {
    /// It must be present, and not transient. For callers that know the person by it.
    Stable,
    /// It may be missing or transient. For callers that know the person by an attribute.
    Any,
}

/// The statements that a response must make to be accepted.
#[derive(Clone, Debug)]
pub struct Expectations<'a> {
    /// The keys of the identity provider's metadata. A signature by any of them is valid.
    pub keys: &'a [VerificationKey],
    /// The entity ID of the identity provider.
    pub issuer: &'a str,
    /// The entity ID of this service.
    pub audience: &'a str,
    /// The address of this service's assertion consumer service: `Destination` and `Recipient`.
    pub acs_url: &'a str,
    /// The rule for a `NameID` that names the person.
    pub name_id: NameIdRule,
    /// When the response arrived.
    pub now: SystemTime,
}

/// A verified assertion that is not yet bound to a sign-in request.
///
/// The cross-site `POST` of the response carries no cookie, so the service does not know at this
/// point which browser it comes from. An attacker can post a genuine response of their own from a
/// victim's browser. The claims are therefore out of reach until [`bind`](Self::bind) has compared
/// the ID of the request that this browser began. Before, only the parts that a check against replay
/// needs can be read.
///
/// The response itself can be kept until the browser's next request. Read it again then, with the
/// instant of its arrival as [`Expectations::now`]: nothing that was derived from it needs to be
/// stored or trusted.
#[must_use = "an assertion is only valid for the request that it is bound to"]
pub struct UnboundAssertion {
    pub(crate) assertion: Assertion,
    pub(crate) in_response_to: String,
}

impl UnboundAssertion {
    /// Returns the ID of the assertion, unique for its issuer. It can be marked as used before the
    /// browser is known.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.assertion.id
    }

    /// Returns until when the ID must be remembered: [`Assertion::remember_until`].
    #[must_use]
    pub fn remember_until(&self) -> SystemTime {
        self.assertion.remember_until
    }

    /// Returns the claims if the response is for this request.
    ///
    /// The caller must reject an assertion whose [`id`](Self::id) was used before.
    ///
    /// # Errors
    ///
    /// Returns [`ReadError::InResponseTo`] if the response is for another request.
    pub fn bind(self, request_id: &str) -> Result<Assertion, ReadError> {
        if self.in_response_to == request_id { Ok(self.assertion) } else { Err(ReadError::InResponseTo) }
    }
}

/// Shows none of the claims.
impl fmt::Debug for UnboundAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnboundAssertion").finish_non_exhaustive()
    }
}

/// The values of the attributes by their names.
pub type Attributes = BTreeMap<String, Vec<String>>;

/// The claims of an identity provider about a person.
#[derive(Clone, PartialEq, Eq)]
pub struct Assertion {
    /// The ID of the assertion, unique for its issuer.
    pub id: String,
    /// Until when the ID must be remembered, so that the assertion is not accepted twice. Later, it
    /// is rejected as expired. At most 62 minutes after [`Expectations::now`].
    pub remember_until: SystemTime,
    /// The name of the person. Always present with [`NameIdRule::Stable`].
    pub name_id: Option<NameId>,
    /// The attributes of the person. An attribute without values has an empty list.
    pub attributes: Attributes,
    /// When the person last authenticated.
    pub authn_instant: SystemTime,
    /// The session of the person at the identity provider.
    pub session_index: Option<String>,
    /// The algorithm of the innermost signature.
    pub algorithm: Algorithm,
}

/// Shows no claim about the person.
impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assertion")
            .field("id", &self.id)
            .field("remember_until", &self.remember_until)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// The name of a person. Two names are the same if all four parts are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameId {
    /// The text, of at most 256 characters.
    pub value: String,
    /// The format, such as `urn:oasis:names:tc:SAML:2.0:nameid-format:persistent`.
    pub format: Option<String>,
    /// The identity provider in whose domain the name is unique.
    pub name_qualifier: Option<String>,
    /// The service for which the name was created.
    pub sp_name_qualifier: Option<String>,
}

/// Shows the format only.
impl fmt::Debug for NameId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NameId").field("format", &self.format).finish_non_exhaustive()
    }
}
