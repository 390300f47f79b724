//! Passwords: what one is, and which are too weak to take.

use std::{collections::HashSet, fmt, sync::LazyLock};

use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use super::Invalid;

/// The most characters (Unicode scalar values, in NFC) a password has.
pub const MAX_CHARS: usize = 128;
/// The fewest that a configuration may ask for.
pub const LEAST_MIN_CHARS: usize = 8;

/// The most common passwords of eight or more characters, one a line, lower case, the most common first.
static COMMON: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("common-passwords.txt").lines().filter(|line| !line.starts_with('#')).collect());

/// A password in NFC, wiped from memory when dropped. Prints as `Password([hidden])`.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes a password as somebody typed it, to compare. None where no account can have it: empty, longer than the
    /// longest, or with control characters (RFC 7617, section 2).
    #[must_use]
    pub fn presented(text: &str) -> Option<Self> {
        // A character has at most four bytes, and normalising does not make three of one.
        if text.len() > MAX_CHARS * 4 * 3 {
            return None;
        }
        let password = Zeroizing::new(text.nfc().collect::<String>());
        let fits = !password.is_empty() && password.chars().count() <= MAX_CHARS;
        (fits && !password.chars().any(char::is_control)).then_some(Self(password))
    }

    /// The characters themselves, to be hashed.
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

/// Which passwords may be set (NIST SP 800-63B-4, section 3.1.1.2; OWASP ASVS 5.0, 6.2): length counts, composition does not.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The fewest characters; at least [`LEAST_MIN_CHARS`].
    pub min_chars: usize,
}

impl Policy {
    /// Takes a password that somebody wants to have. `known` are words an attacker knows: e-mail, name, workspace.
    ///
    /// # Errors
    /// [`Invalid::PasswordLength`], [`Invalid::Control`] or [`Invalid::PasswordCommon`].
    pub fn accept(&self, text: &str, known: &[&str]) -> Result<Password, Invalid> {
        let length = Invalid::PasswordLength { min: self.min_chars };
        if text.chars().any(char::is_control) {
            return Err(Invalid::Control { field: "password" });
        }
        let password = Password::presented(text).ok_or(length.clone())?;
        if password.expose().chars().count() < self.min_chars {
            return Err(length);
        }
        if is_guessable(&password.expose().to_lowercase(), known) {
            return Err(Invalid::PasswordCommon);
        }
        Ok(password)
    }
}

/// Whether a password in lower case is a common one, the repetition of a common one, or hardly more than words
/// that are known of the account.
fn is_guessable(password: &str, known: &[&str]) -> bool {
    if COMMON.contains(password) {
        return true;
    }
    let chars: Vec<char> = password.chars().collect();
    if let Some(unit) = repeated_unit(&chars)
        && COMMON.contains(unit.iter().collect::<String>().as_str())
    {
        return true;
    }
    let parts = known.iter().flat_map(|word| word.split(|c: char| !c.is_alphanumeric()).chain([*word]));
    let mut words: Vec<String> =
        parts.chain(["tokenward"]).map(str::to_lowercase).filter(|w| w.chars().count() >= 4).collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let rest = words.iter().fold(password.to_owned(), |rest, word| rest.replace(word.as_str(), ""));
    rest.len() < password.len() && rest.chars().count() < LEAST_MIN_CHARS
}

/// The shortest piece that the text consists of two or more times; the last repetition may be cut off.
fn repeated_unit(chars: &[char]) -> Option<&[char]> {
    (1..=chars.len() / 2).find(|n| chars.iter().zip(chars.iter().skip(*n)).all(|(a, b)| a == b)).map(|n| &chars[..n])
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy { min_chars: 15 };

    #[test]
    fn length_is_counted_in_characters_after_normalising() {
        let length = Err(Invalid::PasswordLength { min: 15 });
        let accept = |text: &str| POLICY.accept(text, &[]).map(|_| ());
        assert_eq!(accept("fourteen chars"), length);
        assert_eq!(accept("fifteen chars !"), Ok(()));
        // Fifteen code points that compose to fourteen.
        assert_eq!(accept("fourteen chare\u{301}"), length);
        assert_eq!(accept(&"correct horse ba".repeat(8)), Ok(()));
        assert_eq!(accept(&format!("{}x", "correct horse ba".repeat(8))), length);
        assert_eq!(accept(&"x".repeat(1_000_000)), length);
    }

    #[test]
    fn common_repeated_and_known_words_are_refused() {
        let known = ["ada.lovelace@analytical.example", "Ada Lovelace", "Engine Room"];
        for weak in
            ["passwordpassword", "PasswordPassword", "adalovelace1815", "Lovelace.Analytical.1", "tokenward-tokenward"]
        {
            assert_eq!(POLICY.accept(weak, &known).map(|_| ()), Err(Invalid::PasswordCommon), "{weak}");
        }
        for fine in [
            "correct horse battery staple",
            "Lovelace wrote the first program",
            "ünïcödé pässwörd ☂",
            "xxxxxxxxxxxxxxx",
        ] {
            assert!(POLICY.accept(fine, &known).is_ok(), "{fine}");
        }
    }

    #[test]
    fn a_shorter_minimum_still_refuses_the_common_ones() {
        let policy = Policy { min_chars: 8 };
        for weak in ["password", "12345678", "PASSWORD1", "sunshine"] {
            assert_eq!(policy.accept(weak, &[]).map(|_| ()), Err(Invalid::PasswordCommon), "{weak}");
        }
        assert!(COMMON.len() >= 3_000, "{}", COMMON.len());
    }

    #[test]
    fn control_characters_are_refused_when_set_and_never_match() {
        assert_eq!(POLICY.accept("fifteen chars \0!", &[]).map(|_| ()), Err(Invalid::Control { field: "password" }));
        assert!(Password::presented("a\nb").is_none() && Password::presented("").is_none());
    }

    #[test]
    fn two_spellings_of_one_character_are_one_password() {
        let (a, b) = (Password::presented("e\u{301}").unwrap(), Password::presented("\u{e9}").unwrap());
        assert_eq!(a.expose(), b.expose());
        assert_eq!(format!("{a:?}"), "Password([hidden])");
    }
}
