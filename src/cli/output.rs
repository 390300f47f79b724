//! Standard output of commands, which may be closed before all of it is written: `tokenward openapi | head -1`.

use std::{
    fmt,
    io::{self, Write as _},
};

/// The program that reads standard output has ended. The command ends, too; nothing went wrong.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("standard output is closed")]
pub struct Closed;

/// Prints to standard output.
///
/// # Errors
/// [`Closed`], or what the operating system says.
pub(super) fn print(text: fmt::Arguments<'_>) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_fmt(text).and_then(|()| out.flush()).map_err(explain)
}

/// Prints a line to standard output.
///
/// # Errors
/// See [`print`].
pub(super) fn line(text: fmt::Arguments<'_>) -> anyhow::Result<()> {
    print(format_args!("{text}\n"))
}

/// The error of a write to standard output.
pub(super) fn explain(error: io::Error) -> anyhow::Error {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Closed.into()
    } else {
        anyhow::Error::from(error).context("cannot write to standard output")
    }
}
