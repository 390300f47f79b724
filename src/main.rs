//! The `tokenward` program: parses the command line, runs it, prints what went wrong.

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;
use tokenward::cli::{Cli, Closed};

/// Checks are short and allocate little, from many threads: docs/performance.md has what this one gave.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Closed>() => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed, too.
            writeln!(std::io::stderr(), "tokenward: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}
