//! The format of token values: generation, parsing, and the digest that is stored.
//!
//! A token value is `twd_`, then 43 base62 characters (256 random bits), then 6 base62 characters of the CRC-32 (ISO-HDLC) of everything
//! before them: 53 characters that match `^twd_[0-9A-Za-z]{49}$`. The checksum is not secret. It rejects typing errors and truncated values
//! without a database query.
//!
//! Three types keep a token value out of the wrong places:
//!
//! - [`BearerToken`]: text that a client sent as a bearer token. It may be anything that RFC 6750 allows.
//! - [`TokenValue`]: a generated value. Its `Debug` output hides it.
//! - [`TokenDigest`]: the SHA-256 digest of a value, the only form that is stored or used as a key.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// Base62 digits in ascending order.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 62^43 is just above 2^256.
const RANDOM_CHARS: usize = 43;
/// 62^6 is above 2^32.
const CHECKSUM_CHARS: usize = 6;
/// Random characters in the display prefix.
const DISPLAYED_CHARS: usize = 4;
/// The longest bearer token that is parsed, in bytes; issued ones are under 70.
const MAX_BEARER_LEN: usize = 512;
/// The URI scheme that marks a string as secret (RFC 8959). Accepted on input, never emitted.
const SECRET_TOKEN_SCHEME: &str = "secret-token:";

/// The bytes of `b64token` (RFC 6750, section 2.1) except the padding.
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

/// A bearer token as a client sent it: 1 to 512 characters of the `b64token` grammar (RFC 6750, section 2.1).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BearerToken<'a>(&'a str);

impl<'a> BearerToken<'a> {
    /// Parses the text after the `Bearer` scheme, without a leading `secret-token:` (RFC 8959). Returns `None` if the text is outside the
    /// grammar or longer than 512 bytes.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let text = text.strip_prefix(SECRET_TOKEN_SCHEME).unwrap_or(text);
        let unpadded = text.trim_end_matches('=');
        let in_grammar = !unpadded.is_empty() && unpadded.bytes().all(|b| B64TOKEN[usize::from(b)]);
        (in_grammar && text.len() <= MAX_BEARER_LEN).then_some(Self(text))
    }

    /// Returns the secret text. Every caller of this method is a place where the secret could leak.
    #[must_use]
    pub fn expose(&self) -> &'a str {
        self.0
    }
}

impl fmt::Debug for BearerToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken([hidden])")
    }
}

/// The part of a token value before the underscore: `[a-z][a-z0-9]{1,11}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(String);

/// A token prefix that does not match `[a-z][a-z0-9]{1,11}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token prefix is 2 to 12 characters a-z and 0-9, beginning with a letter")]
pub struct InvalidPrefix;

impl Prefix {
    /// Parses a prefix.
    ///
    /// # Errors
    /// [`InvalidPrefix`] if the text does not match `[a-z][a-z0-9]{1,11}`.
    pub fn parse(text: &str) -> Result<Self, InvalidPrefix> {
        let letters = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let begins = text.starts_with(|c: char| c.is_ascii_lowercase());
        if letters && begins && (2..=12).contains(&text.len()) { Ok(Self(text.to_owned())) } else { Err(InvalidPrefix) }
    }

    /// Returns the prefix without the underscore.
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

/// The token values of a deployment: the prefix of issued values, and further prefixes that are accepted.
#[derive(Clone, Debug, Default)]
pub struct TokenFormat {
    issued: Prefix,
    also_accepted: Vec<Prefix>,
}

impl TokenFormat {
    /// Creates a format that issues values with `issued` and also accepts values with `also_accepted`.
    #[must_use]
    pub fn new(issued: Prefix, also_accepted: Vec<Prefix>) -> Self {
        Self { issued, also_accepted }
    }

    /// Returns the accepted prefixes, that of issued values first.
    pub fn prefixes(&self) -> impl Iterator<Item = &Prefix> {
        std::iter::once(&self.issued).chain(&self.also_accepted)
    }

    /// Returns an unanchored regular expression that matches token values.
    #[must_use]
    pub fn pattern(&self) -> String {
        let prefixes: Vec<&str> = self.prefixes().map(Prefix::as_str).collect();
        let digits = RANDOM_CHARS + CHECKSUM_CHARS;
        match prefixes.as_slice() {
            [one] => format!("{one}_[0-9A-Za-z]{{{digits}}}"),
            many => format!("(?:{})_[0-9A-Za-z]{{{digits}}}", many.join("|")),
        }
    }

    /// Returns the digest of a value with an accepted prefix, the exact length, base62 digits and a valid checksum. Such a value need not
    /// have been issued.
    #[must_use]
    pub fn parse_digest(&self, token: BearerToken<'_>) -> Option<TokenDigest> {
        let text = token.expose();
        let (prefix, rest) = text.split_once('_')?;
        let known = self.prefixes().any(|known| known.as_str() == prefix);
        let shaped = rest.len() == RANDOM_CHARS + CHECKSUM_CHARS && rest.bytes().all(|b| b.is_ascii_alphanumeric());
        if !(known && shaped) {
            return None;
        }
        let (body, sum) = text.split_at(text.len() - CHECKSUM_CHARS);
        (checksum(body) == *sum.as_bytes()).then(|| TokenDigest::of(text))
    }

    /// Generates a value. `fill_random` fills a buffer from a cryptographically secure source.
    #[must_use]
    pub fn generate(&self, fill_random: impl FnMut(&mut [u8])) -> TokenValue {
        let mut text = format!("{}_", self.issued.as_str());
        text.push_str(&random_base62(RANDOM_CHARS, fill_random));
        let sum = checksum(&text);
        text.extend(sum.map(char::from));
        TokenValue(text)
    }
}

/// Returns `count` base62 characters, each equally likely. `fill_random` fills a buffer from a cryptographically secure source.
#[must_use]
pub fn random_base62(count: usize, mut fill_random: impl FnMut(&mut [u8])) -> String {
    // 248 is the largest multiple of 62 in a byte. Larger bytes would make the first digits more likely.
    let mut text = String::with_capacity(count);
    while text.len() < count {
        let mut bytes = [0; 64];
        fill_random(&mut bytes);
        let unbiased = bytes.into_iter().filter(|byte| *byte < 248);
        text.extend(unbiased.take(count - text.len()).map(|byte| char::from(BASE62[usize::from(byte) % BASE62.len()])));
    }
    text
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

/// A generated token value, on its way to the one response that contains it.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenValue(String);

impl TokenValue {
    /// Restores a value that was generated earlier and kept encrypted.
    #[must_use]
    pub const fn restore(text: String) -> Self {
        Self(text)
    }

    /// Returns the secret text, for the one response that contains it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the digest, which is stored instead of the value.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        TokenDigest::of(&self.0)
    }

    /// Returns the display prefix, by which people recognize a token: the prefix and four characters, 24 of 256 random bits.
    #[must_use]
    pub fn display_prefix(&self) -> &str {
        let displayed = self.0.len() - RANDOM_CHARS - CHECKSUM_CHARS + DISPLAYED_CHARS;
        &self.0[..displayed]
    }
}

impl fmt::Debug for TokenValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenValue([hidden])")
    }
}

/// The SHA-256 digest of a token value.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    // The input has 256 bits of entropy, so one fast hash is enough.
    fn of(value: &str) -> Self {
        Self(Sha256::digest(value.as_bytes()).into())
    }

    /// Creates a digest from its stored form.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes.
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

#[cfg(test)]
mod tests;
