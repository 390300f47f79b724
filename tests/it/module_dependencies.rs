//! Structure of the code: the allowed imports between modules, and the completeness of the Docker
//! build context.

use std::path::{Path, PathBuf};

/// Each module with the modules of this crate that it may import. Dependencies point down.
const ALLOWED_IMPORTS: [(&str, &[&str]); 20] = [
    ("domain", &[]),
    ("directory", &["domain"]),
    ("outbound", &[]),
    ("mail", &[]),
    ("store", &["domain"]),
    ("last_used", &["store", "domain"]),
    ("cache", &["last_used", "store", "domain"]),
    ("cluster", &["cache", "last_used", "store", "domain"]),
    ("service", &["cluster", "cache", "store", "directory", "outbound", "mail", "domain"]),
    ("config", &["domain", "directory", "mail", "cluster", "service", "store"]),
    ("telemetry", &["config", "domain"]),
    ("app", &["config", "service", "cluster", "store", "outbound", "domain"]),
    ("http", &["service", "domain", "app", "config"]),
    ("auth_check", &["http", "service", "domain", "app", "config", "telemetry"]),
    ("api", &["auth_check", "http", "service", "domain", "app", "config"]),
    ("scim", &["http", "service", "domain", "app", "config"]),
    ("web", &["http", "service", "domain", "app", "config"]),
    ("metrics", &["auth_check", "http", "service", "app", "store", "config"]),
    ("jobs", &["app", "service", "store", "config", "domain", "telemetry"]),
    ("cli", &["api", "app", "config", "directory", "domain", "http", "mail", "service", "store", "telemetry"]),
];

/// These files compose all parts of the service. No other file imports them, except the command line.
const UNRESTRICTED_FILES: [&str; 4] = ["http/pipeline.rs", "http/ports.rs", "http/routes.rs", "http/server.rs"];

#[test]
fn modules_import_only_allowed_modules() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for (module, allowed) in ALLOWED_IMPORTS {
        for file in module_files(&src, module) {
            if UNRESTRICTED_FILES.iter().any(|path| src.join(path) == file) {
                continue;
            }
            let text = std::fs::read_to_string(&file).unwrap();
            for imported in find_imports(&without_tests(&text)) {
                if imported != module && !allowed.contains(&imported.as_str()) {
                    wrong.push(format!("{} imports {imported}", file.strip_prefix(&src).unwrap().display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_table_allows_no_import_cycle() {
    for (row, (module, allowed)) in ALLOWED_IMPORTS.iter().enumerate() {
        for import in *allowed {
            let is_above = ALLOWED_IMPORTS[..row].iter().any(|(name, _)| name == import);
            assert!(is_above, "{module} may only import modules above it, not {import}");
        }
    }
}

#[test]
fn every_module_is_in_the_table() {
    let lib = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    for module in lib.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
    {
        assert!(ALLOWED_IMPORTS.iter().any(|(name, _)| *name == module), "{module}");
    }
}

/// Returns the source files of all modules: the path relative to `src`, and the text.
pub fn source_files() -> impl Iterator<Item = (PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = ALLOWED_IMPORTS.iter().flat_map({
        let src = src.clone();
        move |(module, _)| module_files(&src, module)
    });
    files.map(move |file| (file.strip_prefix(&src).unwrap().to_owned(), std::fs::read_to_string(&file).unwrap()))
}

fn module_files(src: &Path, module: &str) -> Vec<PathBuf> {
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

/// Returns a source text without the items that are only compiled for tests. In formatted code an
/// item ends at the indentation of its first line.
pub fn without_tests(text: &str) -> String {
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
fn imports_after_test_modules_are_found() {
    let text = r"
use crate::{
    domain::{event::Action, time},
    service,
};

#[cfg(test)]
mod tests;

pub use crate::store::Store;

impl Example {
    #[cfg(test)]
    #[must_use]
    pub fn names(&self) -> usize {
        if crate::web::is_on() {
            crate::cli::count()
        }
    }

    fn other() -> crate::cache::TokenCache {}
}

#[cfg(test)]
use crate::{
    api,
    web::page,
};

// crate::telemetry is only mentioned in a comment.
#[cfg(test)]
mod more {
    use crate::http;
}

fn last() -> crate::config::Config {}
";
    assert_eq!(find_imports(&without_tests(text)), ["domain", "service", "store", "cache", "config"]);
}

/// Returns the modules named in `crate::name` and `use crate::{name::.., name, ..}`.
fn find_imports(code: &str) -> Vec<String> {
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

/// The Docker build context contains everything that the Dockerfile copies and that the code
/// includes.
#[test]
fn the_docker_build_context_is_complete() {
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
        assert!(allowed.contains(source), ".dockerignore excludes {source}, which the Dockerfile copies");
    }
    for (file, text) in source_files() {
        for taken in text.split("include_str!(\"").chain(text.split("include_bytes!(\"")).skip(1) {
            let path = taken.split('"').next().unwrap().trim_start_matches("../");
            let folder = path.split('/').next().unwrap();
            if root.join(path).exists() && path.contains('/') {
                let file = file.display();
                assert!(copied.contains(&folder), "{file} includes {path}, which the Dockerfile does not copy");
            }
        }
    }
}
