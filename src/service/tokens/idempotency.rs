//! Encryption of stored idempotent responses. The key is derived from the request, so the database
//! alone does not reveal the token value.

use chacha20poly1305::{
    Key, KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{
    domain::{ValidationError, random::Random},
    store::IdempotentRequest,
};
use tokenward_guard::{Principal, token_format::TokenValue};

/// The length of a nonce in bytes. It precedes the ciphertext.
const NONCE_BYTES: usize = 24;

/// An idempotency key of a client. It is a secret while the response is stored, so it is not
/// printed.
pub struct IdempotencyKey(Zeroizing<String>);

/// The encryption key and record key of an idempotency key of one caller.
pub(super) struct IdempotencyCipher {
    record_key: [u8; 32],
    encryption_key: Zeroizing<[u8; 32]>,
}

impl IdempotencyKey {
    /// Parses a key of 16 to 255 visible ASCII characters. Shorter keys could be guessed with
    /// access to the database.
    ///
    /// # Errors
    /// [`ValidationError::IdempotencyKeyFormat`] if the text is no such key.
    pub fn parse(text: &str) -> Result<Self, ValidationError> {
        let fits = (16..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(Self(Zeroizing::new(text.to_owned()))) } else { Err(ValidationError::IdempotencyKeyFormat) }
    }
}

impl IdempotencyCipher {
    /// Derives the keys. The same idempotency key gives other keys for another person or another
    /// credential.
    pub(super) fn new(key: &IdempotencyKey, caller: &Principal) -> Self {
        let token_id = caller.token().map_or_else(|| "password".to_owned(), |token| token.id.to_string());
        let derive = |purpose: &str| {
            let parts = ["tokenward idempotency", purpose, &caller.person_id.to_string(), &token_id, key.0.as_str()];
            let mut hash = Sha256::new();
            parts.iter().for_each(|part| hash.update(format!("{}:{part}", part.len())));
            <[u8; 32]>::from(hash.finalize())
        };
        Self { record_key: derive("name"), encryption_key: Zeroizing::new(derive("key")) }
    }

    /// Encrypts a token value to the record that is stored.
    pub(super) fn encrypt(&self, value: &TokenValue, body: [u8; 32], random: &Random) -> Option<IdempotentRequest> {
        let nonce: [u8; NONCE_BYTES] = random.bytes();
        let encrypted_value =
            self.aead().encrypt(&XNonce::from(nonce), self.payload(value.expose().as_bytes())).ok()?;
        Some(IdempotentRequest {
            key_digest: self.record_key,
            body_digest: body,
            encrypted_value: [nonce.as_slice(), &encrypted_value].concat(),
        })
    }

    /// Decrypts a stored token value.
    pub(super) fn decrypt(&self, encrypted_value: &[u8]) -> Option<TokenValue> {
        let (nonce, encrypted_value) = encrypted_value.split_first_chunk::<NONCE_BYTES>()?;
        let value = self.aead().decrypt(&XNonce::from(*nonce), self.payload(encrypted_value)).ok()?;
        String::from_utf8(value).ok().map(TokenValue::restore)
    }

    fn aead(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(*self.encryption_key))
    }

    fn payload<'a>(&'a self, text: &'a [u8]) -> Payload<'a, 'a> {
        Payload { msg: text, aad: &self.record_key }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokenward_guard::token_format::TokenFormat;

    #[test]
    fn value_decrypts_only_with_the_same_key_and_caller() {
        let random = Random::system();
        let value = TokenFormat::default().generate(|bytes| random.fill(bytes));
        let (ada, eve) = (Principal::for_tests(1, "a@b.c"), Principal::for_tests(2, "e@b.c"));
        let key = IdempotencyKey::parse("0123456789abcdef").unwrap();
        let other = IdempotencyKey::parse("0123456789abcdeg").unwrap();
        let record = IdempotencyCipher::new(&key, &ada).encrypt(&value, [1; 32], &random).unwrap();
        assert_eq!(IdempotencyCipher::new(&key, &ada).decrypt(&record.encrypted_value), Some(value.clone()));
        for cipher in [IdempotencyCipher::new(&other, &ada), IdempotencyCipher::new(&key, &eve)] {
            assert_eq!(cipher.decrypt(&record.encrypted_value), None);
            assert_ne!(cipher.record_key, record.key_digest);
        }
        for n in [0, NONCE_BYTES, record.encrypted_value.len() - 1] {
            let mut damaged = record.encrypted_value.clone();
            damaged[n] ^= 1;
            assert_eq!(IdempotencyCipher::new(&key, &ada).decrypt(&damaged), None, "{n}");
        }
        assert!(
            !record.encrypted_value.windows(8).any(|part| value
                .expose()
                .as_bytes()
                .windows(8)
                .any(|text| text == part))
        );
    }

    #[test]
    fn guessable_keys_are_rejected() {
        for invalid in ["", "short", "with space in the key", "schlüsselschlüssel", &"x".repeat(256)] {
            assert!(IdempotencyKey::parse(invalid).is_err(), "{invalid}");
        }
        assert!(IdempotencyKey::parse("8e03978e-40d5-43dd-bc93-6894a57f9324").is_ok());
    }
}
