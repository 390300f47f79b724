//! The `tokenward` program: parses the command line, runs it, prints what went wrong.

use std::process::ExitCode;

use clap::Parser as _;

/// Checks are short and allocate little, from many threads: docs/performance.md has what this one gave.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match tokenward::cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tokenward: {error:#}");
            ExitCode::FAILURE
        }
    }
}
