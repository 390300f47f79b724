//! Keys and signatures of a provider.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair, RsaPublicKeyComponents},
};
use serde_json::{Value, json};

const RSA: &[u8] = include_bytes!("keys/test-rsa-2048.pk8");
const P256: &[u8] = include_bytes!("keys/test-p-256.pk8");
const P384: &[u8] = include_bytes!("keys/test-p-384.pk8");
const ED25519: &[u8] = include_bytes!("keys/test-ed25519.pk8");

/// A key of a provider. Its ID is `rsa`, `p256`, `p384` or `ed25519`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestKey {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl TestKey {
    pub const ALL: [Self; 4] = [Self::Rsa, Self::P256, Self::P384, Self::Ed25519];

    pub const fn id(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::P256 => "p256",
            Self::P384 => "p384",
            Self::Ed25519 => "ed25519",
        }
    }

    /// Returns the public key as a JWK without `alg`.
    pub fn jwk(self) -> Value {
        let kid = self.id();
        match self {
            Self::Rsa => {
                let RsaPublicKeyComponents { n, e } = rsa_components();
                json!({ "kty": "RSA", "kid": kid, "use": "sig", "n": encode(&n), "e": encode(&e) })
            }
            Self::P256 => ec_jwk(kid, "P-256", ecdsa(P256, &signature::ECDSA_P256_SHA256_FIXED_SIGNING)),
            Self::P384 => ec_jwk(kid, "P-384", ecdsa(P384, &signature::ECDSA_P384_SHA384_FIXED_SIGNING)),
            Self::Ed25519 => {
                let x = encode(ed25519().public_key().as_ref());
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x })
            }
        }
    }

    /// Signs a payload by the algorithm in the header.
    pub fn sign(self, header: &Value, payload: &str) -> String {
        self.sign_as(header["alg"].as_str().unwrap(), header, payload)
    }

    /// Signs a payload by an algorithm that may be another one than that in the header.
    pub fn sign_as(self, algorithm: &str, header: &Value, payload: &str) -> String {
        let message = message(header, payload);
        let signature = self.signature(algorithm, message.as_bytes());
        format!("{message}.{}", encode(&signature))
    }

    fn signature(self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let padding: &dyn signature::RsaEncoding = match (self, algorithm) {
            (Self::Rsa, "RS256") => &signature::RSA_PKCS1_SHA256,
            (Self::Rsa, "RS384") => &signature::RSA_PKCS1_SHA384,
            (Self::Rsa, "RS512") => &signature::RSA_PKCS1_SHA512,
            (Self::Rsa, "PS256") => &signature::RSA_PSS_SHA256,
            (Self::Rsa, "PS384") => &signature::RSA_PSS_SHA384,
            (Self::Rsa, "PS512") => &signature::RSA_PSS_SHA512,
            (Self::P256, "ES256") => {
                let key = ecdsa(P256, &signature::ECDSA_P256_SHA256_FIXED_SIGNING);
                return key.sign(&random, message).unwrap().as_ref().to_vec();
            }
            (Self::P384, "ES384") => {
                let key = ecdsa(P384, &signature::ECDSA_P384_SHA384_FIXED_SIGNING);
                return key.sign(&random, message).unwrap().as_ref().to_vec();
            }
            (Self::Ed25519, "EdDSA") => return ed25519().sign(message).as_ref().to_vec(),
            other => panic!("{other:?}"),
        };
        let key = RsaKeyPair::from_pkcs8(RSA).unwrap();
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(padding, &random, message, &mut signature).unwrap();
        signature
    }
}

/// Returns the part of a JWT that is signed.
pub fn message(header: &Value, payload: &str) -> String {
    format!("{}.{}", encode(header.to_string().as_bytes()), encode(payload.as_bytes()))
}

pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn rsa_components() -> RsaPublicKeyComponents<Vec<u8>> {
    RsaPublicKeyComponents::from(RsaKeyPair::from_pkcs8(RSA).unwrap().public())
}

fn ecdsa(key: &[u8], algorithm: &'static signature::EcdsaSigningAlgorithm) -> EcdsaKeyPair {
    EcdsaKeyPair::from_pkcs8(algorithm, key, &SystemRandom::new()).unwrap()
}

fn ed25519() -> Ed25519KeyPair {
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(ED25519).unwrap()
}

#[expect(clippy::needless_pass_by_value, reason = "the callers have no other use for the key")]
fn ec_jwk(kid: &str, curve: &str, key: EcdsaKeyPair) -> Value {
    let point = &key.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    json!({ "kty": "EC", "crv": curve, "kid": kid, "x": encode(x), "y": encode(y) })
}
