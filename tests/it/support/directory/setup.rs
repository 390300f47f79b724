//! The configuration of a running directory.

use std::{fs::OpenOptions, io::Write as _, os::unix::fs::OpenOptionsExt as _};

use toml::{Table, Value};

use super::{Flavor, TestDirectory, password_of};

/// The configuration of `[sso.NAME]` for a test directory. It has what is required; tests add other
/// keys and the allow rules.
pub struct DirectorySetup {
    provider: String,
    keys: Table,
    allow: Vec<Value>,
}

impl DirectorySetup {
    /// Describes the directory as the provider of this name. Writes the file with the password of
    /// the searching account beside the data of the directory.
    pub fn new(provider: &str, directory: &TestDirectory) -> Self {
        let password_file = directory.folder.join("bind-password");
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&password_file);
        writeln!(file.as_mut().unwrap(), "{}", password_of("search")).unwrap();
        let kind = match directory.flavor {
            Flavor::Slapd => "openldap",
            Flavor::Samba => "active-directory",
        };
        let setup = Self { provider: provider.to_owned(), keys: Table::new(), allow: Vec::new() };
        setup
            .key("kind", kind)
            .key("url", directory.url.as_str())
            .key("ca_file", directory.ca_file().to_str().unwrap())
            .key("bind", directory.bind.as_str())
            .key("bind_password_file", password_file.to_str().unwrap())
            .key("base", directory.flavor.base())
    }

    /// Sets a key, for example `url` to a list of servers.
    pub fn key(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.keys.insert(name.to_owned(), value.into());
        self
    }

    /// Adds an allow rule: the DN of a group, and its other keys.
    pub fn allow<const N: usize>(mut self, group: &str, keys: [(&str, Value); N]) -> Self {
        let mut rule: Table = keys.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
        rule.insert("group".to_owned(), group.into());
        self.allow.push(rule.into());
        self
    }

    /// Returns the text for the configuration file. It ends with a table: keys of the top level come
    /// before it.
    pub fn to_toml(&self) -> String {
        let mut provider = self.keys.clone();
        if !self.allow.is_empty() {
            provider.insert("allow".to_owned(), self.allow.clone().into());
        }
        let providers = Table::from_iter([(self.provider.clone(), provider.into())]);
        toml::to_string(&Table::from_iter([("sso".to_owned(), Value::Table(providers))])).unwrap()
    }
}
