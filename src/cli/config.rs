//! `tokenward config`: what holds, and what could be said.

use clap::Subcommand;

use super::{Source, output};
use crate::config::DEFAULT_FILE;

/// What can be printed.
#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Print the configuration in force, with secrets hidden
    Print(Source),
    /// Print the default configuration, with every key explained
    Default,
}

impl Config {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Print(source) => output::print(format_args!("{}", toml::to_string(&source.load(None)?)?)),
            Self::Default => output::print(format_args!("{DEFAULT_FILE}")),
        }
    }
}
