//! LDIF change records (RFC 2849) for `ldapmodify`.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// A text of change records. All values are written in base64, so that every byte is allowed.
#[derive(Default)]
pub struct Ldif(String);

impl Ldif {
    /// Begins the record of a new entry. Its attributes follow with [`value`](Self::value).
    pub fn add(&mut self, dn: &str) -> &mut Self {
        self.begin(dn, "add")
    }

    /// Begins the record of a changed entry. Its changes follow.
    pub fn modify(&mut self, dn: &str) -> &mut Self {
        self.begin(dn, "modify")
    }

    pub fn delete(&mut self, dn: &str) -> &mut Self {
        self.begin(dn, "delete")
    }

    /// Gives an entry another relative DN, and another parent if one is given.
    pub fn rename(&mut self, dn: &str, relative_dn: &str, parent: Option<&str>) -> &mut Self {
        self.begin(dn, "modrdn").value("newrdn", relative_dn).line("deleteoldrdn: 1");
        if let Some(parent) = parent {
            self.value("newsuperior", parent);
        }
        self
    }

    /// Writes one value of an attribute.
    pub fn value(&mut self, attribute: &str, value: impl AsRef<[u8]>) -> &mut Self {
        self.line(&format!("{attribute}:: {}", STANDARD.encode(value)))
    }

    pub fn replace(&mut self, attribute: &str, value: impl AsRef<[u8]>) -> &mut Self {
        self.change("replace", attribute, value)
    }

    pub fn add_value(&mut self, attribute: &str, value: impl AsRef<[u8]>) -> &mut Self {
        self.change("add", attribute, value)
    }

    pub fn delete_value(&mut self, attribute: &str, value: impl AsRef<[u8]>) -> &mut Self {
        self.change("delete", attribute, value)
    }

    /// Removes all values of an attribute.
    pub fn clear(&mut self, attribute: &str) -> &mut Self {
        self.line(&format!("replace: {attribute}")).line("-")
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn begin(&mut self, dn: &str, change: &str) -> &mut Self {
        self.line("").value("dn", dn).line(&format!("changetype: {change}"))
    }

    fn change(&mut self, kind: &str, attribute: &str, value: impl AsRef<[u8]>) -> &mut Self {
        self.line(&format!("{kind}: {attribute}")).value(attribute, value).line("-")
    }

    fn line(&mut self, line: &str) -> &mut Self {
        self.0.push_str(line);
        self.0.push('\n');
        self
    }
}
