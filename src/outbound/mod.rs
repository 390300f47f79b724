//! HTTP requests to addresses that users of the service choose.
//!
//! A user who can name a URL must not reach the network behind the service with it. [`OutboundClient`]
//! therefore resolves names itself and connects only to the addresses that its [`AddressPolicy`]
//! allows: the address that was checked is the one that is connected to, so a name that changes its
//! address in between gains nothing. It uses no proxy and follows no redirect.

mod address;
mod client;
mod resolver;
mod url;

pub use address::{AddressPolicy, AddressRejection};
pub use client::{OutboundClient, OutboundError, OutboundRequest};
pub use resolver::Lookup;
pub use url::{InvalidOutboundUrl, OutboundUrl};
