//! What the product does, whoever asks: API, pages, layer, command line.
//!
//! A service decides; it knows the rules, the clock and the store, and nothing of HTTP. What it refuses it says as
//! [`Refusal`], or, where somebody's identity is in question, as [`Denied`](crate::guard::Denied).

mod act;
mod error;
pub mod events;
pub mod health;
pub mod password;
pub mod people;
pub mod sessions;
pub mod set_up;
pub mod sign_in;
mod throttle;
pub mod tokens;
pub mod workspaces;

pub use error::{Refusal, Result};
pub use events::Events;
pub use people::People;
pub use sessions::Sessions;
pub use sign_in::SignIn;
pub use tokens::Tokens;
pub use workspaces::Workspaces;
