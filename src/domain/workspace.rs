//! Workspaces: the units that people, tokens and settings belong to.

use unicode_normalization::UnicodeNormalization as _;

use super::{ValidationError, id::WorkspaceId, text_rules, time::Timestamp};

/// A workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    pub id: WorkspaceId,
    pub name: String,
    pub created_at: Timestamp,
}

/// A workspace's name: one line, 1 to 255 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceName(String);

impl WorkspaceName {
    /// The maximum length, in Unicode scalar values.
    pub const MAX_CHARS: usize = 255;

    /// Parses a name. Trims it and converts it to NFC.
    ///
    /// # Errors
    /// [`ValidationError::Empty`] for an empty name, [`ValidationError::TooLong`] over
    /// [`WorkspaceName::MAX_CHARS`], [`ValidationError::ForbiddenCharacter`] for control
    /// characters, line breaks and overrides of the writing direction.
    pub fn parse(text: &str) -> Result<Self, ValidationError> {
        let text: String = text.trim().nfc().collect();
        text_rules::validate_single_line("name", &text, Self::MAX_CHARS)?;
        if text.is_empty() {
            return Err(ValidationError::Empty { field: "name" });
        }
        Ok(Self(text))
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
