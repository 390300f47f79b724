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
