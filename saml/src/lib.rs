//! The parts of SAML 2.0 that a service provider needs for web browser sign-in.
//!
//! [`read_response`] is a strict reader of responses. It follows one rule: **the bytes whose digest
//! was verified are the only bytes that claims are read from.** A mistake in the canonicalization
//! can make a genuine response fail. It cannot make a forged one pass.
//!
//! [`read_metadata`] reads the metadata of an identity provider, [`AuthnRequest`] builds the request
//! of a sign-in, and [`ServiceProvider`] the metadata of this service.
//!
//! The crate has no I/O and no clock: the time is a parameter.
//!
//! # Example
//!
//! ```no_run
//! use std::time::SystemTime;
//! use tokenward_saml::{Assertion, Expectations, NameIdRule, read_metadata, read_response};
//!
//! # fn example(response: &[u8], metadata: &[u8], now: SystemTime, request_id: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let provider = read_metadata(metadata, None)?;
//! let expected = Expectations {
//!     keys: &provider.keys(),
//!     issuer: &provider.entity_id,
//!     audience: "https://tokens.example/saml",
//!     acs_url: "https://tokens.example/sign-in/saml/acs",
//!     name_id: NameIdRule::Stable,
//!     now,
//! };
//! // The request that this browser began, not one that the response names.
//! let assertion: Assertion = read_response(response, &expected)?.bind(request_id)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Layers of the reader
//!
//! 1. `document` parses within limits: no DTD, no processing instructions.
//! 2. `layout` finds the only assertion and the signatures.
//! 3. `signature` verifies a signature with pinned keys, and returns the digested bytes.
//! 4. `claims` reads the assertion from these bytes, and compares it with what is expected.
//!
//! docs/adr/0015-own-saml-reader.md has the reasons.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod algorithm;
mod assertion;
mod canonical;
mod certificate;
mod claims;
mod der;
mod document;
mod element;
mod encoding;
mod envelope;
mod error;
mod key;
mod layout;
mod metadata;
mod redirect;
mod request;
mod response;
mod service_provider;
mod signature;
mod signed_info;
mod time;

/// The source of the random values that blind a private key ([`AuthnRequest::signed_address`]).
pub use ring::rand::SystemRandom;

pub use algorithm::Algorithm;
pub use assertion::{Assertion, Attributes, Expectations, NameId, NameIdRule, UnboundAssertion};
pub use document::XmlError;
pub use element::StructureError;
pub use error::{Excerpt, ReadError};
pub use key::{KeyError, VerificationKey};
pub use metadata::{IdentityProvider, MetadataError, SigningCertificate, read_metadata};
pub use redirect::{RequestSigner, SignerError};
pub use request::{AuthnRequest, RequestError};
pub use response::read_response;
pub use service_provider::ServiceProvider;
pub use signature::SignatureError;
