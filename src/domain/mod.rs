//! What the words mean: tokens, people, workspaces, settings, passwords, time. Rules without input or output.
//!
//! A value of these types has been checked: an [`Email`](person::Email) is one, a [`Lifetime`](token::Lifetime) is in
//! range. What a rule refuses it says as [`Invalid`], a sentence that tells the caller what to do.

pub mod audit_chain;
pub mod authority;
pub mod event;
pub mod ip_network;
pub mod login_failures;
pub mod password;
pub mod person;
pub mod random;
pub mod rate_limit;
pub mod session;
pub mod setting;
pub mod source;
mod text_rules;
pub mod time;
pub mod token;
pub mod token_query;
pub mod validation;
pub mod workspace;

pub use validation::Invalid;
