//! The secrets of one sign-in.

use std::{fmt, time::SystemTime};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::digest;

use crate::Secret;

/// The characters of 32 bytes in base64url.
const PART_CHARS: usize = 43;

/// One sign-in, from the authorization request to the code exchange. The caller finds it by
/// [`state`](Self::state) and uses it once. `Debug` prints no secret.
#[derive(Clone)]
pub struct Flow {
    state: Secret,
    nonce: Secret,
    code_verifier: Secret,
    prompt: Prompt,
}

/// The proof that a sign-in demands of the provider. It is a part of the [`Flow`], so the code
/// exchange demands what the authorization request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// A session at the provider suffices.
    None,
    /// The person authenticates again (`prompt=login` and `max_age=0`). The code exchange denies an
    /// ID token without `auth_time`, or with one before `since`. A minute of leeway is allowed.
    Login {
        /// The time at which the flow began.
        since: SystemTime,
    },
}

/// A stored flow is not one that [`Flow::from_bytes`] generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the parts of a sign-in flow must be {PART_CHARS} characters of base64url each; start the sign-in again")]
pub struct InvalidFlow;

impl Flow {
    /// Generates a flow from random bytes: 32 each for `state`, `nonce` and `code_verifier`, in
    /// base64url.
    #[must_use]
    pub fn from_bytes(random: [u8; 96], prompt: Prompt) -> Self {
        let [state, nonce, code_verifier] =
            [0, 1, 2].map(|part| Secret::new(URL_SAFE_NO_PAD.encode(&random[part * 32..][..32])));
        Self { state, nonce, code_verifier, prompt }
    }

    /// Restores a stored flow.
    ///
    /// # Errors
    /// [`InvalidFlow`] if a part is not 32 bytes in base64url.
    pub fn from_parts(
        state: String,
        nonce: String,
        code_verifier: String,
        prompt: Prompt,
    ) -> Result<Self, InvalidFlow> {
        let [state, nonce, code_verifier] = [state, nonce, code_verifier].map(Secret::new);
        let is_part = |part: &Secret| {
            let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            part.expose().len() == PART_CHARS && part.expose().bytes().all(is_base64url)
        };
        if ![&state, &nonce, &code_verifier].into_iter().all(is_part) {
            return Err(InvalidFlow);
        }
        Ok(Self { state, nonce, code_verifier, prompt })
    }

    /// Returns the value that comes back in the query of the callback.
    #[must_use]
    pub fn state(&self) -> &str {
        self.state.expose()
    }

    /// Returns the value that the ID token must have.
    #[must_use]
    pub fn nonce(&self) -> &str {
        self.nonce.expose()
    }

    /// Returns the secret that the code exchange presents (RFC 7636).
    #[must_use]
    pub fn code_verifier(&self) -> &str {
        self.code_verifier.expose()
    }

    /// Returns the proof that the sign-in demands.
    #[must_use]
    pub const fn prompt(&self) -> Prompt {
        self.prompt
    }

    /// Returns the challenge of the code verifier, by the method S256 (RFC 7636, section 4.2).
    pub(crate) fn code_challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, self.code_verifier().as_bytes()))
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow").field("prompt", &self.prompt).finish_non_exhaustive()
    }
}
