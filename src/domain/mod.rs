//! The domain: types and rules for tokens, people, workspaces, settings, passwords and time,
//! without input or output.
//!
//! A value of these types is valid: an [`Email`](person::Email) is a well-formed address, a
//! [`Lifetime`](token::Lifetime) is in range. A rule rejects other input with a
//! [`ValidationError`], whose message states what is accepted.

pub mod allow_rule;
pub mod audit_chain;
pub mod authority;
pub mod barrier_wait;
pub mod causes;
pub mod device_authorization;
pub mod directory;
pub mod directory_attempts;
pub mod directory_sync;
pub mod draft_key;
pub mod event;
pub mod event_json;
pub mod expiry_warning;
pub mod external_identity;
pub mod id;
pub mod invalidation;
pub mod ip_network;
pub mod login_failures;
pub mod mail;
pub mod password;
pub mod password_link;
pub mod person;
pub mod random;
pub mod rate_limit;
pub mod reaffirmation;
pub mod scim;
pub mod scope_catalog;
pub mod service_account;
pub mod session;
pub mod setting;
pub mod setting_conflict;
pub mod sign_in_flow;
pub mod source;
pub(crate) mod text_rules;
pub mod time;
pub mod token;
pub mod token_filter;
pub mod token_limits;
pub mod token_query;
pub mod token_use;
pub mod trust_rule;
pub mod validation;
pub mod webhook;
pub mod workspace;

pub use validation::ValidationError;
