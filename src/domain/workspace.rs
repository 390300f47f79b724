//! Workspaces: where people, tokens and settings belong.

use unicode_normalization::UnicodeNormalization as _;

use super::{Invalid, text_rules, time::Timestamp};

/// The workspace that the first start makes; its platform administrators manage the others.
pub const FIRST: i64 = 1;

/// A workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    pub id: i64,
    pub name: String,
    pub created_at: Timestamp,
}

/// A workspace's name: one line, 1 to 255 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceName(String);

impl WorkspaceName {
    /// The most characters a name has.
    pub const MAX_CHARS: usize = 255;

    /// Takes a name, trimmed and in NFC.
    ///
    /// # Errors
    /// [`Invalid::Empty`], [`Invalid::TooLong`] or [`Invalid::Control`].
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let text: String = text.trim().nfc().collect();
        text_rules::one_line("name", &text, Self::MAX_CHARS)?;
        if text.is_empty() {
            return Err(Invalid::Empty { field: "name" });
        }
        Ok(Self(text))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
