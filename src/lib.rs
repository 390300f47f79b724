//! Tokenward issues API access tokens and answers who holds one.
//!
//! # The path of a request
//!
//! ```text
//! listener      server::connections   accepts whom there is room for (crowd), closes who is slow (pace)
//!  -> paths     server::path          case and one trailing slash do not matter; what is too long is refused
//!  -> checks    server::checks        /v4/auth and introspection are answered here, by delegate
//!  -> layers    server::layers        request id, whence it comes, log line, panic to 500, body limit, time limit, writes run on
//!  -> router    api, web              one route per path; whatever is not there is a 404
//!  -> doors     api::authenticate     a bearer through guard, e-mail and password through entry::doors
//!               web::origin, cookie   pages: where a form comes from, and whose session it is
//!  -> signature api::extract          Caller | Admin | PlatformAdmin | TokenCaller: who may call
//!               web::visitor          Visitor | AdminVisitor | PlatformVisitor: who may look
//!  -> handler   api::tokens ...       wire type to domain type, one call, and back; a page is a struct for its template
//!  -> service   service::tokens ...   the rule, with the clock
//!  -> live      live                  what is known of a token, while a lease says that changes are heard of
//!  -> store     store::tokens ...     one statement or one transaction, on PostgreSQL or SQLite
//!  <- error     entry::error          one table from refusal to status
//! ```
//!
//! # The modules
//!
//! Arrows point down: what stands lower knows nothing of what stands higher, and nothing below [`entry`] knows HTTP.
//!
//! - [`cli`], [`server`], [`app`], [`config`], [`telemetry`]: putting the rest together;
//! - [`api`]: the API, and the document of everything; [`delegate`]: others ask us; [`web`]: the pages;
//! - [`entry`]: what they share: who is let in, and what is answered instead;
//! - [`service`]: what the product does;
//! - [`live`]: what this process knows and the store does not yet;
//! - [`store`]: what is remembered;
//! - [`domain`]: what the words mean;
//! - [`guard`]: the tower layer, which other services use, too; it compiles alone;
//! - [`value`]: the token value.
//!
//! # Features
//!
//! `server` (default) is the service. `guard` is the layer alone, for services that bring their own verifier. `remote` adds
//! the verifier that asks a Tokenward over HTTP, `axum` the caller as a parameter of axum handlers: neither brings a database,
//! a password hash or a page.

pub mod api;
pub mod app;
pub mod auth_check;
pub mod cache;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod domain;
pub mod http;
mod jobs;
mod last_used;
mod metrics;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod web;
