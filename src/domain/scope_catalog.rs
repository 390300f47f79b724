//! The scopes that a workspace offers for new tokens.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    ValidationError,
    text_rules::validate_single_line,
    token_limits::{is_reserved_scope, validate_scope},
};
use tokenward_guard::Scopes;

/// The name of the setting.
const KEY: &str = "tokenward.scopes";

/// The scopes of a workspace's catalog, in the order of the administrator. An empty catalog is no
/// limit: every scope is accepted. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeCatalog(Option<Arc<[CatalogScope]>>);

/// A scope of a catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogScope {
    pub name: String,
    /// The description of the scope; may be empty.
    pub description: String,
}

impl ScopeCatalog {
    /// The maximum number of scopes.
    pub const MAX_SCOPES: usize = 100;
    /// The maximum length of a description, in characters.
    pub const MAX_DESCRIPTION_CHARS: usize = 200;
    /// The catalog without scopes.
    pub const EMPTY: Self = Self(None);

    /// Validates a catalog: at most [`Self::MAX_SCOPES`] distinct scopes. Reserved scopes are always
    /// accepted, and are in no catalog.
    ///
    /// # Errors
    /// [`ValidationError::TooManyEntries`], [`ValidationError::ScopeSyntax`],
    /// [`ValidationError::DuplicateScope`], [`ValidationError::ReservedScopeInCatalog`], or an error of
    /// the description.
    pub fn new(scopes: Vec<CatalogScope>) -> Result<Self, ValidationError> {
        if scopes.len() > Self::MAX_SCOPES {
            return Err(ValidationError::TooManyEntries { field: KEY, count: scopes.len(), max: Self::MAX_SCOPES });
        }
        for (n, scope) in scopes.iter().enumerate() {
            if is_reserved_scope(&scope.name) {
                return Err(ValidationError::ReservedScopeInCatalog { word: scope.name.clone() });
            }
            validate_scope(&scope.name)?;
            if scopes[..n].iter().any(|other| other.name == scope.name) {
                return Err(ValidationError::DuplicateScope { word: scope.name.clone() });
            }
            validate_single_line("description", &scope.description, Self::MAX_DESCRIPTION_CHARS)?;
        }
        Ok(if scopes.is_empty() { Self::EMPTY } else { Self(Some(scopes.into())) })
    }

    /// Parses lines that each have a scope and its description, separated by a space. Empty lines count
    /// for nothing.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn parse_lines(text: &str) -> Result<Self, ValidationError> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let scope = |line: &str| {
            let (name, description) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            CatalogScope { name: name.to_owned(), description: description.trim().to_owned() }
        };
        Self::new(lines.map(scope).collect())
    }

    /// Returns the text that [`Self::parse_lines`] parses.
    #[must_use]
    pub fn to_lines(&self) -> String {
        let line = |scope: &CatalogScope| format!("{} {}", scope.name, scope.description).trim_end().to_owned();
        self.scopes().iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// Parses the stored text, which is a JSON array. Returns `None` for any other text.
    #[must_use]
    pub fn parse_stored(text: &str) -> Option<Self> {
        Self::new(serde_json::from_str(text).ok()?).ok()
    }

    /// Returns the text that is stored.
    #[must_use]
    pub fn to_stored(&self) -> String {
        // Serializing texts does not fail.
        serde_json::to_string(self.scopes()).unwrap_or_default()
    }

    /// Returns `true` if the catalog has no scopes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the scopes.
    #[must_use]
    pub fn scopes(&self) -> &[CatalogScope] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Checks the scopes of a new token. Reserved scopes are accepted, and those of `inherited`: the
    /// token that creates the new one, or that it replaces.
    ///
    /// # Errors
    /// [`ValidationError::ScopeNotInCatalog`] for the first other scope that is not in the catalog.
    pub fn check(&self, scopes: &Scopes, inherited: &[&Scopes]) -> Result<(), ValidationError> {
        if self.is_empty() {
            return Ok(());
        }
        let is_accepted = |word: &str| {
            is_reserved_scope(word)
                || self.scopes().iter().any(|scope| scope.name == word)
                || inherited.iter().any(|scopes| scopes.words().any(|other| other == word))
        };
        match scopes.words().find(|word| !is_accepted(word)) {
            None => Ok(()),
            Some(word) => {
                Err(ValidationError::ScopeNotInCatalog { word: word.to_owned(), nearest: self.nearest(word) })
            }
        }
    }

    /// Returns the scope that is most similar to a word.
    fn nearest(&self, word: &str) -> String {
        let similarity = |scope: &CatalogScope| strsim::normalized_damerau_levenshtein(word, &scope.name);
        let nearest = self.scopes().iter().max_by(|a, b| similarity(a).total_cmp(&similarity(b)));
        nearest.map(|scope| scope.name.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> ScopeCatalog {
        ScopeCatalog::parse_lines("\n reports:read  Read reports \ndeploy\n").unwrap()
    }

    #[test]
    fn lines_and_stored_text_parse_to_the_same_catalog() {
        let catalog = catalog();
        assert_eq!(catalog.to_lines(), "reports:read Read reports\ndeploy");
        assert_eq!(ScopeCatalog::parse_lines(&catalog.to_lines()).as_ref(), Ok(&catalog));
        assert_eq!(ScopeCatalog::parse_stored(&catalog.to_stored()), Some(catalog));
        assert_eq!(ScopeCatalog::parse_stored("[]"), Some(ScopeCatalog::EMPTY));
        for invalid in ["", "null", "[{}]", r#"[{"name": "A", "description": ""}]"#] {
            assert_eq!(ScopeCatalog::parse_stored(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn a_catalog_has_distinct_scopes_that_are_not_reserved() {
        let error = |text: &str| ScopeCatalog::parse_lines(text).unwrap_err();
        assert_eq!(error("a\na again"), ValidationError::DuplicateScope { word: "a".to_owned() });
        assert_eq!(error("Reports"), ValidationError::ScopeSyntax { word: "Reports".to_owned() });
        let reserved = "tokenward:introspect".to_owned();
        assert_eq!(error(&reserved), ValidationError::ReservedScopeInCatalog { word: reserved.clone() });
        assert!(matches!(error("tokenward:other"), ValidationError::UnknownReservedScope { .. }));
        assert!(matches!(error(&format!("a {}", "x".repeat(201))), ValidationError::TooLong { .. }));
        assert!(matches!(error("a \u{202e}b"), ValidationError::ForbiddenCharacter { .. }));
        let many = |count: usize| (0..count).map(|n| format!("s{n}\n")).collect::<String>();
        assert!(ScopeCatalog::parse_lines(&many(100)).is_ok());
        assert!(matches!(error(&many(101)), ValidationError::TooManyEntries { max: 100, .. }));
    }

    #[test]
    fn a_new_token_has_scopes_of_the_catalog_reserved_ones_and_inherited_ones() {
        let inherited = [&Scopes::parse("old"), &Scopes::unrestricted()];
        for (scopes, expected) in [
            ("", None),
            ("deploy reports:read tokenward:introspect", None),
            ("old", None),
            ("report:read", Some("reports:read")),
            ("deploy deplo", Some("deploy")),
        ] {
            let nearest = match catalog().check(&Scopes::parse(scopes), &inherited) {
                Ok(()) => None,
                Err(ValidationError::ScopeNotInCatalog { nearest, .. }) => Some(nearest),
                Err(other) => panic!("{other}"),
            };
            assert_eq!(nearest.as_deref(), expected, "{scopes}");
        }
        assert_eq!(catalog().check(&Scopes::unrestricted(), &[]), Ok(()));
        assert_eq!(ScopeCatalog::EMPTY.check(&Scopes::parse("anything"), &[]), Ok(()));
    }
}
