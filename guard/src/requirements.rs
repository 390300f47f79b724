//! The requirements that an authenticated caller must meet.

use crate::Principal;

/// Requirements on a caller; empty by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirements {
    /// The caller belongs to this workspace.
    pub workspace_id: Option<i64>,
    /// The caller administers their workspace, and its token has no scopes.
    pub admin: bool,
    /// The caller's token has no scopes.
    pub unrestricted: bool,
    /// The caller's token has each of these scopes, or is unrestricted.
    pub scopes: Vec<String>,
}

/// The requirement that a caller does not meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnmetRequirement {
    /// The owner of the token lacks the right: another workspace, or no administrator.
    Owner,
    /// The owner may have the right, but the token's scopes do not include it.
    Scope,
}

impl Requirements {
    /// Checks the caller. A caller without a token authenticated by password and meets every scope.
    ///
    /// # Errors
    /// The first requirement that the caller does not meet; those on the owner come first.
    pub fn check(&self, caller: &Principal) -> Result<(), UnmetRequirement> {
        if self.workspace_id.is_some_and(|id| id != caller.workspace_id) {
            return Err(UnmetRequirement::Owner);
        }
        let is_unrestricted = caller.is_unrestricted();
        if (self.admin || self.unrestricted) && !is_unrestricted {
            return Err(UnmetRequirement::Scope);
        }
        if self.admin && !caller.is_admin {
            return Err(UnmetRequirement::Owner);
        }
        if is_unrestricted || self.scopes.iter().all(|word| caller.has_scope(word)) {
            Ok(())
        } else {
            Err(UnmetRequirement::Scope)
        }
    }

    /// Returns the scopes that a token needs to meet the requirements, separated by spaces, for the attribute `scope` of a challenge
    /// (RFC 6750, section 3); `None` if only unrestricted tokens meet them.
    #[must_use]
    pub fn scope_attribute(&self) -> Option<String> {
        (!self.admin && !self.unrestricted).then(|| self.scopes.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use uuid::Uuid;

    use super::*;
    use crate::{Identity, Scopes, TokenInfo};

    fn caller(is_admin: bool, scopes: Option<Scopes>) -> Principal {
        let mut identity = Identity::new(7, 1, "ada@example.com");
        identity.is_admin = is_admin;
        let token = scopes.map(|scopes| TokenInfo::new(Uuid::nil(), SystemTime::UNIX_EPOCH, None, scopes));
        Principal::new(identity, token)
    }

    /// Each row has the expected results for an administrator by password, an administrator with an unrestricted token, one with the
    /// scope `read`, a user with an unrestricted token, and a user with no scope.
    #[test]
    fn each_requirement_is_checked() {
        use UnmetRequirement::{Owner, Scope};
        let callers = [
            caller(true, None),
            caller(true, Some(Scopes::unrestricted())),
            caller(true, Some(Scopes::parse("read"))),
            caller(false, Some(Scopes::unrestricted())),
            caller(false, Some(Scopes::parse(""))),
        ];
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let none = Requirements::default();
        for (requirements, expected) in [
            (none.clone(), [Ok(()); 5]),
            (Requirements { workspace_id: Some(1), ..none.clone() }, [Ok(()); 5]),
            (Requirements { workspace_id: Some(2), ..none.clone() }, [Err(Owner); 5]),
            (Requirements { admin: true, ..none.clone() }, [Ok(()), Ok(()), Err(Scope), Err(Owner), Err(Scope)]),
            (Requirements { unrestricted: true, ..none.clone() }, [Ok(()), Ok(()), Err(Scope), Ok(()), Err(Scope)]),
            (Requirements { scopes: words(&["read"]), ..none.clone() }, [Ok(()), Ok(()), Ok(()), Ok(()), Err(Scope)]),
            (
                Requirements { scopes: words(&["read", "write"]), ..none.clone() },
                [Ok(()), Ok(()), Err(Scope), Ok(()), Err(Scope)],
            ),
        ] {
            for (caller, expected) in callers.iter().zip(expected) {
                assert_eq!(requirements.check(caller), expected, "{requirements:?} {caller:?}");
            }
        }
    }

    #[test]
    fn a_challenge_names_scopes_only_if_they_suffice() {
        let scopes = vec!["a".to_owned(), "b".to_owned()];
        let requirements = Requirements { scopes, ..Requirements::default() };
        assert_eq!(requirements.scope_attribute().as_deref(), Some("a b"));
        assert_eq!(Requirements { admin: true, ..requirements.clone() }.scope_attribute(), None);
        assert_eq!(Requirements { unrestricted: true, ..requirements }.scope_attribute(), None);
    }
}
