//! `tokenward config`: prints the effective and the default configuration.

use clap::Subcommand;

use super::{ConfigSource, output};
use crate::config::DEFAULT_FILE;

/// The subcommands of `tokenward config`.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print the effective configuration, with secrets redacted
    Print(ConfigSource),
    /// Print the default configuration with a description of each key
    Default,
}

impl ConfigCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Print(source) => output::print(format_args!("{}", toml::to_string(&source.load(None)?)?)),
            Self::Default => output::print(format_args!("{DEFAULT_FILE}")),
        }
    }
}
