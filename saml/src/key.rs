//! Keys of an identity provider.

use std::fmt;

use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};

use crate::{
    Algorithm,
    der::{Der, INTEGER, OBJECT_IDENTIFIER, SEQUENCE},
};

/// The object identifier of RSA keys (RFC 3279, section 2.3.1).
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// The object identifiers of keys on elliptic curves and of two curves (RFC 5480, section 2.1).
const ELLIPTIC_CURVE: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];

/// The lengths of RSA keys that signatures are verified with, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A public key that signatures of an identity provider are verified with.
///
/// It comes from the metadata that the operator has stored, never from a response.
#[derive(Clone, PartialEq, Eq)]
pub struct VerificationKey {
    kind: Kind,
    /// The form that `ring` expects: an `RSAPublicKey` or an uncompressed point.
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
}

/// A key that cannot verify signatures.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The bytes are not a `SubjectPublicKeyInfo`.
    #[error("the key is not a SubjectPublicKeyInfo in DER")]
    Malformed,
    /// The key has another algorithm.
    #[error("the key is neither RSA nor on the curves P-256 and P-384; use such a key at the identity provider")]
    Unsupported,
    /// The RSA key is too short or too long.
    #[error("the RSA key has {bits} bits; use one of {} to {} bits at the identity provider", RSA_BITS.start(), RSA_BITS.end())]
    RsaLength {
        /// The length of the modulus.
        bits: usize,
    },
}

impl VerificationKey {
    /// Reads a `SubjectPublicKeyInfo` in DER (RFC 5280, section 4.1).
    ///
    /// # Errors
    ///
    /// Returns an error for anything else, and for keys that no accepted signature has.
    pub fn from_spki(spki: &[u8]) -> Result<Self, KeyError> {
        let Spki { algorithm, curve, key: bytes } = read_spki(spki).ok_or(KeyError::Malformed)?;
        let kind = match (algorithm, curve) {
            (RSA, _) => Kind::Rsa,
            (ELLIPTIC_CURVE, Some(P256)) => Kind::P256,
            (ELLIPTIC_CURVE, Some(P384)) => Kind::P384,
            _ => return Err(KeyError::Unsupported),
        };
        if kind == Kind::Rsa {
            let bits = modulus_bits(bytes).ok_or(KeyError::Malformed)?;
            if !RSA_BITS.contains(&bits) {
                return Err(KeyError::RsaLength { bits });
            }
        }
        Ok(Self { kind, bytes: bytes.to_vec() })
    }

    /// Returns whether this is the RSA key with this `RSAPublicKey` in DER.
    pub(crate) fn is_rsa(&self, key: &[u8]) -> bool {
        self.kind == Kind::Rsa && self.bytes == key
    }

    /// Returns whether the signature of the message is by this key.
    pub(crate) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let verification: &'static dyn VerificationAlgorithm = match (algorithm, self.kind) {
            (Algorithm::RsaSha256, Kind::Rsa) => &RSA_PKCS1_2048_8192_SHA256,
            (Algorithm::RsaSha384, Kind::Rsa) => &RSA_PKCS1_2048_8192_SHA384,
            (Algorithm::RsaSha512, Kind::Rsa) => &RSA_PKCS1_2048_8192_SHA512,
            (Algorithm::EcdsaSha256, Kind::P256) => &ECDSA_P256_SHA256_FIXED,
            (Algorithm::EcdsaSha384, Kind::P384) => &ECDSA_P384_SHA384_FIXED,
            _ => return false,
        };
        UnparsedPublicKey::new(verification, &self.bytes).verify(message, signature).is_ok()
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationKey").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// The parts of a `SubjectPublicKeyInfo`.
struct Spki<'a> {
    algorithm: &'a [u8],
    /// The parameters, if they are an object identifier.
    curve: Option<&'a [u8]>,
    key: &'a [u8],
}

fn read_spki(spki: &[u8]) -> Option<Spki<'_>> {
    let mut outer = Der::new(spki);
    let mut contents = outer.enter(SEQUENCE)?;
    let mut identifier = contents.enter(SEQUENCE)?;
    let algorithm = identifier.read(OBJECT_IDENTIFIER)?;
    let curve = identifier.read(OBJECT_IDENTIFIER);
    let key = contents.read_bits()?;
    (outer.is_empty() && contents.is_empty()).then_some(Spki { algorithm, curve, key })
}

fn modulus_bits(key: &[u8]) -> Option<usize> {
    let modulus = Der::new(key).enter(SEQUENCE)?.read(INTEGER)?;
    let first = modulus.iter().position(|byte| *byte != 0)?;
    let significant = modulus.get(first..)?;
    let leading = significant.first()?.leading_zeros();
    (significant.len() * 8).checked_sub(usize::try_from(leading).ok()?)
}
