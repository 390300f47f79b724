//! Errors of reading a response. Each text helps an operator, and none contains a claim about a
//! person.

use std::fmt;

use crate::{SignatureError, StructureError, XmlError};

/// A response that is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The bytes are not a document that is read.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// The root element is another one.
    #[error("the document is not a SAML 2.0 response; check the address and the binding at the identity provider")]
    NotAResponse,
    /// The provider did not sign the person in.
    #[error("the identity provider did not sign the person in: its status is {code}")]
    Status {
        /// The last parts of the status codes, such as `Responder/NoPassive`.
        code: String,
    },
    /// The response has no assertion or several.
    #[error("the response has {found} assertions; exactly one is read")]
    AssertionCount {
        /// The number of elements with that name.
        found: usize,
    },
    /// The assertion is encrypted.
    #[error(
        "the assertion is encrypted; turn off the encryption of assertions for this service at the identity provider, and remove the encryption certificate there"
    )]
    EncryptedAssertion,
    /// The `NameID` or an attribute is encrypted.
    #[error(
        "the response has an encrypted name or attribute; turn off this encryption for this service at the identity provider"
    )]
    EncryptedClaim,
    /// The assertion is not a child of the response, or of another namespace.
    #[error("the assertion is not where SAML 2.0 has it")]
    MisplacedAssertion,
    /// Two elements have the same ID, or an ID has a namespace.
    #[error("two elements have the same ID, or an ID has a namespace")]
    AmbiguousId,
    /// A signature is at a place where SAML 2.0 has none.
    #[error("a signature is not where SAML 2.0 has it")]
    MisplacedSignature,
    /// Neither the response nor the assertion is signed.
    #[error("neither the response nor the assertion is signed; have the identity provider sign assertions")]
    Unsigned,
    /// A signature is not valid.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// An element is missing or ambiguous.
    #[error(transparent)]
    Structure(#[from] StructureError),
    /// A value is for or from another party.
    #[error("{name} is {found}, not {expected}; correct the address at the identity provider or in the configuration")]
    Mismatch {
        /// The element or attribute.
        name: &'static str,
        /// The value in the response.
        found: Excerpt,
        /// The configured value.
        expected: Excerpt,
    },
    /// The assertion is for other audiences.
    #[error(
        "the assertion is not for the audience {expected}; set this entity ID as the audience at the identity provider"
    )]
    Audience {
        /// The entity ID of this service.
        expected: Excerpt,
    },
    /// A condition is not known. An assertion with one is not valid (SAML core, section 2.5.1.1).
    #[error("the assertion has a condition that is not known; remove it at the identity provider")]
    UnknownCondition,
    /// The subject is not confirmed as the bearer of the assertion.
    #[error("the subject confirmation is not urn:oasis:names:tc:SAML:2.0:cm:bearer")]
    NotBearer,
    /// A time limit has passed.
    #[error("{name} has passed; check the clocks of this server and of the identity provider, and sign in again")]
    Expired {
        /// The element or attribute.
        name: &'static str,
    },
    /// An instant is in the future.
    #[error("{name} is in the future; check the clocks of this server and of the identity provider")]
    NotYetValid {
        /// The element or attribute.
        name: &'static str,
    },
    /// The person has a name that changes with each sign-in.
    #[error(
        "the NameID is transient; have the identity provider send a persistent NameID, or name the person by an attribute"
    )]
    TransientName,
    /// The response is not for the request of this browser, or for none.
    #[error("the response is for another sign-in request, or for none; begin the sign-in at this service")]
    InResponseTo,
}

/// At most 200 characters of a value, quoted and escaped.
#[derive(Clone, PartialEq, Eq)]
pub struct Excerpt(String);

impl From<&str> for Excerpt {
    fn from(value: &str) -> Self {
        Self(value.chars().take(200).collect())
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
