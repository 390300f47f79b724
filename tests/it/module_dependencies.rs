//! The dependencies between modules: which module may import which, and no import cycles between files.

use std::path::{Path, PathBuf};

/// Each module and the modules of this crate that it may import. Dependencies point down. Nothing below `http` knows HTTP.
const MAY_IMPORT: [(&str, &[&str]); 16] = [
    ("domain", &[]),
    ("store", &["domain"]),
    ("last_used", &["store", "domain"]),
    ("cache", &["last_used", "store", "domain"]),
    ("cluster", &["cache", "last_used", "store", "domain"]),
    ("service", &["cluster", "cache", "store", "domain"]),
    ("config", &["domain", "cluster", "service", "store"]),
    ("telemetry", &["config"]),
    ("app", &["config", "service", "cluster", "store", "domain"]),
    ("http", &["service", "domain", "app", "config"]),
    ("auth_check", &["http", "service", "domain", "app", "config", "metrics", "telemetry"]),
    ("api", &["auth_check", "http", "service", "domain", "app", "config"]),
    ("web", &["http", "service", "domain", "app", "config"]),
    ("metrics", &["http", "cluster", "config"]),
    ("jobs", &["app", "service", "store", "config", "domain", "telemetry"]),
    ("cli", &["api", "app", "config", "domain", "http", "service", "store", "telemetry"]),
];

/// The start-up composes all parts of the service.
const MAY_IMPORT_ALL: [&str; 2] = ["http/server.rs", "http/root.rs"];

#[test]
fn modules_import_only_what_stands_below_them() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for (module, allowed) in MAY_IMPORT {
        for file in files_of(&src, module) {
            if MAY_IMPORT_ALL.iter().any(|path| src.join(path) == file) {
                continue;
            }
            let text = std::fs::read_to_string(&file).unwrap();
            for imported in imports(&without_tests(&text)) {
                if imported != module && !allowed.contains(&imported.as_str()) {
                    wrong.push(format!("{} imports {imported}", file.strip_prefix(&src).unwrap().display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_module_stands_in_the_table() {
    let lib = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    for module in lib.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
    {
        assert!(MAY_IMPORT.iter().any(|(name, _)| *name == module), "{module}");
    }
}

/// Every source file of a module, by its path below `src`, with its text.
pub fn sources() -> impl Iterator<Item = (PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = MAY_IMPORT.iter().flat_map({
        let src = src.clone();
        move |(module, _)| files_of(&src, module)
    });
    files.map(move |file| (file.strip_prefix(&src).unwrap().to_owned(), std::fs::read_to_string(&file).unwrap()))
}

fn files_of(src: &Path, module: &str) -> Vec<PathBuf> {
    let mut files = vec![src.join(format!("{module}.rs"))];
    let mut folders = vec![src.join(module)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.retain(|file| {
        !file.ends_with("tests.rs") && file.extension().is_some_and(|ending| ending == "rs") && file.exists()
    });
    files
}

/// A source file without the items that are only compiled for tests. In formatted code an item ends where the indentation of its first
/// line comes back.
fn without_tests(text: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut kept = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim_start() != "#[cfg(test)]" {
            kept.push(line);
            continue;
        }
        let depth = indent(line);
        for line in lines.by_ref() {
            let is_attribute = line.trim_start().starts_with("#[");
            if !line.is_empty() && indent(line) == depth && !is_attribute && line.ends_with([';', '}', ',']) {
                break;
            }
        }
    }
    kept.join("\n")
}

#[test]
fn imports_behind_the_tests_are_seen() {
    let text = r"
use crate::{
    domain::{event::Act, time},
    service,
};

#[cfg(test)]
mod tests;

pub use crate::store::Store;

impl Known {
    #[cfg(test)]
    #[must_use]
    pub fn names(&self) -> usize {
        if crate::web::is_on() {
            crate::cli::count()
        }
    }

    fn other() -> crate::live::Live {}
}

#[cfg(test)]
use crate::{
    api,
    web::page,
};

// crate::telemetry is only spoken of.
#[cfg(test)]
mod more {
    use crate::server;
}

fn last() -> crate::value::Format {}
";
    assert_eq!(imports(&without_tests(text)), ["domain", "service", "store", "live", "value"]);
}

/// The modules named in `crate::name` and in `use crate::{name::.., name, ..}`.
fn imports(code: &str) -> Vec<String> {
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => found.push(word(rest)),
            Some(group) => {
                let mut depth = 0;
                let mut begins = true;
                for (n, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => begins = true,
                        c if begins && depth == 0 && c.is_alphabetic() => {
                            found.push(word(&group[n..]));
                            begins = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

/// What the image is built from is there when it is built: what the Dockerfile copies, and what the code takes in.
#[test]
fn what_the_image_is_built_from_reaches_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    let (dockerfile, ignored) = (read("Dockerfile"), read(".dockerignore"));
    let allowed: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let copied: Vec<&str> = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("COPY ").filter(|line| !line.starts_with("--from")))
        .flat_map(|line| line.split_whitespace().rev().skip(1))
        .map(|source| source.split('/').next().unwrap())
        .collect();
    for source in &copied {
        assert!(allowed.contains(source), ".dockerignore keeps {source} from the image");
    }
    for (file, text) in sources() {
        for taken in text.split("include_str!(\"").chain(text.split("include_bytes!(\"")).skip(1) {
            let path = taken.split('"').next().unwrap().trim_start_matches("../");
            let folder = path.split('/').next().unwrap();
            if root.join(path).exists() && path.contains('/') {
                let file = file.display();
                assert!(copied.contains(&folder), "{file} takes in {path}, which the Dockerfile does not copy");
            }
        }
    }
}
