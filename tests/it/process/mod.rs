//! The program as a process: the server, its connections, signals and log, and the other commands.

mod audit;
mod command_socket;
mod commands;
mod configuration;
mod deployment;
mod files;
mod find_unused_tokens;
mod first_start;
mod generated_clients;
mod hosts;
mod how_to;
mod log;
mod login;
mod metrics;
mod opening;
mod output;
mod public_url;
mod readers;
mod scim;
mod secrets;
mod serve;
mod slow;
mod sso;
mod status;
mod third_party;
mod tutorial;
