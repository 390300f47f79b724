//! Authentication of messages and invalidations.
//!
//! `NOTIFY` requires no privilege, so any role that may connect to the database can send text in
//! the format of a message. Each message therefore ends with an HMAC-SHA256 (RFC 2104) over
//! everything before it, under a secret that only the owner of the schema can read.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

use crate::{domain::invalidation::DigestPrefix, store::ClusterSecret};

/// The maximum length of a message. The longest that nodes and triggers send has 163 bytes.
const MAX_MESSAGE_BYTES: usize = 256;
/// The length of an HMAC in hexadecimal digits.
const HMAC_DIGITS: usize = 64;

/// The keys of a cluster: one that signs, and during a rotation of the secret another one that is
/// accepted as well.
#[derive(PartialEq, Eq)]
pub(crate) struct MessageKeys {
    signing: Key,
    accepted: Option<Key>,
}

/// A key of HMAC-SHA256.
#[derive(PartialEq, Eq)]
pub(crate) struct Key([u8; 32]);

/// A message whose HMAC is valid.
pub(crate) struct VerifiedMessage<'a> {
    /// The message without its HMAC.
    pub(crate) text: &'a str,
    pub(crate) hmac: [u8; 32],
    key: &'a Key,
}

impl MessageKeys {
    pub(crate) fn from_secret(secret: &ClusterSecret) -> Self {
        Self { signing: Key(secret.signing), accepted: secret.accepted.map(Key) }
    }

    /// Returns the message, followed by its HMAC.
    pub(crate) fn sign(&self, message: &impl fmt::Display) -> String {
        let message = message.to_string();
        let hmac = self.signing.hmac(&message).finalize().into_bytes();
        format!("{message} {}", hex::encode(hmac))
    }

    /// Returns the message of a line, or `None` if its HMAC is wrong. A line that is too long or
    /// has no HMAC is rejected without hashing.
    pub(crate) fn verify<'a>(&'a self, line: &'a str) -> Option<VerifiedMessage<'a>> {
        if line.len() > MAX_MESSAGE_BYTES {
            return None;
        }
        let (text, hmac) = line.rsplit_once(' ')?;
        let hmac: [u8; HMAC_DIGITS / 2] = from_hex(hmac)?;
        let is_signed_by = |key: &&Key| key.hmac(text).verify_slice(&hmac).is_ok();
        let key = [Some(&self.signing), self.accepted.as_ref()].into_iter().flatten().find(is_signed_by)?;
        Some(VerifiedMessage { text, hmac, key })
    }
}

impl Key {
    fn hmac(&self, text: &str) -> Hmac<Sha256> {
        // HMAC pads a key that is shorter than a block with zeros.
        let mut block = [0; 64];
        block[..32].copy_from_slice(&self.0);
        Hmac::new(&block.into()).chain_update(text)
    }
}

impl VerifiedMessage<'_> {
    /// Removes the mask that the trigger has applied to the digest prefix of a token.
    pub(crate) fn unmask(&self, token_id: Uuid, masked: [u8; 16]) -> DigestPrefix {
        let mask = self.key.hmac(&format!("mask {token_id}")).finalize().into_bytes();
        let mut prefix = masked;
        prefix.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        DigestPrefix(prefix)
    }
}

/// Parses exactly `N` bytes in hexadecimal digits.
pub(crate) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

impl fmt::Debug for MessageKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MessageKeys([hidden])")
    }
}

#[cfg(test)]
pub(crate) fn test_keys(signing: u8, accepted: Option<u8>) -> MessageKeys {
    MessageKeys { signing: Key([signing; 32]), accepted: accepted.map(|byte| Key([byte; 32])) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_signed_with_hmac_sha256() {
        // python3: hmac.new(bytes([7]) * 32, b"leave", "sha256").hexdigest()
        let line = test_keys(7, None).sign(&"leave");
        assert_eq!(line, "leave d8666bbfa6722f8466fc0d7c88d6a74ef91923dfa102dbcfd078497d7dd69226");
    }

    #[test]
    fn only_signed_messages_are_verified() {
        let keys = test_keys(1, None);
        let line = keys.sign(&"ping 1 2");
        assert_eq!(keys.verify(&line).map(|verified| verified.text), Some("ping 1 2"));
        for n in 0..line.len() {
            let mut forged = line.clone().into_bytes();
            forged[n] = if forged[n] == b'0' { b'1' } else { b'0' };
            let forged = String::from_utf8(forged).unwrap();
            assert!(keys.verify(&forged).is_none(), "{forged}");
        }
        for forged in ["", " ", "everything", "ping 1 2", &line[..line.len() - 1], &format!("{line}0"), &line[5..]] {
            assert!(keys.verify(forged).is_none(), "{forged}");
        }
        let too_long = keys.sign(&"x".repeat(MAX_MESSAGE_BYTES));
        assert!(keys.verify(&too_long).is_none());
    }

    #[test]
    fn during_a_rotation_both_secrets_are_accepted_and_one_signs() {
        let old = test_keys(1, None);
        let new = test_keys(2, None);
        for both in [test_keys(1, Some(2)), test_keys(2, Some(1))] {
            assert!(both.verify(&old.sign(&"x")).is_some());
            assert!(both.verify(&new.sign(&"x")).is_some());
        }
        let signed_during_rotation = test_keys(1, Some(2)).sign(&"x");
        assert!(old.verify(&signed_during_rotation).is_some());
        assert!(new.verify(&signed_during_rotation).is_none());
    }

    #[test]
    fn debug_output_hides_the_keys() {
        assert_eq!(format!("{:?}", test_keys(7, Some(8))), "MessageKeys([hidden])");
    }
}
