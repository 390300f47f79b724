//! What a caller must be, besides somebody.

use super::Principal;

/// What is asked of a caller; by default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Requirements {
    pub(crate) workspace_id: Option<i64>,
    pub(crate) admin: bool,
}

impl Requirements {
    /// Whether a caller meets them all.
    pub(crate) fn are_met_by(self, caller: &Principal) -> bool {
        self.workspace_id.is_none_or(|id| id == caller.workspace_id) && (caller.is_admin || !self.admin)
    }
}
