//! The source of random bytes, passed as an argument so that tests can use a seeded one.

use std::fmt;

use tokenward_guard::token_format::random_base62;

/// A source of random bytes: the operating system, or a seeded one in tests.
#[derive(Clone)]
pub struct Random(std::sync::Arc<Fill>);

type Fill = dyn Fn(&mut [u8]) + Send + Sync;

impl Random {
    /// Returns the generator of the operating system.
    ///
    /// # Panics
    /// The returned source panics if the operating system provides no random bytes.
    #[must_use]
    pub fn system() -> Self {
        use rand::TryRng as _;
        #[expect(
            clippy::expect_used,
            reason = "no secret may be generated without randomness; the request fails with 500"
        )]
        Self::from_fn(|bytes| {
            rand::rngs::SysRng.try_fill_bytes(bytes).expect("the operating system provides random bytes");
        })
    }

    /// Creates a source from a function that fills a buffer.
    #[must_use]
    pub fn from_fn(fill: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Self {
        Self(std::sync::Arc::new(fill))
    }

    /// Returns `N` random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.0)(&mut bytes);
        bytes
    }

    /// Fills a buffer with random bytes.
    pub fn fill(&self, bytes: &mut [u8]) {
        (self.0)(bytes);
    }

    /// Returns `count` base62 characters, each equally likely.
    #[must_use]
    pub fn base62(&self, count: usize) -> String {
        random_base62(count, |bytes| self.fill(bytes))
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

    use tokenward_guard::token_format::{TokenDigest, TokenFormat};

    use super::*;

    const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    /// The random characters of a token value, without its prefix and checksum.
    const RANDOM_CHARS: usize = 43;
    /// The range in which chi-square with 61 degrees of freedom has p from 0.001 to 0.999.
    const CHI_SQUARE_RANGE: (f64, f64) = (32.46, 100.89);

    /// One of 500 runs fails by chance, so a failure is repeated once with other values. A defect
    /// fails both times.
    #[test]
    fn values_do_not_repeat_and_all_characters_are_equally_likely() {
        let is_long_run = std::env::var("RESILIENCE_LONG").is_ok_and(|value| value == "1");
        let count = if is_long_run { 1_000_000 } else { 100_000 };
        let is_likely = |statistic: f64| statistic > CHI_SQUARE_RANGE.0 && statistic < CHI_SQUARE_RANGE.1;
        let statistic = chi_square(count);
        println!("{count} token values, no duplicates, chi-square {statistic:.1} (61 degrees of freedom)");
        assert!(is_likely(statistic) || is_likely(chi_square(count)), "{statistic}");
    }

    /// Generates token values and returns the chi-square statistic of their random characters.
    fn chi_square(count: usize) -> f64 {
        let format = TokenFormat::default();
        let random = Random::system();
        let mut digests: HashSet<TokenDigest> = HashSet::with_capacity(count);
        let mut occurrences = [0_u32; 128];
        for _ in 0..count {
            let value = format.generate(|bytes| random.fill(bytes));
            assert!(digests.insert(value.digest()), "the same value was generated twice");
            let random_chars = value.expose().bytes().skip("twd_".len()).take(RANDOM_CHARS);
            random_chars.for_each(|byte| occurrences[usize::from(byte)] += 1);
        }
        let expected = (count * RANDOM_CHARS) as f64 / BASE62.len() as f64;
        let deviation = |byte: &u8| (f64::from(occurrences[usize::from(*byte)]) - expected).powi(2) / expected;
        BASE62.iter().map(deviation).sum()
    }
}
