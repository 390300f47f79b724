//! The token value: making one, recognising one, reducing it to what may be stored.
//!
//! A value is `twd_`, then 43 characters base62 (256 random bits), then 6 characters base62 of the CRC-32 (ISO-HDLC) of
//! everything before them: 53 characters, `^twd_[0-9A-Za-z]{49}$`. The checksum is no secret: it refuses typing errors and
//! truncation without asking the store.
//!
//! Three types keep a value from going where it must not:
//!
//! - [`Presented`]: what a stranger sent as a bearer. It may be anything that RFC 6750 allows.
//! - [`TokenValue`]: a value that was just made. It prints as `TokenValue([hidden])`.
//! - [`TokenDigest`]: SHA-256 of the value, the only form that is stored or used as a key.

#[cfg(feature = "server")]
mod random;

use std::fmt;

use sha2::{Digest as _, Sha256};

#[cfg(feature = "server")]
pub use random::Random;

/// Digits of base62 in ascending order of worth.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 62^43 is just above 2^256.
const RANDOM_CHARS: usize = 43;
/// 62^6 is above 2^32.
const CHECKSUM_CHARS: usize = 6;
/// How much of the random part is shown for recognition.
const HINT_CHARS: usize = 4;
/// The longest bearer worth looking at; ours are under 70.
const PRESENTED_MAX: usize = 512;
/// RFC 8959: a URI scheme that marks a string as secret. Accepted on input, never emitted.
const SECRET_TOKEN_SCHEME: &str = "secret-token:";

/// Which bytes the grammar of `b64token` has, but for the padding.
const B64TOKEN: [bool; 256] = {
    let mut allowed = [false; 256];
    let mut byte: u8 = 0;
    while byte < 128 {
        allowed[byte as usize] =
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
        byte += 1;
    }
    allowed
};

/// A bearer as a caller presented it: 1 to 512 characters of the `b64token` grammar of RFC 6750, section 2.1.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Presented<'a>(&'a str);

impl<'a> Presented<'a> {
    /// Accepts what follows the `Bearer` scheme; `secret-token:` (RFC 8959) in front is dropped.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let text = text.strip_prefix(SECRET_TOKEN_SCHEME).unwrap_or(text);
        let unpadded = text.trim_end_matches('=');
        let in_grammar = !unpadded.is_empty() && unpadded.bytes().all(|b| B64TOKEN[usize::from(b)]);
        (in_grammar && text.len() <= PRESENTED_MAX).then_some(Self(text))
    }

    /// The characters themselves. Every use of this is a place where the secret could leak.
    #[must_use]
    pub fn expose(&self) -> &'a str {
        self.0
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented([hidden])")
    }
}

/// What stands before the underscore of a value: `[a-z][a-z0-9]{1,11}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(String);

/// A prefix that does not match `[a-z][a-z0-9]{1,11}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token prefix is 2 to 12 characters a-z and 0-9, beginning with a letter")]
pub struct BadPrefix;

impl Prefix {
    /// Takes a prefix from configuration.
    ///
    /// # Errors
    /// [`BadPrefix`] where the text is not `[a-z][a-z0-9]{1,11}`.
    pub fn parse(text: &str) -> Result<Self, BadPrefix> {
        let letters = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let begins = text.starts_with(|c: char| c.is_ascii_lowercase());
        if letters && begins && (2..=12).contains(&text.len()) { Ok(Self(text.to_owned())) } else { Err(BadPrefix) }
    }

    /// The prefix without its underscore.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self("twd".to_owned())
    }
}

/// The shapes of value that a deployment knows: the prefix it issues, and those it accepts beside it.
#[derive(Clone, Debug, Default)]
pub struct Format {
    issued: Prefix,
    also_accepted: Vec<Prefix>,
}

impl Format {
    /// Issues values with `issued`, accepts those with `also_accepted` too.
    #[must_use]
    pub fn new(issued: Prefix, also_accepted: Vec<Prefix>) -> Self {
        Self { issued, also_accepted }
    }

    /// The prefixes: first the one that is issued.
    pub fn prefixes(&self) -> impl Iterator<Item = &Prefix> {
        std::iter::once(&self.issued).chain(&self.also_accepted)
    }

    /// A regular expression that finds values, without anchors.
    #[must_use]
    pub fn pattern(&self) -> String {
        let prefixes: Vec<&str> = self.prefixes().map(Prefix::as_str).collect();
        let digits = RANDOM_CHARS + CHECKSUM_CHARS;
        match prefixes.as_slice() {
            [one] => format!("{one}_[0-9A-Za-z]{{{digits}}}"),
            many => format!("(?:{})_[0-9A-Za-z]{{{digits}}}", many.join("|")),
        }
    }

    /// Recognises one of our values (known prefix, exact length, base62, right checksum) and reduces it to its digest. That
    /// says nothing about whether such a token exists.
    #[must_use]
    pub fn recognise(&self, presented: Presented<'_>) -> Option<TokenDigest> {
        let text = presented.expose();
        let (prefix, rest) = text.split_once('_')?;
        let known = self.prefixes().any(|known| known.as_str() == prefix);
        let shaped = rest.len() == RANDOM_CHARS + CHECKSUM_CHARS && rest.bytes().all(|b| b.is_ascii_alphanumeric());
        if !(known && shaped) {
            return None;
        }
        let (body, sum) = text.split_at(text.len() - CHECKSUM_CHARS);
        (checksum(body) == *sum.as_bytes()).then(|| TokenDigest::of(text))
    }

    /// Makes a value that nobody can guess.
    #[cfg(feature = "server")]
    #[must_use]
    pub fn make(&self, random: &Random) -> TokenValue {
        let mut text = format!("{}_", self.issued.as_str());
        text.push_str(&random.base62(RANDOM_CHARS));
        let sum = checksum(&text);
        text.extend(sum.map(char::from));
        TokenValue(text)
    }
}

fn checksum(body: &str) -> [u8; CHECKSUM_CHARS] {
    let mut rest = crc32fast::hash(body.as_bytes()) as usize;
    let mut digits = [b'0'; CHECKSUM_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[rest % BASE62.len()];
        rest /= BASE62.len();
    }
    digits
}

/// A value that was made here, on its way to the one answer that shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenValue(String);

impl TokenValue {
    /// A value that was made here before, and kept encrypted.
    #[cfg(feature = "server")]
    pub(crate) fn restored(text: String) -> Self {
        Self(text)
    }

    /// The characters themselves, for the one answer that shows them.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is stored instead of the value.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        TokenDigest::of(&self.0)
    }

    /// What may be shown for recognition: the prefix and four characters, 24 of 256 random bits.
    #[must_use]
    pub fn hint(&self) -> &str {
        let shown = self.0.len() - RANDOM_CHARS - CHECKSUM_CHARS + HINT_CHARS;
        &self.0[..shown]
    }
}

impl fmt::Debug for TokenValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenValue([hidden])")
    }
}

/// SHA-256 of a value: how the store knows a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// The input has 256 bits of entropy, so one fast hash is enough.
    fn of(value: &str) -> Self {
        Self(Sha256::digest(value.as_bytes()).into())
    }

    /// A digest as it is stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest([hidden])")
    }
}

#[cfg(all(test, feature = "server"))]
mod tests;
