//! Names of files, modules and tests in the documentation exist.

use std::collections::BTreeSet;

use super::{code_spans, pages, root, split, texts};

/// The folders whose files the documentation names by path.
const FOLDERS: [&str; 12] = [
    "benches",
    "config",
    "deploy",
    "fuzz",
    "guard",
    "migrations",
    "oidc",
    "saml",
    "scripts",
    "src",
    "templates",
    "tests",
];

#[test]
fn every_named_file_exists() {
    let is_path = |span: &str| FOLDERS.iter().any(|folder| span.starts_with(&format!("{folder}/")));
    let is_plain = |span: &str| span.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    assert_all(|span| is_path(span) && is_plain(span), |span| root().join(span).exists());
}

#[test]
fn every_named_module_exists() {
    let modules: BTreeSet<String> = texts("src")
        .into_iter()
        .filter(|(path, _)| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|(path, _)| path.with_extension("").to_string_lossy().replace('/', "::"))
        .map(|path| path.trim_start_matches("src::").trim_end_matches("::mod").to_owned())
        .collect();
    let is_module_path = |span: &str| span.split_once("::").is_some_and(|(first, _)| modules.contains(first));
    // The last segment may be a type of the module.
    let exists = |span: &str| {
        let parent = span.rsplit_once("::").map_or(span, |(parent, _)| parent);
        let is_type = span.rsplit("::").next().is_some_and(|name| name.starts_with(char::is_uppercase));
        modules.contains(span) || (is_type && modules.contains(parent))
    };
    assert_all(is_module_path, exists);
}

/// The security model and the cluster protocol name tests in the last column of their tables.
#[test]
fn every_named_test_exists() {
    let code: Vec<String> =
        ["src", "guard", "oidc", "saml", "tests"].into_iter().flat_map(texts).map(|(_, text)| text).collect();
    let is_test_name = |span: &str| {
        span.matches('_').count() >= 3 && span.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let is_known = |span: &str| {
        let definition = format!("fn {span}(");
        code.iter().any(|text| text.contains(&definition) || text.contains(&format!("{span} =>")))
    };
    let mut missing = BTreeSet::new();
    for (file, text) in pages().into_iter().filter(|(file, _)| file.starts_with("docs/explanation")) {
        for (line, content) in split(&text).1 {
            let cells: Vec<&str> = content.split('|').collect();
            let Some(last) = cells.iter().rev().nth(1).filter(|_| content.starts_with('|')) else { continue };
            for span in code_spans(last).filter(|span| is_test_name(span) && !is_known(span)) {
                missing.insert(format!("{}:{line}: {span}", file.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Asserts that each inline code of the selected form names something.
fn assert_all(is_selected: impl Fn(&str) -> bool, exists: impl Fn(&str) -> bool) {
    let (mut count, mut missing) = (0, Vec::new());
    for (file, text) in pages() {
        for (line, content) in split(&text).1 {
            for span in code_spans(content).filter(|span| is_selected(span)) {
                count += 1;
                if !exists(span) {
                    missing.push(format!("{}:{line}: {span}", file.display()));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(count > 0, "the documentation names nothing of this form");
}
