//! Sentences for people, made of error messages, which have no capital letter and no full stop.

/// Names of fields and parameters that look like words. A sentence starts with them as they are.
const API_NAMES: [&str; 7] = ["description", "email", "id", "limit", "name", "offset", "password"];

/// Returns a message as a sentence: capitalized, unless it starts with the name of a field or
/// parameter, and with a full stop.
pub(crate) fn sentence(message: &str) -> String {
    let first = message.split(' ').next().unwrap_or_default();
    if API_NAMES.contains(&first) || first.contains(|c: char| !c.is_ascii_lowercase() && !"'-,;".contains(c)) {
        return with_full_stop(message);
    }
    capitalized_sentence(message)
}

/// Returns a message as a sentence that starts with a capital letter.
pub(crate) fn capitalized_sentence(message: &str) -> String {
    let mut chars = message.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    with_full_stop(&(first + chars.as_str()))
}

fn with_full_stop(message: &str) -> String {
    if message.ends_with(['.', '!', '?']) { message.to_owned() } else { format!("{message}.") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_fields_are_not_capitalized() {
        for (message, expected) in [
            ("there is no such token", "There is no such token."),
            ("you're late", "You're late."),
            ("password must not be empty", "password must not be empty."),
            ("password2 must equal password", "password2 must equal password."),
            ("tokenAccess is disabled", "tokenAccess is disabled."),
            ("feature.x must be on", "feature.x must be on."),
            ("Is it a sentence?", "Is it a sentence?"),
        ] {
            assert_eq!(sentence(message), expected);
        }
        assert_eq!(capitalized_sentence("password must not be empty"), "Password must not be empty.");
        assert_eq!(capitalized_sentence(""), ".");
    }
}
