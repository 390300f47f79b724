//! Authenticates what nodes tell each other.
//!
//! NOTIFY needs no privilege, so any role of the server may send what looks like a message of ours. Each message therefore ends
//! with an HMAC-SHA256 over all of it that comes before, under a secret that only the owner of the schema can read.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

use crate::cache::invalidation::TokenName;
use crate::store::ClusterSecret;

/// The longest message; ours have at most 170 bytes.
const LONGEST: usize = 256;
/// Hexadecimal digits of a code.
const CODE_DIGITS: usize = 64;

/// The keys of a cluster: one signs, and while the secret is rotated another is accepted as well.
#[derive(PartialEq, Eq)]
pub(crate) struct Keys {
    signing: Key,
    accepted: Option<Key>,
}

#[derive(PartialEq, Eq)]
pub(crate) struct Key([u8; 32]);

/// A message whose code is right.
pub(crate) struct Opened<'a> {
    pub(crate) text: &'a str,
    pub(crate) code: [u8; 32],
    key: &'a Key,
}

impl Keys {
    pub(crate) fn of(secret: &ClusterSecret) -> Self {
        Self { signing: Key(secret.signing), accepted: secret.accepted.map(Key) }
    }

    /// The message with its code.
    pub(crate) fn sign(&self, message: &impl fmt::Display) -> String {
        let text = message.to_string();
        let code: [u8; 32] = self.signing.hmac(&text).finalize().into_bytes().into();
        let mut line = text;
        line.push(' ');
        code.iter().for_each(|byte| line.push_str(&format!("{byte:02x}")));
        line
    }

    /// The message of a line, if its code is right. What cannot be one costs no hash.
    pub(crate) fn open<'a>(&'a self, line: &'a str) -> Option<Opened<'a>> {
        if line.len() > LONGEST {
            return None;
        }
        let (text, code) = line.rsplit_once(' ')?;
        let code: [u8; CODE_DIGITS / 2] = from_hex(code)?;
        let signed_by = |key: &&Key| key.hmac(text).verify_slice(&code).is_ok();
        let key = [Some(&self.signing), self.accepted.as_ref()].into_iter().flatten().find(signed_by)?;
        Some(Opened { text, code, key })
    }
}

impl Key {
    fn hmac(&self, text: &str) -> Hmac<Sha256> {
        // A key of the length of a block, which is what HMAC makes of a shorter one.
        let mut block = [0; 64];
        block[..32].copy_from_slice(&self.0);
        Hmac::new(&block.into()).chain_update(text)
    }
}

impl Opened<'_> {
    /// Takes the mask off the name of a token. The trigger that announces it puts it on.
    pub(crate) fn unmask(&self, token_id: Uuid, masked: [u8; 16]) -> TokenName {
        let mask = self.key.hmac(&format!("mask {token_id}")).finalize().into_bytes();
        let mut name = masked;
        name.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        TokenName(name)
    }
}

/// Reads exactly so many bytes in hexadecimal digits.
pub(crate) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (n, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * n..2 * n + 2], 16).ok()?;
    }
    Some(bytes)
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys([hidden])")
    }
}

#[cfg(test)]
pub(crate) fn test_keys(signing: u8, accepted: Option<u8>) -> Keys {
    Keys { signing: Key([signing; 32]), accepted: accepted.map(|byte| Key([byte; 32])) }
}

#[cfg(test)]
mod tests {
    use super::{test_keys as keys, *};

    #[test]
    fn the_code_is_that_of_rfc_2104() {
        // python3: hmac.new(bytes([7]) * 32, b"left", "sha256").hexdigest()
        let line = keys(7, None).sign(&"left");
        assert_eq!(line, "left bf0703d27a010d2cd023d6a2989cf1006d61c74e86edd84e9b0b55ba884c02d6");
    }

    #[test]
    fn what_was_signed_is_opened_and_nothing_else_is() {
        let keys_of_now = keys(1, None);
        let line = keys_of_now.sign(&"call 1 2");
        assert_eq!(keys_of_now.open(&line).map(|opened| opened.text), Some("call 1 2"));
        for n in 0..line.len() {
            let mut forged = line.clone().into_bytes();
            forged[n] = if forged[n] == b'0' { b'1' } else { b'0' };
            let forged = String::from_utf8(forged).unwrap();
            assert!(keys_of_now.open(&forged).is_none(), "{forged}");
        }
        for forged in ["", " ", "everything", "call 1 2", &line[..line.len() - 1], &format!("{line}0"), &line[5..]] {
            assert!(keys_of_now.open(forged).is_none(), "{forged}");
        }
        let long = keys_of_now.sign(&"x".repeat(LONGEST));
        assert!(keys_of_now.open(&long).is_none());
    }

    #[test]
    fn while_a_secret_is_rotated_both_are_accepted_and_one_signs() {
        let (old, new) = (keys(1, None), keys(2, None));
        for both in [keys(1, Some(2)), keys(2, Some(1))] {
            assert!(both.open(&old.sign(&"x")).is_some() && both.open(&new.sign(&"x")).is_some());
        }
        assert!(old.open(&keys(1, Some(2)).sign(&"x")).is_some());
        assert!(new.open(&keys(1, Some(2)).sign(&"x")).is_none());
    }

    #[test]
    fn keys_are_not_printed() {
        assert_eq!(format!("{:?}", keys(7, Some(8))), "Keys([hidden])");
    }
}
