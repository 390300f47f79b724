//! Output of commands: texts and tables. Standard output may be closed early:
//! `tokenward openapi | head -1`.

use std::{
    fmt,
    io::{self, IsTerminal as _, Write as _},
};

use clap::Args;
use serde_json::{Map, Value};
use tokio::net::unix::OwnedWriteHalf;
use zeroize::Zeroizing;

use super::socket::frame::{self, Kind};
use crate::domain::text_rules;

/// The reader of standard output has ended. The command ends as well, without a failure.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("standard output is closed")]
pub struct StdoutClosed;

/// The output of a command on the store: to this process, or to the client on the command socket.
/// Texts are buffered until [`Output::flush`], because a printed token value is a secret that is
/// zeroized afterwards.
pub(super) struct Output {
    target: Target,
    is_terminal: bool,
    text: Zeroizing<Vec<u8>>,
    /// Lines for people, which go to standard error.
    notices: Vec<u8>,
}

enum Target {
    Process,
    Client(OwnedWriteHalf),
}

impl Output {
    /// Creates the output to standard output and standard error of this process.
    pub(super) fn to_process() -> Self {
        Self::new(Target::Process, io::stdout().is_terminal())
    }

    /// Creates the output to a client. `is_terminal` is true if its standard output is a terminal.
    pub(super) fn to_client(client: OwnedWriteHalf, is_terminal: bool) -> Self {
        Self::new(Target::Client(client), is_terminal)
    }

    fn new(target: Target, is_terminal: bool) -> Self {
        Self { target, is_terminal, text: Zeroizing::default(), notices: Vec::new() }
    }

    /// Adds a text for standard output.
    pub(super) fn print(&mut self, text: fmt::Arguments<'_>) {
        // A write to a vector does not fail.
        self.text.write_fmt(text).ok();
    }

    /// Adds a line for standard output.
    pub(super) fn print_line(&mut self, line: fmt::Arguments<'_>) {
        self.print(format_args!("{line}\n"));
    }

    /// Adds a line for people. They are written before the text.
    pub(super) fn notice(&mut self, line: fmt::Arguments<'_>) {
        writeln!(self.notices, "{line}").ok();
    }

    /// Writes everything that was added.
    ///
    /// # Errors
    /// [`StdoutClosed`] if the reader has ended, otherwise the error of the operating system.
    pub(super) async fn flush(&mut self) -> anyhow::Result<()> {
        let (notices, text) = (std::mem::take(&mut self.notices), std::mem::take(&mut self.text));
        match &mut self.target {
            Target::Process => {
                write_stderr(&notices);
                write_stdout(&text)
            }
            Target::Client(client) => {
                let written = async {
                    frame::write(client, Kind::Notice, &notices).await?;
                    frame::write(client, Kind::Output, &text).await
                };
                written.await.map_err(|_| StdoutClosed.into())
            }
        }
    }

    /// Ends the response to a client. A client that has gone is ignored: the command is finished.
    pub(super) async fn finish(mut self, failure: Option<&str>) {
        if let Target::Client(client) = &mut self.target {
            let (kind, text) = failure.map_or((Kind::Success, ""), |text| (Kind::Failure, text));
            frame::write(client, kind, text.as_bytes()).await.ok();
        }
    }
}

/// The option of commands that print rows or one result.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct ListOptions {
    /// Print JSON instead of text
    #[arg(long)]
    pub(super) json: bool,
}

/// Rows with named columns.
pub(super) struct Table {
    columns: &'static [&'static str],
    rows: Vec<Vec<Value>>,
}

impl Table {
    pub(super) const fn new(columns: &'static [&'static str]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row with a value for each column.
    pub(super) fn push<const N: usize>(&mut self, row: [Value; N]) {
        self.rows.push(row.into());
    }

    /// Prints the table: as JSON if the option is set, with aligned columns on a terminal, and
    /// otherwise with tabs, for other programs.
    pub(super) fn print(&self, options: ListOptions, output: &mut Output) {
        if options.json {
            let rows: Vec<Value> = self.rows.iter().map(|row| Value::Object(self.object(row))).collect();
            output.print_line(format_args!("{:#}", Value::Array(rows)));
        } else {
            output.print(format_args!("{}", self.text(output.is_terminal)));
        }
    }

    /// Prints a table with one row as a list of its columns. Columns without a value are part of
    /// the JSON object only.
    pub(super) fn print_single(&self, options: ListOptions, output: &mut Output) {
        let row = self.rows.first().map_or(&[][..], Vec::as_slice);
        if options.json {
            return output.print_line(format_args!("{:#}", Value::Object(self.object(row))));
        }
        let width = self.columns.iter().map(|column| column.len()).max().unwrap_or_default();
        for (column, value) in self.columns.iter().zip(row).filter(|(_, value)| !value.is_null()) {
            output.print_line(format_args!("{column:width$}  {}", cell(value)));
        }
    }

    fn object(&self, row: &[Value]) -> Map<String, Value> {
        self.columns.iter().map(ToString::to_string).zip(row.iter().cloned()).collect()
    }

    fn text(&self, is_aligned: bool) -> String {
        let header = self.columns.iter().map(ToString::to_string).collect();
        let rows = self.rows.iter().map(|row| row.iter().map(cell).collect());
        let lines: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<usize> =
            (0..self.columns.len()).map(|column| if is_aligned { width(column) } else { 0 }).collect();
        let separator = if is_aligned { "  " } else { "\t" };
        let mut text = String::new();
        for line in &lines {
            let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            text.push_str(cells.collect::<Vec<_>>().join(separator).trim_end_matches(' '));
            text.push('\n');
        }
        text
    }
}

/// Replaces control characters and overrides of the writing direction, which could change what a terminal
/// shows.
pub(super) fn printable(text: &str) -> String {
    text.replace(text_rules::is_forbidden, " ")
}

/// Returns the text of a value in a table.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => printable(text),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => fields.values().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// Prints to standard output of this process.
///
/// # Errors
/// See [`write_stdout`].
pub(super) fn print(text: fmt::Arguments<'_>) -> anyhow::Result<()> {
    write_stdout(text.to_string().as_bytes())
}

/// Writes to standard output of this process.
///
/// # Errors
/// [`StdoutClosed`] if the reader has ended, otherwise the error of the operating system.
pub(super) fn write_stdout(text: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text).and_then(|()| out.flush()).map_err(write_error)
}

/// Writes to standard error of this process. Write errors are ignored, as in the log.
pub(super) fn write_stderr(text: &[u8]) {
    io::stderr().write_all(text).ok();
}

/// Prints a line to standard output of this process.
///
/// # Errors
/// See [`write_stdout`].
pub(super) fn print_line(text: fmt::Arguments<'_>) -> anyhow::Result<()> {
    print(format_args!("{text}\n"))
}

/// Converts an error of a write to standard output.
fn write_error(error: io::Error) -> anyhow::Error {
    if error.kind() == io::ErrorKind::BrokenPipe {
        StdoutClosed.into()
    } else {
        anyhow::Error::from(error).context("failed to write to standard output")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_aligned_on_a_terminal_and_tabs_elsewhere() {
        let mut table = Table::new(&["id", "email", "tokenAccess"]);
        table.push([json!(1), json!("ada@example.com"), json!("default")]);
        table.push([json!(20), json!("eve\u{1b}[31m"), Value::Null]);
        assert_eq!(table.text(true), "id  email            tokenAccess\n1   ada@example.com  default\n20  eve [31m\n");
        assert_eq!(table.text(false), "id\temail\ttokenAccess\n1\tada@example.com\tdefault\n20\teve [31m\t\n");
    }
}
