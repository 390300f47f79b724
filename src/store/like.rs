//! Looking for a text within another.

/// The pattern of `like .. escape '\\'` that lets through what contains a text. A character that means something in a pattern stands
/// for itself. SQLite's `lower` knows ASCII alone, so a text is looked for both in lower case and as it is written.
pub(super) fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    // Postgres takes no U+0000, and nothing that is stored has one.
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
    fn what_means_something_in_a_pattern_stands_for_itself() {
        assert_eq!(containing("50%_\\É"), "%50\\%\\_\\\\É%");
    }
}
