//! The scopes of a token.

use std::sync::Arc;

/// The scopes of a token: words that say what the token may be used for (RFC 6749, section 3.3). Cheap to clone.
///
/// A token is either unrestricted, which meets every scope, or has a set of words, which may be empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scopes(
    /// The words in ascending order, separated by single spaces; `None`: unrestricted.
    Option<Arc<str>>,
);

impl Scopes {
    /// Returns the scopes of an unrestricted token.
    #[must_use]
    pub const fn unrestricted() -> Self {
        Self(None)
    }

    /// Returns a restricted set of these words, sorted, without duplicates.
    #[must_use]
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        words.sort_unstable();
        words.dedup();
        Self(Some(words.join(" ").into()))
    }

    /// Parses words that are separated by spaces, as in the `scope` member of an introspection response (RFC 7662, section 2.2). An empty
    /// text is a restricted set without words.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::from_words(text.split(' '))
    }

    /// Returns `true` if the token has no restriction.
    #[must_use]
    pub const fn is_unrestricted(&self) -> bool {
        self.0.is_none()
    }

    /// Returns `true` if the token is unrestricted or has this word.
    #[must_use]
    pub fn contains(&self, word: &str) -> bool {
        self.0.as_deref().is_none_or(|words| words.split(' ').any(|own| own == word && !own.is_empty()))
    }

    /// Returns `true` if every right of these scopes is one of `other`.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        other.is_unrestricted() || !self.is_unrestricted() && self.words().all(|word| other.contains(word))
    }

    /// Returns the words in ascending order; none if the token is unrestricted.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.0.as_deref().unwrap_or_default().split(' ').filter(|word| !word.is_empty())
    }

    /// Returns the words separated by spaces; `None` if the token is unrestricted.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_sorted_and_distinct() {
        let scopes = Scopes::parse("write read  write");
        assert_eq!(scopes.as_str(), Some("read write"));
        assert_eq!(scopes.words().collect::<Vec<_>>(), ["read", "write"]);
        assert_eq!(Scopes::parse("").as_str(), Some(""));
        assert_eq!(Scopes::unrestricted().as_str(), None);
    }

    #[test]
    fn only_whole_words_are_contained() {
        let scopes = Scopes::parse("read:all write");
        assert!(scopes.contains("read:all") && scopes.contains("write"));
        for other in ["read", "all", "read:all write", "", " ", "Write"] {
            assert!(!scopes.contains(other), "{other:?}");
        }
        assert!(Scopes::unrestricted().contains("anything"));
        assert!(!Scopes::parse("").contains("anything") && !Scopes::parse("").contains(""));
    }

    #[test]
    fn a_set_is_within_a_larger_one() {
        let [all, two, one, none] =
            [Scopes::unrestricted(), Scopes::parse("a b"), Scopes::parse("a"), Scopes::parse("")];
        let ordered = [&none, &one, &two, &all];
        for (n, lesser) in ordered.iter().enumerate() {
            for (m, greater) in ordered.iter().enumerate() {
                assert_eq!(lesser.is_within(greater), n <= m, "{lesser:?} within {greater:?}");
            }
        }
        assert!(!Scopes::parse("c").is_within(&two));
    }
}
