//! One file per URL and verb.

mod authority;
mod bodies;
mod credentials;
mod documents;
mod emails;
mod events;
mod hashing;
mod leaks;
mod limits;
mod lineage;
mod people;
mod queries;
mod removal;
mod rights;
mod settings;
mod sources;
mod texts;
mod throttle;
mod tokens;
mod trail;
mod wire;
mod workspaces;
