//! Rules for text that people write and others read.

use super::Invalid;

/// Refuses what has no place in one line of text: control characters (U+0000 is an error in Postgres and none in SQLite)
/// and the overrides of writing direction, by which a text can show something other than it says.
pub(super) fn one_line(field: &'static str, text: &str, max: usize) -> Result<(), Invalid> {
    if text.chars().any(|c| breaks_line(c) || reverses_direction(c)) {
        return Err(Invalid::Control { field });
    }
    no_controls(field, text, max)
}

/// Refuses control characters, and nothing else that a text may hold.
pub(super) fn no_controls(field: &'static str, text: &str, max: usize) -> Result<(), Invalid> {
    if text.chars().any(char::is_control) {
        return Err(Invalid::Control { field });
    }
    if text.chars().count() > max {
        return Err(Invalid::TooLong { field, max });
    }
    Ok(())
}

fn breaks_line(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

fn reverses_direction(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}
