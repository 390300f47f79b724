//! The OpenID Connect relying party of Tokenward: discovery, keys, the authorization request, the
//! code exchange, and the verification of ID tokens and logout tokens.
//!
//! A sign-in has two steps. [`Client::authorization_url`] returns the URL to which the browser is
//! sent, and [`Client::redeem`] exchanges the code of the callback for [`IdentityClaims`]. The
//! [`Flow`] connects the steps; the caller stores it in between and deletes it by its use.
//!
//! [`IssuerKeys`] verifies JWTs of any trusted issuer.
//!
//! The crate has no database, no pages and no clock of its own for the validity of tokens: the time
//! is an argument. It never connects before it is needed, so a provider that is unavailable does not
//! keep the service from starting.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod addresses;
mod cache;
mod claims;
mod client;
mod crypto;
mod error;
mod fetch;
mod flow;
mod identity;
mod issuer_keys;
mod jwk;
mod jwt;
mod logout;
mod metadata;
mod provider;
mod secret;
mod settings;
mod tls;
mod token_endpoint;
mod unique_json;

#[cfg(test)]
mod tests;

pub use addresses::AddressRule;
pub use client::Client;
pub use error::{Denial, Endpoint, Error, Unavailable, UnavailableCause};
pub use flow::{Flow, InvalidFlow, Prompt};
pub use identity::{Groups, IdentityClaims};
pub use issuer_keys::{Expected, IssuerKeys};
pub use logout::LogoutClaims;
pub use secret::Secret;
pub use settings::{ClientSettings, SettingsError};
