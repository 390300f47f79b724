//! What the product does, whoever asks: API, pages, layer, command line.
//!
//! A service decides; it knows the rules, the clock and the store, and nothing of HTTP. What it refuses it says as
//! [`Refusal`], or, where somebody's identity is in question, as [`AuthError`](tokenward_guard::AuthError).

mod actor;
pub mod audit_verify;
pub mod bootstrap;
pub mod clock_floor;
pub mod cluster;
mod denied_attempts;
mod error;
pub mod events;
pub mod health;
pub mod leaks;
pub mod list_pages;
mod login_throttle;
pub mod password;
pub mod people;
mod rate_limit;
pub mod read_budget;
pub mod request_context;
pub mod sessions;
pub mod sign_in;
pub mod tokens;
pub mod webhook;
pub mod workspaces;

pub use actor::{Actor, Mutations};
pub use clock_floor::ClockFloor;
pub use denied_attempts::Refusals;
pub use error::{Refusal, Result};
pub use events::Events;
pub use leaks::Leaks;
pub use people::People;
pub use read_budget::Lists;
pub use sessions::Sessions;
pub use sign_in::SignIn;
pub use tokens::Tokens;
pub use workspaces::Workspaces;
