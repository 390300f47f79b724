//! Parsing of the command line, with the commands listed after an unknown one.

use clap::{Command, CommandFactory as _, FromArgMatches as _, Parser as _, error::ErrorKind};

use super::{Cli, store_command::StoreCommand};
use crate::telemetry::print_notice;

impl Cli {
    /// Parses the arguments of the process. Prints help, the version or an error and ends the
    /// process if they ask for it.
    #[must_use]
    pub fn parse_arguments() -> Self {
        match Self::try_parse().and_then(Self::reject_unused_listen) {
            Ok(cli) => cli,
            Err(error) => {
                let code = error.exit_code();
                // The reader of the output may have ended.
                error.print().ok();
                if error.kind() == ErrorKind::InvalidSubcommand {
                    print_notice(format_args!("\nCommands: {}", known_commands()));
                }
                std::process::exit(code)
            }
        }
    }

    /// Rejects `--listen` before a command that does not listen.
    fn reject_unused_listen(self) -> Result<Self, clap::Error> {
        let is_server = matches!(self.command, None | Some(super::Command::Serve(_)));
        if is_server || self.serve.is_empty() {
            return Ok(self);
        }
        let text = "--listen is an option of tokenward serve";
        Err(Self::command().error(ErrorKind::ArgumentConflict, text))
    }
}

/// Parses the arguments of a command on the store for the service that runs it. Returns the command
/// and its name, such as `token delete`.
///
/// # Errors
/// If the arguments name another command, or if this version does not know them.
pub(super) fn parse_store_command(arguments: Vec<String>) -> anyhow::Result<(StoreCommand, String)> {
    let program = std::iter::once("tokenward".to_owned());
    let matches = Cli::command().try_get_matches_from(program.chain(arguments))?;
    let mut name = Vec::new();
    let mut inner = &matches;
    while let Some((word, matches)) = inner.subcommand() {
        name.push(word);
        inner = matches;
    }
    let name = name.join(" ");
    match Cli::from_arg_matches(&matches)?.command {
        Some(super::Command::Store(command)) => Ok((command, name)),
        _ => anyhow::bail!("the running service does not execute tokenward {name}"),
    }
}

/// Returns the names of the commands at the place where the arguments name an unknown one.
fn known_commands() -> String {
    let mut command = Cli::command();
    for word in std::env::args_os().skip(1) {
        if let Some(found) = command.find_subcommand(&word) {
            command = found.clone();
        }
    }
    command.get_subcommands().map(Command::get_name).collect::<Vec<_>>().join(", ")
}
