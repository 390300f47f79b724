//! Patterns for `like` searches.

/// Returns the pattern of `like .. escape '\\'` that matches every text containing `text`. Pattern
/// metacharacters are escaped. The `lower` of SQLite folds only ASCII, so callers search for both
/// the lower-case and the original text.
pub(super) fn contains_pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    // PostgreSQL rejects U+0000, and no stored text contains it.
    for c in text.chars().map(|c| if c == '\0' { '\u{fffd}' } else { c }) {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_metacharacters_are_escaped() {
        assert_eq!(contains_pattern("50%_\\É"), "%50\\%\\_\\\\É%");
    }
}
