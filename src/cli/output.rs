//! Standard output of commands. It may be closed early: `tokenward openapi | head -1`.

use std::{
    fmt,
    io::{self, Write as _},
};

/// The reader of standard output has ended. The command ends as well, without a failure.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("standard output is closed")]
pub struct StdoutClosed;

/// Prints to standard output.
///
/// # Errors
/// [`StdoutClosed`] if the reader has ended, otherwise the error of the operating system.
pub(super) fn print(text: fmt::Arguments<'_>) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_fmt(text).and_then(|()| out.flush()).map_err(write_error)
}

/// Prints a line to standard output.
///
/// # Errors
/// See [`print`].
pub(super) fn print_line(text: fmt::Arguments<'_>) -> anyhow::Result<()> {
    print(format_args!("{text}\n"))
}

/// Converts an error of a write to standard output.
pub(super) fn write_error(error: io::Error) -> anyhow::Error {
    if error.kind() == io::ErrorKind::BrokenPipe {
        StdoutClosed.into()
    } else {
        anyhow::Error::from(error).context("failed to write to standard output")
    }
}
