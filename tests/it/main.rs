//! Integration tests of the service on a real PostgreSQL and a real SQLite.
//!
//! A test with `#[apply(both_databases)]` runs once with each [`Engine`](support::Engine). Most
//! tests start the service in their own process, as a [`TestApp`](support::TestApp).

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed assumption fails the test")]

mod support;

mod api;
mod auth_check;
mod cluster;
mod device;
mod directory;
mod docs;
mod import_cycles;
mod lists;
mod mail;
mod memory;
mod module_dependencies;
mod outage;
mod process;
mod resilience;
mod retention;
mod scim;
mod sso;
mod store;
mod together;
mod upgrade;
mod web;
mod webhooks;
mod workload;
