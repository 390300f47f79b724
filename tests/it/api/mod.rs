//! One file per URL and verb.

mod bodies;
mod credentials;
mod documents;
mod people;
mod settings;
mod tokens;
mod wire;
mod workspaces;
