//! One file per URL and verb.

mod bodies;
mod credentials;
mod documents;
mod events;
mod people;
mod settings;
mod throttle;
mod tokens;
mod wire;
mod workspaces;
