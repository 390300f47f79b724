//! Passwords: their accepted form, and the policy that rejects weak ones.

use std::{collections::HashSet, fmt, sync::LazyLock};

use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use super::{ValidationError, validation};

/// The maximum length of a password, in Unicode scalar values after NFC normalization.
pub const MAX_CHARS: usize = validation::MAX_PASSWORD_CHARS;
/// The lowest minimum length that the configuration accepts, in Unicode scalar values.
pub const MIN_CHARS_FLOOR: usize = 8;

/// The most common passwords of eight or more characters: one per line, lower case, most common
/// first.
static COMMON_PASSWORDS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("common-passwords.txt").lines().filter(|line| !line.starts_with('#')).collect());

/// A password in NFC, wiped from memory when dropped. `Debug` prints `Password([hidden])`.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Reads a password that a client presents, for verification. Returns `None` for text that
    /// cannot be any account's password: empty, longer than [`MAX_CHARS`], or with control
    /// characters (RFC 7617, section 2).
    #[must_use]
    pub fn parse_untrusted(text: &str) -> Option<Self> {
        // The canonical decomposition of a character has at most 12 bytes of UTF-8.
        if text.len() > MAX_CHARS * 4 * 3 {
            return None;
        }
        let password = Zeroizing::new(text.nfc().collect::<String>());
        let has_valid_length = !password.is_empty() && password.chars().count() <= MAX_CHARS;
        (has_valid_length && !password.chars().any(char::is_control)).then_some(Self(password))
    }

    /// Returns the secret text, for hashing.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password([hidden])")
    }
}

/// The rules for new passwords (NIST SP 800-63B-4, section 3.1.1.2; OWASP ASVS 5.0, 6.2): a minimum
/// length, no composition rules, and no common or easily guessed passwords.
#[derive(Clone, Copy, Debug)]
pub struct PasswordPolicy {
    /// The minimum length in Unicode scalar values; at least [`MIN_CHARS_FLOOR`].
    pub min_chars: usize,
}

impl PasswordPolicy {
    /// Validates a new password. `account_words` are words that an attacker knows about the
    /// account: e-mail, name, workspace.
    ///
    /// # Errors
    /// [`ValidationError::PasswordLength`] if it is too short or too long,
    /// [`ValidationError::ForbiddenCharacter`] if it contains control characters,
    /// [`ValidationError::PasswordCommon`] if it is easy to guess.
    pub fn validate(&self, text: &str, account_words: &[&str]) -> Result<Password, ValidationError> {
        let length_error = ValidationError::PasswordLength { min: self.min_chars };
        if text.chars().any(char::is_control) {
            return Err(ValidationError::ForbiddenCharacter { field: "password" });
        }
        let password = Password::parse_untrusted(text).ok_or(length_error.clone())?;
        if password.expose().chars().count() < self.min_chars {
            return Err(length_error);
        }
        if is_guessable(&password.expose().to_lowercase(), account_words) {
            return Err(ValidationError::PasswordCommon);
        }
        Ok(password)
    }
}

/// Returns whether a password in lower case is a common one, the repetition of a common one, or
/// little more than words of the account.
fn is_guessable(password: &str, account_words: &[&str]) -> bool {
    if COMMON_PASSWORDS.contains(password) {
        return true;
    }
    let chars: Vec<char> = password.chars().collect();
    if let Some(unit) = repeated_unit(&chars)
        && COMMON_PASSWORDS.contains(unit.iter().collect::<String>().as_str())
    {
        return true;
    }
    let parts = account_words.iter().flat_map(|word| word.split(|c: char| !c.is_alphanumeric()).chain([*word]));
    let mut words: Vec<String> =
        parts.chain(["tokenward"]).map(str::to_lowercase).filter(|w| w.chars().count() >= 4).collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let rest = words.iter().fold(password.to_owned(), |rest, word| rest.replace(word.as_str(), ""));
    rest.len() < password.len() && rest.chars().count() < MIN_CHARS_FLOOR
}

/// Returns the shortest prefix whose repetition gives the text. The text has at least two
/// repetitions, of which the last may be incomplete.
fn repeated_unit(chars: &[char]) -> Option<&[char]> {
    (1..=chars.len() / 2).find(|n| chars.iter().zip(chars.iter().skip(*n)).all(|(a, b)| a == b)).map(|n| &chars[..n])
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: PasswordPolicy = PasswordPolicy { min_chars: 15 };

    #[test]
    fn length_is_counted_in_characters_after_normalization() {
        let length_error = Err(ValidationError::PasswordLength { min: 15 });
        let validate = |text: &str| POLICY.validate(text, &[]).map(|_| ());
        assert_eq!(validate("fourteen chars"), length_error);
        assert_eq!(validate("fifteen chars !"), Ok(()));
        // Fifteen code points that compose to fourteen.
        assert_eq!(validate("fourteen chare\u{301}"), length_error);
        assert_eq!(validate(&"correct horse ba".repeat(8)), Ok(()));
        assert_eq!(validate(&format!("{}x", "correct horse ba".repeat(8))), length_error);
        assert_eq!(validate(&"x".repeat(1_000_000)), length_error);
    }

    #[test]
    fn common_and_repeated_passwords_and_account_words_are_rejected() {
        let account_words = ["ada.lovelace@analytical.example", "Ada Lovelace", "Engine Room"];
        for weak in
            ["passwordpassword", "PasswordPassword", "adalovelace1815", "Lovelace.Analytical.1", "tokenward-tokenward"]
        {
            let result = POLICY.validate(weak, &account_words).map(|_| ());
            assert_eq!(result, Err(ValidationError::PasswordCommon), "{weak}");
        }
        for strong in [
            "correct horse battery staple",
            "Lovelace wrote the first program",
            "ünïcödé pässwörd ☂",
            "xxxxxxxxxxxxxxx",
        ] {
            assert!(POLICY.validate(strong, &account_words).is_ok(), "{strong}");
        }
    }

    #[test]
    fn common_passwords_are_rejected_with_a_lower_minimum_length() {
        let policy = PasswordPolicy { min_chars: 8 };
        for weak in ["password", "12345678", "PASSWORD1", "sunshine"] {
            assert_eq!(policy.validate(weak, &[]).map(|_| ()), Err(ValidationError::PasswordCommon), "{weak}");
        }
        assert!(COMMON_PASSWORDS.len() >= 3_000, "{}", COMMON_PASSWORDS.len());
    }

    #[test]
    fn control_characters_are_rejected_in_new_and_in_presented_passwords() {
        let result = POLICY.validate("fifteen chars \0!", &[]).map(|_| ());
        assert_eq!(result, Err(ValidationError::ForbiddenCharacter { field: "password" }));
        assert!(Password::parse_untrusted("a\nb").is_none());
        assert!(Password::parse_untrusted("").is_none());
    }

    #[test]
    fn composed_and_decomposed_characters_give_the_same_password() {
        let decomposed = Password::parse_untrusted("e\u{301}").unwrap();
        let composed = Password::parse_untrusted("\u{e9}").unwrap();
        assert_eq!(decomposed.expose(), composed.expose());
        assert_eq!(format!("{decomposed:?}"), "Password([hidden])");
    }
}
