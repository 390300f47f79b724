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
