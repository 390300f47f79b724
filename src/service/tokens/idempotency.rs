//! A value that was given out is kept for a while for whoever sends the same request again: encrypted under a key that only the
//! request gives.

use chacha20poly1305::{
    Key, KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{
    domain::{Invalid, random::Random},
    store::Once,
};
use tokenward_guard::{Principal, token_format::TokenValue};

const NONCE_BYTES: usize = 24;

/// By what a client says that a request is the same as one before. Secret while its answer is kept, so it is not printed.
pub struct IdempotencyKey(Zeroizing<String>);

/// A key together with whose it is.
pub(super) struct Seal {
    name: [u8; 32],
    key: Zeroizing<[u8; 32]>,
}

impl IdempotencyKey {
    /// Takes 16 to 255 visible ASCII characters. What is shorter could be guessed by whoever has the store.
    ///
    /// # Errors
    /// [`Invalid::IdempotencyKey`].
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let fits = (16..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(Self(Zeroizing::new(text.to_owned()))) } else { Err(Invalid::IdempotencyKey) }
    }
}

impl Seal {
    /// The same key of another person, or with another credential, is another key.
    pub(super) fn new(key: &IdempotencyKey, caller: &Principal) -> Self {
        let token_id = caller.token().map_or_else(|| "password".to_owned(), |token| token.id.to_string());
        let derive = |purpose: &str| {
            let parts = ["tokenward idempotency", purpose, &caller.person_id.to_string(), &token_id, key.0.as_str()];
            let mut hash = Sha256::new();
            parts.iter().for_each(|part| hash.update(format!("{}:{part}", part.len())));
            <[u8; 32]>::from(hash.finalize())
        };
        Self { name: derive("name"), key: Zeroizing::new(derive("key")) }
    }

    /// What is kept of a request and its answer.
    pub(super) fn close(&self, value: &TokenValue, body: [u8; 32], random: &Random) -> Option<Once> {
        let nonce: [u8; NONCE_BYTES] = random.bytes();
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), self.payload(value.expose().as_bytes())).ok()?;
        Some(Once { key: self.name, body, sealed: [nonce.as_slice(), &sealed].concat() })
    }

    /// The value that was kept.
    pub(super) fn open(&self, sealed: &[u8]) -> Option<TokenValue> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let value = self.cipher().decrypt(&XNonce::from(*nonce), self.payload(sealed)).ok()?;
        String::from_utf8(value).ok().map(TokenValue::restore)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(*self.key))
    }

    fn payload<'a>(&'a self, text: &'a [u8]) -> Payload<'a, 'a> {
        Payload { msg: text, aad: &self.name }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokenward_guard::token_format::TokenFormat;

    #[test]
    fn a_key_opens_what_it_closed_and_no_other_does() {
        let random = Random::system();
        let value = TokenFormat::default().generate(|bytes| random.fill(bytes));
        let (ada, eve) = (Principal::for_tests(1, "a@b.c"), Principal::for_tests(2, "e@b.c"));
        let key = IdempotencyKey::parse("0123456789abcdef").unwrap();
        let other = IdempotencyKey::parse("0123456789abcdeg").unwrap();
        let once = Seal::new(&key, &ada).close(&value, [1; 32], &random).unwrap();
        assert_eq!(Seal::new(&key, &ada).open(&once.sealed), Some(value.clone()));
        for seal in [Seal::new(&other, &ada), Seal::new(&key, &eve)] {
            assert_eq!(seal.open(&once.sealed), None);
            assert_ne!(seal.name, once.key);
        }
        for n in [0, NONCE_BYTES, once.sealed.len() - 1] {
            let mut damaged = once.sealed.clone();
            damaged[n] ^= 1;
            assert_eq!(Seal::new(&key, &ada).open(&damaged), None, "{n}");
        }
        assert!(!once.sealed.windows(8).any(|part| value.expose().as_bytes().windows(8).any(|text| text == part)));
    }

    #[test]
    fn keys_that_could_be_guessed_are_refused() {
        for wrong in ["", "short", "with space in the key", "schlüsselschlüssel", &"x".repeat(256)] {
            assert!(IdempotencyKey::parse(wrong).is_err(), "{wrong}");
        }
        assert!(IdempotencyKey::parse("8e03978e-40d5-43dd-bc93-6894a57f9324").is_ok());
    }
}
