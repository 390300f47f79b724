//! Randomness, as an argument.

use std::fmt;

use super::BASE62;

/// Where random bytes come from: the operating system, or in tests a source that repeats.
#[derive(Clone)]
pub struct Random(std::sync::Arc<Fill>);

type Fill = dyn Fn(&mut [u8]) + Send + Sync;

impl Random {
    /// The operating system's generator.
    ///
    /// # Panics
    /// When filling from it, if the operating system has none: no secret may then be made.
    #[must_use]
    pub fn system() -> Self {
        use rand::TryRng as _;
        #[expect(clippy::expect_used, reason = "without randomness nothing may be issued; the request becomes a 500")]
        Self::from_fn(|bytes| {
            rand::rngs::SysRng.try_fill_bytes(bytes).expect("the operating system gives random bytes");
        })
    }

    /// A source of the caller's own.
    #[must_use]
    pub fn from_fn(fill: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Self {
        Self(std::sync::Arc::new(fill))
    }

    /// `N` random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.0)(&mut bytes);
        bytes
    }

    /// `count` characters base62, each equally likely.
    #[must_use]
    pub fn base62(&self, count: usize) -> String {
        // 248 is the largest multiple of 62 in a byte; what lies above would make the first digits likelier.
        let mut text = String::with_capacity(count);
        while text.len() < count {
            let unbiased = self.bytes::<64>().into_iter().filter(|b| *b < 248);
            text.extend(unbiased.take(count - text.len()).map(|b| char::from(BASE62[usize::from(b) % BASE62.len()])));
        }
        text
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::value::{Format, RANDOM_CHARS, TokenDigest};

    /// Between these, chi square of 61 degrees of freedom has p from 0.001 to 0.999.
    const WITHIN: (f64, f64) = (32.46, 100.89);

    /// Values are as random as they look. Of good values one run in five hundred fails by chance, so that a failure is tried again,
    /// once, with others: a fault fails both.
    #[test]
    fn values_do_not_repeat_and_each_character_is_as_likely_as_the_others() {
        let count =
            if std::env::var("TOKENWARD_TORTURE").is_ok_and(|form| form == "long") { 1_000_000 } else { 100_000 };
        let square = chi_square(count);
        println!("P30: {count} values, 0 duplicates, chi square of the characters {square:.1} (61 degrees of freedom)");
        let is_likely = |square: f64| square > WITHIN.0 && square < WITHIN.1;
        assert!(is_likely(square) || is_likely(chi_square(count)), "{square}");
    }

    fn chi_square(count: usize) -> f64 {
        let (format, random) = (Format::default(), Random::system());
        let mut seen: HashSet<TokenDigest> = HashSet::with_capacity(count);
        let mut counts = [0_u32; 128];
        for _ in 0..count {
            let value = format.make(&random);
            assert!(seen.insert(value.digest()), "a value was made twice");
            value.expose().bytes().skip(4).take(RANDOM_CHARS).for_each(|b| counts[usize::from(b)] += 1);
        }
        let expected = (count * RANDOM_CHARS) as f64 / BASE62.len() as f64;
        BASE62.iter().map(|b| (f64::from(counts[usize::from(*b)]) - expected).powi(2) / expected).sum()
    }
}
