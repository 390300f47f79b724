//! Application services, shared by the API, the web pages, the guard layer and the command line.
//!
//! A service applies the domain rules to the clock and the store. It does not handle HTTP requests;
//! [`webhook`] and [`webhooks`] send some, and [`mail`] sends messages. Failures are reported as [`Error`], or as
//! [`AuthError`](tokenward_guard::AuthError) if the caller cannot be authenticated.

mod actor;
pub mod audit_verify;
pub mod bootstrap;
pub mod clock_floor;
pub mod cluster;
pub mod completion;
mod denied_attempts;
pub mod directories;
pub mod directory_sync;
mod error;
pub mod events;
mod expiry_warnings;
pub mod health;
mod identities;
pub mod invites;
pub mod leaks;
pub mod list_pages;
mod login;
mod login_throttle;
pub mod mail;
pub mod openid_providers;
pub mod password;
pub mod people;
mod rate_limit;
pub mod read_budget;
pub mod scim;
pub mod sessions;
pub mod sign_in;
mod sign_in_counters;
mod token_statistics;
pub mod tokens;
pub mod webhook;
pub mod webhooks;
pub mod workspaces;

pub use actor::{Actor, Mutations};
pub use clock_floor::ClockFloor;
pub use denied_attempts::DeniedAttemptLog;
pub use directories::Directories;
pub use directory_sync::DirectorySyncs;
pub use error::{Error, Result};
pub use events::Events;
pub use expiry_warnings::ExpiryWarnings;
pub use identities::Identities;
pub use invites::Invites;
pub use leaks::Leaks;
pub use login::Login;
pub use mail::Mail;
pub use openid_providers::OpenIdProviders;
pub use people::People;
pub use read_budget::ReadBudget;
pub use scim::Scim;
pub use sessions::Sessions;
pub use sign_in::SignIn;
pub use sign_in_counters::SignInCounters;
pub use token_statistics::TokenStatistics;
pub use tokens::Tokens;
pub use webhooks::Webhooks;
pub use workspaces::Workspaces;
