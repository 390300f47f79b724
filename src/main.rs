//! The `tokenward` program: parses the command line, runs the command and prints errors.

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;
use tokenward::cli::{Cli, StdoutClosed};

/// Keeps memory bounded after many password hashes; docs/explanation/performance.md has the
/// measurement.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<StdoutClosed>() => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed as well.
            writeln!(std::io::stderr(), "tokenward: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}
