//! Standard output of commands: texts and tables. It may be closed early:
//! `tokenward openapi | head -1`.

use std::{
    fmt,
    io::{self, IsTerminal as _, Write as _},
};

use clap::Args;
use serde_json::{Map, Value};

/// The reader of standard output has ended. The command ends as well, without a failure.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("standard output is closed")]
pub struct StdoutClosed;

/// The option of commands that list rows.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct ListOptions {
    /// Print a JSON array instead of a table
    #[arg(long)]
    json: bool,
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
    ///
    /// # Errors
    /// See [`print`].
    pub(super) fn print(&self, options: ListOptions) -> anyhow::Result<()> {
        if options.json {
            let rows: Vec<Value> = self.rows.iter().map(|row| Value::Object(self.object(row))).collect();
            return print_line(format_args!("{:#}", Value::Array(rows)));
        }
        print(format_args!("{}", self.text(io::stdout().is_terminal())))
    }

    /// Prints a table with one row as a list of its columns.
    ///
    /// # Errors
    /// See [`print`].
    pub(super) fn print_single(&self, options: ListOptions) -> anyhow::Result<()> {
        let row = self.rows.first().map_or(&[][..], Vec::as_slice);
        if options.json {
            return print_line(format_args!("{:#}", Value::Object(self.object(row))));
        }
        let width = self.columns.iter().map(|column| column.len()).max().unwrap_or_default();
        for (column, value) in self.columns.iter().zip(row) {
            print_line(format_args!("{column:width$}  {}", cell(value)))?;
        }
        Ok(())
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

/// Returns the text of a value in a table. Control characters could change what a terminal shows.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.replace(char::is_control, " "),
        other => other.to_string(),
    }
}

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
