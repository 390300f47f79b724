//! The source of each configuration value, for error messages and `tokenward config print`.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use toml::de::{DeTable, DeValue};

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
            let preceding = document.get(..name.span().start).unwrap_or_default();
            let line = preceding.matches('\n').count() + 1;
            let source = Source::File { path: path.to_owned(), line };
            if let DeValue::Table(table) = value.get_ref() {
                self.add_table(path, document, &format!("{key}."), table);
                self.sections.insert(key, source);
            } else {
                self.set(&key, source);
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
        let section = || self.sections.get(key).cloned().unwrap_or(Source::Default);
        let source = Some(self.find(key)).filter(|source| *source != Source::Default).unwrap_or_else(section);
        if source == Source::Default { String::new() } else { format!("{source}: ") }
    }
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
}
