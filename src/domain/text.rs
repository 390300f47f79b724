//! Rules for text that people write and others read.

use super::Invalid;

/// Refuses what has no place in one line of text: control characters (U+0000 is an error in Postgres and none in SQLite)
/// and the overrides of writing direction, by which a text can show something other than it says.
pub(super) fn one_line(field: &'static str, text: &str, max: usize) -> Result<(), Invalid> {
    if text.chars().any(|c| c.is_control() || reverses_direction(c)) {
        return Err(Invalid::Control { field });
    }
    if text.chars().count() > max {
        return Err(Invalid::TooLong { field, max });
    }
    Ok(())
}

fn reverses_direction(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}
