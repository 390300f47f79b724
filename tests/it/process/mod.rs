//! The program itself: started, stopped, killed, and its commands.

mod audit;
mod commands;
mod files;
mod hosts;
mod log;
mod output;
mod readers;
mod readme;
mod secrets;
mod serve;
mod slow;
mod third_party;
