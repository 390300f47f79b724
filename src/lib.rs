//! Tokenward issues API access tokens and tells other services who a token belongs to.
//!
//! # The path of a request
//!
//! 1. [`http::server`] runs the listeners. `http::listener` accepts connections within the limits
//!    and closes slow ones.
//! 2. [`http::pipeline`] validates `Host`, normalizes the path and rejects oversized heads. It
//!    serves forward auth and introspection through [`auth_check`] without the router.
//! 3. `http::routes` runs the router of all other requests, with a span, the access log and the
//!    common headers. `http::middleware` limits the body and the time, and completes writes.
//! 4. [`http::authenticate`] authenticates API requests; pages authenticate by session cookie. The
//!    extractors in the signature of a handler state the required role.
//! 5. A handler of [`api`] or [`web`] converts the input, calls one method of [`service`] and
//!    renders the result.
//! 6. [`service`] applies the rules, with the cached tokens of [`cache`] and one statement or one
//!    transaction of [`store`]. [`cluster`] keeps the caches of all nodes coherent.
//! 7. [`http::error`] maps errors to status codes.
//!
//! docs/explanation/architecture.md has the diagrams and the reasons.
//!
//! # Modules
//!
//! - [`cli`], [`app`], [`config`], [`telemetry`] and the background jobs assemble the program.
//! - [`http`] is the front end that [`api`], [`auth_check`] and [`web`] share.
//! - [`scim`] is the front end of provisioning clients.
//! - [`service`] contains the operations of the product.
//! - [`cache`] and [`cluster`] contain the token cache and its invalidation across nodes.
//! - [`directory`] is the LDAP client for sign-in through a company's directory.
//! - [`mail`] sends messages by SMTP.
//! - [`outbound`] sends requests to addresses that users choose.
//! - [`store`] contains the SQL for PostgreSQL and SQLite.
//! - [`domain`] contains types and rules without I/O.
//!
//! The crate `tokenward-guard` contains the token format and the authentication layer, which other
//! services use as a library.

pub mod api;
pub mod app;
pub mod auth_check;
pub mod cache;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod directory;
pub mod domain;
pub mod http;
mod jobs;
mod last_used;
pub mod mail;
mod metrics;
pub mod outbound;
pub mod scim;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod web;
