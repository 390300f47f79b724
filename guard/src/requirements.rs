//! The requirements that an authenticated caller must meet.

use crate::Principal;

/// Requirements on a caller; empty by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requirements {
    /// The caller belongs to this workspace.
    pub workspace_id: Option<i64>,
    /// The caller administers their workspace.
    pub admin: bool,
}

impl Requirements {
    /// Returns `true` if the caller meets all requirements.
    #[must_use]
    pub fn are_met_by(self, caller: &Principal) -> bool {
        self.workspace_id.is_none_or(|id| id == caller.workspace_id) && (caller.is_admin || !self.admin)
    }
}
