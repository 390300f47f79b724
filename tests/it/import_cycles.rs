//! Structure of the code: no files import each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::module_dependencies::{source_files, without_tests};

/// Two files that import each other are hard to read apart from each other. A submodule may use its
/// parents: they form one unit.
#[test]
fn no_files_import_each_other() {
    let files: BTreeMap<String, String> = source_files()
        .map(|(path, text)| {
            let path = path.with_extension("").to_string_lossy().replace('/', "::");
            (path.trim_end_matches("::mod").to_owned(), without_comments(&without_tests(&text)))
        })
        .collect();
    let imports: BTreeMap<&str, BTreeSet<String>> =
        files.iter().map(|(module, text)| (module.as_str(), imported_files(module, text, &files))).collect();
    let mut cycles = Vec::new();
    for module in imports.keys() {
        if let Some(path) = path_back_to(module, &imports) {
            cycles.push(path.join(" -> "));
        }
    }
    assert!(cycles.is_empty(), "{cycles:#?}");
}

/// Returns the files that a file imports, without its own parents. A re-exported item counts as the
/// file that contains it.
fn imported_files(module: &str, text: &str, files: &BTreeMap<String, String>) -> BTreeSet<String> {
    let imports = import_paths(text).into_iter().filter(|(_, is_re_export)| !is_re_export);
    let found = imports.filter_map(|(path, _)| file_of(&absolute_path(module, &path, files)?, files, 0));
    found.filter(|file| file != module && !module.starts_with(&format!("{file}::"))).collect()
}

/// Returns the path of an import from the root of the crate; `None` for other crates.
fn absolute_path(module: &str, path: &str, files: &BTreeMap<String, String>) -> Option<String> {
    if let Some(path) = path.strip_prefix("crate::") {
        return Some(path.to_owned());
    }
    if let Some(mut path) = path.strip_prefix("super::") {
        let mut parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
        while let Some(rest) = path.strip_prefix("super::") {
            (path, parent) = (rest, parent.rsplit_once("::").map_or("", |(parent, _)| parent));
        }
        return Some(format!("{parent}::{path}").trim_start_matches("::").to_owned());
    }
    let child = format!("{module}::{}", path.split("::").next()?);
    files.contains_key(&child).then(|| format!("{module}::{path}"))
}

/// Returns the file that contains the item at an absolute path.
fn file_of(path: &str, files: &BTreeMap<String, String>, depth: usize) -> Option<String> {
    let mut module = path;
    while !files.contains_key(module) {
        module = module.rsplit_once("::")?.0;
    }
    let name = path[module.len()..].trim_start_matches("::").split("::").next().unwrap_or_default();
    let re_export = import_paths(&files[module])
        .into_iter()
        .find(|(path, is_re_export)| *is_re_export && !name.is_empty() && path.rsplit("::").next() == Some(name));
    let target = re_export.and_then(|(path, _)| absolute_path(module, &path, files)).filter(|_| depth < 5);
    target.and_then(|target| file_of(&target, files, depth + 1)).or_else(|| Some(module.to_owned()))
}

/// Returns the paths of all `use` items, and whether they are re-exports.
fn import_paths(text: &str) -> Vec<(String, bool)> {
    let mut paths = Vec::new();
    for item in text.split("use ").skip(1).zip(text.split("use ")) {
        let (rest, before) = item;
        let Some(tree) = rest.split(';').next() else { continue };
        let line = before.rsplit('\n').next().unwrap_or_default().trim_start();
        if line.is_empty() || line.starts_with("pub") {
            let tree: String = tree.split_whitespace().collect::<Vec<_>>().join(" ");
            expand(&tree, "", &mut |path| paths.push((path, line.starts_with("pub"))));
        }
    }
    paths
}

/// Calls `add` with each path of a `use` tree.
fn expand(tree: &str, prefix: &str, add: &mut impl FnMut(String)) {
    let tree = tree.trim();
    let Some((head, group)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        if !path.is_empty() {
            add(format!("{prefix}{path}").trim_end_matches("::self").to_owned());
        }
        return;
    };
    let (mut depth, mut start) = (0, 0);
    let group = &group[..group.rfind('}').unwrap_or(group.len())];
    for (at, c) in group.char_indices().chain([(group.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&group[start..at], &format!("{prefix}{head}"), add);
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// Returns the shortest chain of imports from a module back to itself.
fn path_back_to(start: &str, imports: &BTreeMap<&str, BTreeSet<String>>) -> Option<Vec<String>> {
    let mut paths = vec![vec![start.to_owned()]];
    let mut seen = BTreeSet::new();
    while !paths.is_empty() {
        let mut longer = Vec::new();
        for path in paths {
            for next in imports.get(path.last()?.as_str()).into_iter().flatten() {
                let mut path = path.clone();
                path.push(next.clone());
                if next == start {
                    return Some(path);
                }
                if seen.insert(next.clone()) {
                    longer.push(path);
                }
            }
        }
        paths = longer;
    }
    None
}

fn without_comments(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}
