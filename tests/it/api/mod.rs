//! Tests of the HTTP API. Files named after a resource test its operations, the others a topic
//! across operations.

mod access_matrix;
mod audit_log;
mod bodies;
mod child_tokens;
mod credentials;
mod disconnects;
mod documents;
mod emails;
mod events;
mod hashing;
mod invites;
mod leaks;
mod limits;
mod login_throttle;
mod people;
mod queries;
mod removal;
mod renewal;
mod scope_catalog;
mod service_accounts;
mod setting_preview;
mod settings;
mod sources;
mod stale_credentials;
mod texts;
mod token_limits;
mod token_networks;
mod tokens;
mod webhooks;
mod wire_format;
mod workspaces;
