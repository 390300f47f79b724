#![doc = include_str!("../README.md")]
//!
//! # Behind a proxy
//!
//! The layer sees the `Authorization` header that reaches it. A proxy that writes its own `Authorization` header decides who calls.

#![warn(missing_docs)]

mod bearer;
mod error;
#[cfg(feature = "axum")]
mod extract;
mod identity;
mod layer;
mod rejection;
#[cfg(feature = "remote")]
mod remote;
mod requirements;
mod scopes;
mod service;
pub mod token_format;

pub use bearer::{BasicCredential, Credential, MalformedHeader};
pub use error::{AuthError, DenialReason};
#[cfg(feature = "axum")]
pub use extract::Caller;
pub use identity::{Identity, Principal, TokenInfo, Verify};
pub use layer::GuardLayer;
pub use rejection::{challenge, json_rejection};
#[cfg(feature = "remote")]
pub use remote::{RemoteVerifier, RemoteVerifierBuilder, RemoteVerifierError, VerifierEvent};
pub use requirements::{Requirements, UnmetRequirement};
pub use scopes::Scopes;
pub use service::Guard;
pub use token_format::BearerToken;
