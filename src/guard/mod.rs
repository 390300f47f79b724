//! A tower layer that lets a request through only with a live token.
//!
//! ```
//! use tokenward::guard::{Cause, Denied, GuardLayer, Principal, Verify};
//! use tokenward::value::Presented;
//!
//! /// Anything that can say who holds a token.
//! #[derive(Clone)]
//! struct OneToken;
//!
//! impl Verify for OneToken {
//!     async fn verify(&self, presented: Presented<'_>) -> Result<Principal, Denied> {
//!         if presented.expose() == "twd_example" {
//!             Ok(Principal::for_tests(1, "ada@example.com"))
//!         } else {
//!             Err(Denied::Invalid(Cause::UnknownToken))
//!         }
//!     }
//! }
//!
//! let layer = GuardLayer::new(OneToken);
//! # let _: GuardLayer<OneToken, http::Response<String>> = layer;
//! ```
//!
//! What the layer does with a request, in order:
//!
//! 1. removes any [`Principal`] that is already in the extensions: nobody upstream may assert one;
//! 2. reads the `Authorization` header, and nothing else, strictly ([`Credential`]);
//! 3. asks the [`Verify`] whose it is;
//! 4. puts the [`Principal`] into the extensions and calls the inner service, or refuses with [`Denied`].
//!
//! A refusal carries its [`Denied`] in the response's extensions, so that a layer outside can log the cause. A check that
//! could not be made is 503, never "invalid".
//!
//! # Deployment caveat
//! The layer sees what the server in front of it passes on. A proxy that writes its own `Authorization` decides who calls.

mod authorization;
#[cfg(feature = "axum")]
mod caller;
mod layer;
mod refusal;
#[cfg(feature = "remote")]
mod remote;
mod requirements;
mod service;
mod verify;

pub use authorization::{BasicCredential, Credential, Malformed};
#[cfg(feature = "axum")]
pub use caller::Caller;
pub use layer::GuardLayer;
#[cfg(feature = "server")]
pub(crate) use refusal::challenge;
pub use refusal::contract_refusal;
#[cfg(feature = "remote")]
pub use remote::{BadRemote, Event, RemoteVerifier, RemoteVerifierBuilder};
#[cfg(feature = "server")]
pub(crate) use requirements::Requirements;
pub use service::Guard;
pub use verify::{Cause, Denied, Holder, Principal, TokenId, TokenRef, Verify};
