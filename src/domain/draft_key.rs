//! The encryption of form text that a browser keeps after its session has ended.

use std::fmt;

use chacha20poly1305::{
    Key, KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use uuid::Uuid;
use zeroize::{Zeroize as _, Zeroizing};

use super::{id::PersonId, random::Random};

/// The length of a key in bytes.
const KEY_BYTES: usize = 32;
/// The length of a nonce in bytes. It follows the session ID.
const NONCE_BYTES: usize = 24;
/// The length of a UUID in bytes.
const ID_BYTES: usize = 16;
/// The length of a person ID in bytes.
const PERSON_BYTES: usize = 8;

/// The key of one session. The browser never receives it, so it can neither read nor forge the text.
pub struct DraftKey(Zeroizing<[u8; KEY_BYTES]>);

/// Encrypted form text: session ID, nonce and ciphertext. The ciphertext contains the ID of the
/// person who typed the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedDraft(Vec<u8>);

impl DraftKey {
    /// Generates an unpredictable key.
    #[must_use]
    pub fn generate(random: &Random) -> Self {
        Self(Zeroizing::new(random.bytes()))
    }

    /// Reads a stored key. Returns `None` if it does not have 32 bytes.
    #[must_use]
    pub fn from_bytes(mut bytes: Vec<u8>) -> Option<Self> {
        let key = bytes.as_slice().try_into().ok().map(|key| Self(Zeroizing::new(key)));
        bytes.zeroize();
        key
    }

    /// Returns the 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Encrypts the text that a person typed in a session. Returns `None` if it is too long for the
    /// cipher.
    #[must_use]
    pub fn seal(&self, session_id: Uuid, person_id: PersonId, text: &[u8], random: &Random) -> Option<SealedDraft> {
        let nonce: [u8; NONCE_BYTES] = random.bytes();
        let bound = Zeroizing::new([&person_id.get().to_be_bytes(), text].concat());
        let payload = Payload { msg: &bound, aad: session_id.as_bytes() };
        let ciphertext = self.cipher().encrypt(&XNonce::from(nonce), payload).ok()?;
        Some(SealedDraft([session_id.as_bytes(), nonce.as_slice(), &ciphertext].concat()))
    }

    /// Decrypts a text of this person. Returns `None` if another person typed it, or if it was
    /// encrypted with another key or changed since.
    #[must_use]
    pub fn open(&self, draft: &SealedDraft, person_id: PersonId) -> Option<Vec<u8>> {
        let (session_id, rest) = draft.0.split_first_chunk::<ID_BYTES>()?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: ciphertext, aad: session_id };
        let bound = self.cipher().decrypt(&XNonce::from(*nonce), payload).ok()?;
        let (typed_by, text) = bound.split_first_chunk::<PERSON_BYTES>()?;
        (*typed_by == person_id.get().to_be_bytes()).then(|| text.to_vec())
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(*self.0))
    }
}

impl fmt::Debug for DraftKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DraftKey([hidden])")
    }
}

impl SealedDraft {
    /// Reads bytes of this form. Returns `None` if they are too short. Only [`DraftKey::open`] shows
    /// whether they are authentic.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() > ID_BYTES + NONCE_BYTES).then_some(Self(bytes))
    }

    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the ID of the session in which the text was typed.
    #[must_use]
    pub fn session_id(&self) -> Uuid {
        self.0.first_chunk().map_or(Uuid::nil(), |bytes| Uuid::from_bytes(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: Uuid = Uuid::from_u128(7);

    #[test]
    fn a_draft_opens_with_its_key_for_its_person_only() {
        let random = Random::system();
        let (key, other) = (DraftKey::generate(&random), DraftKey::generate(&random));
        let ada = PersonId::new(1);
        let sealed = key.seal(SESSION, ada, b"a text", &random).unwrap();
        assert_eq!(sealed.session_id(), SESSION);
        assert_eq!(key.open(&sealed, ada).as_deref(), Some(&b"a text"[..]));
        assert_eq!(key.open(&sealed, PersonId::new(2)), None);
        assert_eq!(other.open(&sealed, ada), None);
        assert!(!sealed.as_bytes().windows(6).any(|part| part == b"a text"));
    }

    #[test]
    fn a_changed_draft_does_not_open() {
        let random = Random::system();
        let key = DraftKey::generate(&random);
        let sealed = key.seal(SESSION, PersonId::new(1), b"a text", &random).unwrap();
        for index in 0..sealed.as_bytes().len() {
            let mut bytes = sealed.as_bytes().to_vec();
            bytes[index] ^= 1;
            assert_eq!(key.open(&SealedDraft::from_bytes(bytes).unwrap(), PersonId::new(1)), None, "byte {index}");
        }
        for length in 0..sealed.as_bytes().len() {
            let part = SealedDraft::from_bytes(sealed.as_bytes()[..length].to_vec());
            assert_eq!(part.and_then(|part| key.open(&part, PersonId::new(1))), None, "{length} bytes");
        }
    }

    #[test]
    fn a_key_is_hidden_and_has_32_bytes() {
        let key = DraftKey::generate(&Random::system());
        assert_eq!(format!("{key:?}"), "DraftKey([hidden])");
        assert_eq!(DraftKey::from_bytes(key.as_bytes().to_vec()).unwrap().as_bytes(), key.as_bytes());
        assert!(DraftKey::from_bytes(vec![0; 31]).is_none() && DraftKey::from_bytes(Vec::new()).is_none());
    }
}
