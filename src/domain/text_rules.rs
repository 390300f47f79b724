//! Rules for text that people write and others read.

use super::Invalid;

/// Refuses what has no place in one line of text: control characters (U+0000 is an error in Postgres and none in SQLite)
/// and the overrides of writing direction, by which a text can show something other than it says.
///
/// The marks U+200E, U+200F and U+061C stay allowed. They reverse nothing, and Arabic and Hebrew need them beside punctuation.
pub(super) fn one_line(field: &'static str, text: &str, max: usize) -> Result<(), Invalid> {
    if text.chars().any(|c| c.is_control() || breaks_line(c) || reverses_direction(c)) {
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

/// Returns whether a character shows nothing of itself: the property `Default_Ignorable_Code_Point` of Unicode 16
/// (`DerivedCoreProperties.txt`), and U+2800, whose picture is blank although it is no space.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{AD}'
            | '\u{34F}'
            | '\u{61C}'
            | '\u{115F}'..='\u{1160}'
            | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}'
            | '\u{FFA0}'
            | '\u{FFF0}'..='\u{FFF8}'
            | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}'
    )
}
