//! The program as a process: the server, its connections, signals and log, and the other commands.

mod audit;
mod commands;
mod deployment;
mod files;
mod hosts;
mod log;
mod metrics;
mod output;
mod readers;
mod secrets;
mod serve;
mod slow;
mod third_party;
mod tutorial;
