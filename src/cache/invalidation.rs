//! The log of recent invalidations, by which a slow read is recognized as stale.

use std::collections::VecDeque;

use tokenward_guard::token_format::TokenDigest;

use crate::domain::{
    id::{PersonId, WorkspaceId},
    invalidation::Invalidation,
};

/// The maximum number of logged invalidations. A read during which more of them happen is not cached.
const CAPACITY: usize = 1_024;

/// Recent invalidations, numbered. A read takes the version before it starts. Its result is cached
/// only if no later invalidation affects it.
#[derive(Debug, Default)]
pub(crate) struct InvalidationLog {
    entries: VecDeque<Invalidation>,
    /// The number of the oldest logged invalidation.
    first: u64,
}

/// A position in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version(u64);

impl InvalidationLog {
    /// Returns the current version.
    pub(crate) fn version(&self) -> Version {
        Version(self.first + self.entries.len() as u64)
    }

    pub(crate) fn push(&mut self, invalidation: Invalidation) {
        if self.entries.len() == CAPACITY {
            self.entries.pop_front();
            self.first += 1;
        }
        self.entries.push_back(invalidation);
    }

    /// Returns `true` if an invalidation after `since` affects this token, person or workspace, or
    /// if the log no longer reaches back to `since`.
    pub(crate) fn affects(
        &self,
        since: Version,
        digest: &TokenDigest,
        person_id: PersonId,
        workspace_id: WorkspaceId,
    ) -> bool {
        let Some(seen) = since.0.checked_sub(self.first) else { return true };
        let mut later = self.entries.iter().skip(usize::try_from(seen).unwrap_or(usize::MAX));
        later.any(|invalidation| match invalidation {
            Invalidation::Token(other) => other == digest,
            Invalidation::TokenPrefix(prefix) => prefix.is_prefix_of(digest),
            Invalidation::Person(id) => *id == person_id,
            Invalidation::Workspace(id) => *id == workspace_id,
            Invalidation::Everything => true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::invalidation::DigestPrefix;

    const DIGEST: TokenDigest = TokenDigest::from_bytes([7; 32]);

    #[test]
    fn an_invalidation_after_the_version_affects_the_read() {
        let mut log = InvalidationLog::default();
        log.push(Invalidation::Person(PersonId::new(1)));
        let version = log.version();
        assert!(!log.affects(version, &DIGEST, PersonId::new(1), WorkspaceId::new(1)));
        log.push(Invalidation::Person(PersonId::new(2)));
        log.push(Invalidation::Workspace(WorkspaceId::new(3)));
        log.push(Invalidation::Token(TokenDigest::from_bytes([8; 32])));
        assert!(!log.affects(version, &DIGEST, PersonId::new(1), WorkspaceId::new(1)));
        assert!(log.affects(version, &DIGEST, PersonId::new(2), WorkspaceId::new(1)));
        assert!(log.affects(version, &DIGEST, PersonId::new(1), WorkspaceId::new(3)));
        log.push(Invalidation::TokenPrefix(DigestPrefix([8; 16])));
        assert!(!log.affects(version, &DIGEST, PersonId::new(1), WorkspaceId::new(1)));
        log.push(Invalidation::TokenPrefix(DigestPrefix([7; 16])));
        assert!(log.affects(version, &DIGEST, PersonId::new(1), WorkspaceId::new(1)));
        let version = log.version();
        log.push(Invalidation::Token(DIGEST));
        assert!(log.affects(version, &DIGEST, PersonId::new(1), WorkspaceId::new(1)));
        assert!(!log.affects(log.version(), &DIGEST, PersonId::new(1), WorkspaceId::new(1)));
        log.push(Invalidation::Everything);
        assert!(log.affects(version, &DIGEST, PersonId::new(9), WorkspaceId::new(9)));
    }

    #[test]
    fn a_read_older_than_the_log_is_always_affected() {
        let mut log = InvalidationLog::default();
        let version = log.version();
        for _ in 0..CAPACITY {
            log.push(Invalidation::Person(PersonId::new(2)));
        }
        assert!(!log.affects(version, &DIGEST, PersonId::new(1), WorkspaceId::new(1)));
        log.push(Invalidation::Person(PersonId::new(2)));
        assert!(log.affects(version, &DIGEST, PersonId::new(1), WorkspaceId::new(1)));
    }
}
