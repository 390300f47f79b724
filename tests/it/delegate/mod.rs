//! Others ask us.

mod agreement;
mod forward_auth;
mod grpc;
mod oauth;
mod proxies;
#[cfg(feature = "remote")]
mod remote;
mod revoke;
mod soup;
