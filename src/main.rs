//! The `tokenward` program: parses the command line, runs the command and prints errors.

use std::process::ExitCode;

use tokenward::{
    cli::{Cli, StdoutClosed},
    telemetry,
};

/// Keeps memory bounded after many password hashes; docs/explanation/performance.md has the
/// measurement.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse_arguments().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<StdoutClosed>() => ExitCode::SUCCESS,
        Err(error) => {
            telemetry::report_failure(&error);
            ExitCode::FAILURE
        }
    }
}
