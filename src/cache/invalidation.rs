//! Changes: what known facts may no longer hold of, and which of them happened lately.

use std::collections::VecDeque;

use tokenward_guard::token_format::TokenDigest;

/// The first half of a token's digest, by which other nodes announce it: enough to find it, and no key to anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenName(pub(crate) [u8; 16]);

impl TokenName {
    pub(crate) fn is_of(&self, digest: &TokenDigest) -> bool {
        digest.as_bytes().starts_with(&self.0)
    }
}

/// Something that was changed or taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Token(TokenDigest),
    /// The same, as another node announced it.
    NamedToken(TokenName),
    Person(i64),
    Workspace(i64),
    /// Anything may have changed.
    Everything,
}

/// How many changes are remembered. A read that took longer than this many changes is not kept.
const REMEMBERED: usize = 1_024;

/// The latest changes, numbered. A read notes the number before it begins; what it found is kept only if nothing that it
/// concerns has changed since.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    changes: VecDeque<Change>,
    /// The number of the first change that is remembered.
    first: u64,
}

/// Up to where a read has seen the changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(u64);

impl Recent {
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.first + self.changes.len() as u64)
    }

    pub(crate) fn note(&mut self, change: Change) {
        if self.changes.len() == REMEMBERED {
            self.changes.pop_front();
            self.first += 1;
        }
        self.changes.push_back(change);
    }

    /// Whether any change since the mark concerns a token of this digest, person or workspace.
    pub(crate) fn concerns(&self, since: Mark, digest: &TokenDigest, person_id: i64, workspace_id: i64) -> bool {
        let Some(seen) = since.0.checked_sub(self.first) else { return true };
        let unseen = self.changes.iter().skip(usize::try_from(seen).unwrap_or(usize::MAX));
        unseen.into_iter().any(|change| match change {
            Change::Token(other) => other == digest,
            Change::NamedToken(name) => name.is_of(digest),
            Change::Person(id) => *id == person_id,
            Change::Workspace(id) => *id == workspace_id,
            Change::Everything => true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: TokenDigest = TokenDigest::from_bytes([7; 32]);

    #[test]
    fn a_read_is_concerned_by_what_changed_after_it_began() {
        let mut recent = Recent::default();
        recent.note(Change::Person(1));
        let mark = recent.mark();
        assert!(!recent.concerns(mark, &DIGEST, 1, 1));
        recent.note(Change::Person(2));
        recent.note(Change::Workspace(3));
        recent.note(Change::Token(TokenDigest::from_bytes([8; 32])));
        assert!(!recent.concerns(mark, &DIGEST, 1, 1));
        assert!(recent.concerns(mark, &DIGEST, 2, 1) && recent.concerns(mark, &DIGEST, 1, 3));
        recent.note(Change::NamedToken(TokenName([8; 16])));
        assert!(!recent.concerns(mark, &DIGEST, 1, 1));
        recent.note(Change::NamedToken(TokenName([7; 16])));
        assert!(recent.concerns(mark, &DIGEST, 1, 1));
        let mark = recent.mark();
        recent.note(Change::Token(DIGEST));
        assert!(recent.concerns(mark, &DIGEST, 1, 1) && !recent.concerns(recent.mark(), &DIGEST, 1, 1));
        recent.note(Change::Everything);
        assert!(recent.concerns(mark, &DIGEST, 9, 9));
    }

    #[test]
    fn a_read_that_outlasts_the_memory_is_concerned_by_everything() {
        let mut recent = Recent::default();
        let mark = recent.mark();
        for _ in 0..REMEMBERED {
            recent.note(Change::Person(2));
        }
        assert!(!recent.concerns(mark, &DIGEST, 1, 1));
        recent.note(Change::Person(2));
        assert!(recent.concerns(mark, &DIGEST, 1, 1));
    }
}
