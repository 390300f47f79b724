//! The `tokenward` program: parses the command line, runs it, prints what went wrong.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match tokenward::cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tokenward: {error:#}");
            ExitCode::FAILURE
        }
    }
}
