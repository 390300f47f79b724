//! The documentation agrees with the program, its links resolve, and its language follows the rules.

mod code_names;
mod commands;
mod identity_providers;
mod links;
mod reference;
mod words;

use std::path::{Path, PathBuf};

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the text files below a folder of the repository by their path from the root, in order. Build output, installed packages
/// and hidden folders are left out.
fn texts(folder: &str) -> Vec<(PathBuf, String)> {
    let mut paths = Vec::new();
    add_files(&root().join(folder), &mut paths);
    paths.sort();
    let mut texts = Vec::new();
    for path in paths {
        // A file that is not UTF-8 is not text.
        if let Ok(text) = std::fs::read_to_string(&path) {
            texts.push((path.strip_prefix(root()).unwrap().to_owned(), text));
        }
    }
    texts
}

fn add_files(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_skipped = name.starts_with('.') || name == "target" || name == "node_modules";
        if path.is_dir() && !is_skipped {
            add_files(&path, paths);
        } else if path.is_file() {
            paths.push(path);
        }
    }
}

/// Returns the Markdown files of the root, of `docs`, of `guard` and of `saml`.
fn pages() -> Vec<(PathBuf, String)> {
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(root()).unwrap() {
        let path = entry.unwrap().path();
        if is_markdown(&path) {
            let text = std::fs::read_to_string(&path).unwrap();
            pages.push((path.strip_prefix(root()).unwrap().to_owned(), text));
        }
    }
    let below = ["docs", "guard", "saml"].into_iter().flat_map(texts);
    pages.extend(below.filter(|(path, _)| is_markdown(path)));
    pages
}

fn is_markdown(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

/// A fenced block of a page.
struct Fence {
    language: String,
    /// The line of the opening fence, from 1 on.
    line: usize,
    text: String,
}

/// Splits a page into its fenced blocks and the other lines with their numbers.
fn split(text: &str) -> (Vec<Fence>, Vec<(usize, &str)>) {
    let mut fences = Vec::new();
    let mut others = Vec::new();
    let mut open: Option<Fence> = None;
    for (line, content) in (1..).zip(text.lines()) {
        let mark = content.trim_start().strip_prefix("```");
        match (open.take(), mark) {
            (Some(fence), Some(_)) => fences.push(fence),
            (Some(mut fence), None) => {
                fence.text.push_str(content);
                fence.text.push('\n');
                open = Some(fence);
            }
            (None, Some(language)) => {
                let language = language.split_whitespace().next().unwrap_or_default().to_owned();
                open = Some(Fence { language, line, text: String::new() });
            }
            (None, None) => others.push((line, content)),
        }
    }
    fences.extend(open);
    (fences, others)
}

/// Returns the inline code of a line.
fn code_spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// A command of the program.
struct Command {
    /// The words after `tokenward`.
    path: Vec<String>,
    /// The output of `--help`.
    help: String,
}

/// Returns the program itself and all its commands, each before its subcommands.
fn commands() -> Vec<Command> {
    let mut found = Vec::new();
    add_command(&[], &mut found);
    found
}

fn add_command(path: &[String], found: &mut Vec<Command>) {
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_tokenward"));
    // The help is wrapped to this width where no terminal gives another.
    let output = program.args(path).arg("--help").env("COLUMNS", "100").env("LINES", "50").output().unwrap();
    assert!(output.status.success(), "tokenward {} --help failed", path.join(" "));
    let help = String::from_utf8(output.stdout).unwrap();
    let names = subcommands(&help);
    found.push(Command { path: path.to_vec(), help });
    for name in names {
        let mut path = path.to_vec();
        path.push(name);
        add_command(&path, found);
    }
}

/// Returns the names in the list of commands of a help text.
fn subcommands(help: &str) -> Vec<String> {
    let list = help.split("\nCommands:\n").nth(1).unwrap_or_default();
    let lines = list.lines().take_while(|line| !line.is_empty());
    // Further lines of a description are indented more.
    let entries = lines.filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    let names = entries.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}
