//! Validation of single-line text that one person writes and others read.

use super::ValidationError;

/// Rejects characters that do not belong in a line of text: control characters, line separators,
/// and overrides of the writing direction, which make a text display as something else. U+0000 is
/// an error in PostgreSQL, but not in SQLite.
///
/// The marks U+200E, U+200F and U+061C are allowed. They reverse nothing, and Arabic and Hebrew
/// need them next to punctuation.
///
/// # Errors
/// [`ValidationError::ForbiddenCharacter`] for such a character, [`ValidationError::TooLong`] for
/// more than `max_chars` Unicode scalar values.
pub(super) fn validate_single_line(field: &'static str, text: &str, max_chars: usize) -> Result<(), ValidationError> {
    if text.chars().any(is_forbidden) {
        return Err(ValidationError::ForbiddenCharacter { field });
    }
    if text.chars().count() > max_chars {
        return Err(ValidationError::TooLong { field, max: max_chars });
    }
    Ok(())
}

/// Returns whether a line of text must not have a character.
pub(crate) fn is_forbidden(c: char) -> bool {
    c.is_control() || is_line_break(c) || is_direction_override(c)
}

fn is_line_break(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

fn is_direction_override(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Returns whether a character is invisible: the property `Default_Ignorable_Code_Point` of
/// Unicode 16 (`DerivedCoreProperties.txt`), and U+2800, whose glyph is blank although it is not a
/// space.
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
