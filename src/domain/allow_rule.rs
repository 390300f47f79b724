//! The rules that admit people of a directory: group to workspace, role and access to tokens.

use super::{id::WorkspaceId, person::TokenAccess};

/// Admits the members of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowRule {
    /// The distinguished name of the group, as configured.
    pub group: String,
    pub workspace_id: WorkspaceId,
    /// Members are administrators of the workspace.
    pub is_admin: bool,
    /// The access to tokens of people whom the rule creates.
    pub token_access: TokenAccess,
    /// Creates an account at the first sign-in. Otherwise only linked people may sign in.
    pub creates: bool,
}

/// The rights of a person who is admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    pub workspace_id: WorkspaceId,
    pub is_admin: bool,
    pub token_access: TokenAccess,
    pub creates: bool,
}

/// Returns what the rules grant to a member of `groups`; `None`: nothing. The first rule that applies
/// decides, except that any rule for the same workspace makes an administrator.
#[must_use]
pub fn grant(rules: &[AllowRule], groups: &[String]) -> Option<Grant> {
    let mut applicable = rules.iter().filter(|rule| groups.contains(&rule.group));
    let first = applicable.next()?;
    let is_admin = first.is_admin || applicable.any(|rule| rule.is_admin && rule.workspace_id == first.workspace_id);
    let AllowRule { workspace_id, token_access, creates, .. } = *first;
    Some(Grant { workspace_id, is_admin, token_access, creates })
}

/// Returns the rights in the workspace of an account that exists; `None`: no rule admits the person
/// there.
#[must_use]
pub fn grant_in(rules: &[AllowRule], groups: &[String], workspace_id: WorkspaceId) -> Option<Grant> {
    let of_workspace: Vec<AllowRule> = rules.iter().filter(|rule| rule.workspace_id == workspace_id).cloned().collect();
    grant(&of_workspace, groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(group: &str, workspace: i64, is_admin: bool) -> AllowRule {
        AllowRule {
            group: group.to_owned(),
            workspace_id: WorkspaceId::new(workspace),
            is_admin,
            token_access: TokenAccess::Default,
            creates: true,
        }
    }

    #[test]
    fn the_first_applicable_rule_decides_and_any_of_its_workspace_makes_an_administrator() {
        let rules = [rule("users", 1, false), rule("lab", 2, true), rule("admins", 1, true)];
        let grant = |groups: &[&str]| {
            let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
            grant(&rules, &groups).map(|grant| (grant.workspace_id.get(), grant.is_admin))
        };
        assert_eq!(grant(&[]), None);
        assert_eq!(grant(&["others"]), None);
        assert_eq!(grant(&["users"]), Some((1, false)));
        assert_eq!(grant(&["lab", "users"]), Some((1, false)));
        assert_eq!(grant(&["users", "admins"]), Some((1, true)));
        assert_eq!(grant(&["lab"]), Some((2, true)));
    }

    #[test]
    fn an_existing_account_stays_in_its_workspace() {
        let rules = [rule("users", 1, false), rule("lab", 2, true)];
        let groups = ["users".to_owned(), "lab".to_owned()];
        let admin = |workspace| grant_in(&rules, &groups, WorkspaceId::new(workspace)).map(|grant| grant.is_admin);
        assert_eq!((admin(1), admin(2), admin(3)), (Some(false), Some(true), None));
    }
}
