//! What the product does, whoever asks: API, pages, layer, command line.
//!
//! A service decides; it knows the rules, the clock and the store, and nothing of HTTP. What it refuses it says as
//! [`Refusal`], or, where somebody's identity is in question, as [`Denied`](crate::guard::Denied).

pub mod act;
mod actor;
pub mod audit;
mod budgets;
pub mod clock_floor;
pub mod cluster;
mod error;
pub mod events;
pub mod health;
pub mod leaks;
pub mod lists;
pub mod pages;
pub mod password;
pub mod people;
mod refusals;
pub mod sessions;
pub mod set_up;
pub mod sign_in;
mod throttle;
pub mod tokens;
pub mod webhook;
pub mod workspaces;

pub use actor::{Actor, Mutations};
pub use clock_floor::ClockFloor;
pub use error::{Refusal, Result};
pub use events::Events;
pub use leaks::Leaks;
pub use lists::Lists;
pub use people::People;
pub use refusals::Refusals;
pub use sessions::Sessions;
pub use sign_in::SignIn;
pub use tokens::Tokens;
pub use workspaces::Workspaces;
