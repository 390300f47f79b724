//! Auth checks: forward auth, ext_authz, introspection and revocation, and the clients of them.

mod batch;
mod client_address;
mod entry_points_agree;
mod forward_auth;
mod grpc;
mod oauth;
mod proxies;
mod random_requests;
mod remote;
mod revocation;
