//! The source of each configuration value, for error messages and `tokenward config print`.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use toml::de::{DeArray, DeTable, DeValue};

/// The place that sets a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Default,
    File { path: PathBuf, line: usize },
    Variable(String),
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "option {name}"),
        }
    }
}

/// The sources of all values that are set.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    values: BTreeMap<String, Source>,
    /// The sections that a file opens. They are no source of the keys that the file does not set.
    sections: BTreeMap<String, Source>,
}

impl Sources {
    /// Records the source of a key. It replaces an earlier one, as its value does.
    pub(super) fn set(&mut self, key: &str, source: Source) {
        // A list replaces an earlier one with its elements.
        let is_element = |known: &str| {
            known
                .strip_prefix(key)
                .and_then(|rest| rest.strip_prefix('.'))
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        self.values.retain(|known, _| !is_element(known));
        self.sections.retain(|known, _| !is_element(known));
        self.values.insert(key.to_owned(), source);
    }

    /// Records the lines of all keys of a TOML document.
    pub(super) fn set_file(&mut self, path: &Path, document: &str) {
        // The syntax was checked before.
        if let Ok(table) = DeTable::parse(document) {
            self.add_table(path, document, "", table.get_ref());
        }
    }

    fn add_table(&mut self, path: &Path, document: &str, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = format!("{prefix}{}", name.get_ref());
            let source = file_source(path, document, name.span().start);
            match value.get_ref() {
                DeValue::Table(table) => {
                    self.add_table(path, document, &format!("{key}."), table);
                    self.sections.insert(key, source);
                }
                DeValue::Array(list) => {
                    self.set(&key, source);
                    self.add_list(path, document, &key, list);
                }
                _ => self.set(&key, source),
            }
        }
    }

    /// Records the lines of sections such as `[[sso.company.allow]]`.
    fn add_list(&mut self, path: &Path, document: &str, key: &str, list: &DeArray<'_>) {
        for (index, element) in list.iter().enumerate() {
            if let DeValue::Table(table) = element.get_ref() {
                let key = format!("{key}.{index}");
                self.add_table(path, document, &format!("{key}."), table);
                self.sections.insert(key, file_source(path, document, element.span().start));
            }
        }
    }

    /// Returns the source of a value. A list is the source of its elements.
    #[must_use]
    pub fn find(&self, key: &str) -> Source {
        let mut prefix = key;
        loop {
            if let Some(source) = self.values.get(prefix) {
                return source.clone();
            }
            match prefix.rsplit_once('.') {
                // The file opens the section, and does not set the key.
                _ if prefix != key && self.sections.contains_key(prefix) => return Source::Default,
                Some((parent, _)) => prefix = parent,
                None => return Source::Default,
            }
        }
    }

    /// Returns the environment variable that sets a key or a key below it.
    pub(super) fn variable_below(&self, key: &str) -> Option<&str> {
        let is_below =
            |known: &str| known.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        self.values.iter().find_map(|(known, source)| match source {
            Source::Variable(name) if is_below(known) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Returns the names of the variables and flags that set a value, each once.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for source in self.values.values() {
            let name = match source {
                Source::Variable(name) => name.clone(),
                Source::Flag(name) => (*name).to_owned(),
                Source::Default | Source::File { .. } => continue,
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Returns a prefix for an error message about a key: the place that sets it, and a colon.
    /// Empty for a default.
    pub(super) fn location(&self, key: &str) -> String {
        let exact = self.values.get(key).or_else(|| self.sections.get(key));
        let source = exact.cloned().unwrap_or_else(|| self.find(key));
        if source == Source::Default { String::new() } else { format!("{source}: ") }
    }
}

/// Returns the place of a position in a file.
fn file_source(path: &Path, document: &str, position: usize) -> Source {
    let preceding = document.get(..position).unwrap_or_default();
    Source::File { path: path.to_owned(), line: preceding.matches('\n').count() + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_a_file_has_the_number_of_its_line() {
        let mut sources = Sources::default();
        let document = "# comment\n[listen]\nhttp = \"127.0.0.1:1\"\n\n[passwords.argon2]\nmemory_kib = 64\n";
        sources.set_file(Path::new("x.toml"), document);
        sources.set("listen.http", Source::Flag("--listen"));
        assert_eq!(sources.find("passwords.argon2.memory_kib").to_string(), "x.toml, line 6");
        assert_eq!(sources.location("listen.http"), "option --listen: ");
        assert_eq!(sources.find("public_url"), Source::Default);
        assert_eq!(sources.find("listen.metrics"), Source::Default);
        assert_eq!(sources.location("listen"), "x.toml, line 2: ");
        assert_eq!(sources.names(), ["--listen"]);
    }

    #[test]
    fn each_section_of_a_list_has_its_own_lines() {
        let mut sources = Sources::default();
        let document = "[sso.a]\nkind = \"x\"\n\n[[sso.a.allow]]\ngroup = \"1\"\n\n[[sso.a.allow]]\nworkspace = 1\n";
        sources.set_file(Path::new("x.toml"), document);
        assert_eq!(sources.location("sso.a"), "x.toml, line 1: ");
        assert_eq!(sources.location("sso.a.allow.1"), "x.toml, line 7: ");
        assert_eq!(sources.find("sso.a.allow.0.group").to_string(), "x.toml, line 5");
        assert_eq!(sources.find("sso.a.allow.1.workspace").to_string(), "x.toml, line 8");
        assert_eq!(sources.find("sso.a.allow.1.group"), Source::Default);
        sources.set("sso.a.allow", Source::Flag("--allow"));
        assert_eq!(sources.find("sso.a.allow.1.workspace"), Source::Flag("--allow"));
    }
}
