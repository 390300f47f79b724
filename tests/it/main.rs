//! The service, tested as a whole on a real PostgreSQL and a real SQLite.
//!
//! A test is one function that takes a [`TestApp`](support::TestApp); [`on_both!`](support) runs each of them on both
//! databases. A function that is not in such a list is dead code, and the lint says so.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

#[macro_use]
mod support;

mod api;
mod auth_check;
mod cluster;
mod lists;
mod memory;
mod module_dependencies;
mod outage;
mod process;
mod resilience;
mod retention;
mod store;
mod together;
mod upgrade;
mod web;
