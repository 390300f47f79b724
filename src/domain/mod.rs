//! What the words mean: tokens, people, workspaces, settings, passwords, time. Rules without input or output.
//!
//! A value of these types has been checked: an [`Email`](person::Email) is one, a [`Lifetime`](token::Lifetime) is in
//! range. What a rule refuses it says as [`Invalid`], a sentence that tells the caller what to do.

pub mod authority;
pub mod budget;
pub mod chain;
pub mod event;
pub mod invalid;
pub mod list;
pub mod network;
pub mod password;
pub mod person;
pub mod session;
pub mod setting;
pub mod source;
mod text;
pub mod time;
pub mod token;
pub mod tries;
pub mod workspace;

pub use invalid::Invalid;
