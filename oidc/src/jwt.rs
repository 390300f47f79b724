//! Signed JWTs (RFC 7515, RFC 7519): the header and the signature.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, errors::ErrorKind};
use serde::{Deserialize, de::IgnoredAny};

use crate::{
    Denial,
    claims::Claims,
    jwk::{KeySet, MIN_RSA_BITS},
    unique_json::{DUPLICATE_NAME, UniqueObject},
};

/// The longest JWT, in bytes.
pub(crate) const MAX_JWT_BYTES: usize = 256 * 1024;
/// The maximum number of keys that are tried for a JWT without key ID.
const MAX_KEYS_TRIED: usize = 16;

/// The accepted algorithms. Those with a shared secret are absent, so a public key is never taken
/// for one.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// The header of a JWT, which is not verified yet.
#[derive(Debug)]
pub(crate) struct Header {
    algorithm: Algorithm,
    key_id: Option<String>,
}

/// A JWT that is not accepted.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Newer keys may verify it.
    NoKey(Denial),
    /// No key changes that.
    Denied(Denial),
}

impl From<Failure> for Denial {
    fn from(failure: Failure) -> Self {
        let (Failure::NoKey(denial) | Failure::Denied(denial)) = failure;
        denial
    }
}

#[derive(Deserialize)]
struct HeaderDocument {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<IgnoredAny>,
}

impl Header {
    /// Parses the header of a JWT. Its type is absent, or one of `types`.
    pub(crate) fn parse(token: &str, types: &[&str]) -> Result<Self, Denial> {
        if token.len() > MAX_JWT_BYTES {
            return Err(Denial::TooLong { limit: MAX_JWT_BYTES });
        }
        let mut parts = token.split('.');
        let (Some(header), Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(Denial::Malformed);
        };
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| Denial::Malformed)?;
        let HeaderDocument { alg, kid, typ, crit } =
            serde_json::from_slice(&header).map_err(|error| classify(&error))?;
        if crit.is_some() {
            return Err(Denial::CriticalHeader);
        }
        let algorithm = alg.parse().ok().filter(|algorithm| ALGORITHMS.contains(algorithm));
        let algorithm = algorithm.ok_or(Denial::Algorithm)?;
        if let Some(typ) = &typ {
            // RFC 7515, section 4.1.9: the prefix may be left out, and the case does not matter.
            let typ = typ.to_ascii_lowercase();
            let typ = typ.strip_prefix("application/").unwrap_or(&typ);
            if !types.contains(&typ) {
                return Err(Denial::Type);
            }
        }
        Ok(Self { algorithm, key_id: kid })
    }

    /// Verifies the signature of the JWT that has this header, and returns its claims.
    pub(crate) fn verify(&self, token: &str, keys: &KeySet) -> Result<Claims, Failure> {
        let mut failure = Failure::NoKey(Denial::UnknownKey);
        let mut tried = 0;
        for key in keys.find(self.key_id.as_deref()) {
            if !key.algorithms.contains(&self.algorithm) {
                if tried == 0 && self.key_id.is_some() {
                    failure = Failure::Denied(Denial::AlgorithmOfKey);
                }
                continue;
            }
            let Some(key_material) = &key.key else {
                failure = Failure::Denied(Denial::WeakKey { minimum: MIN_RSA_BITS });
                continue;
            };
            match verify_with(token, key_material, &key.algorithms) {
                Err(Denial::Signature) if self.key_id.is_none() => failure = Failure::NoKey(Denial::Signature),
                Err(Denial::Signature) => failure = Failure::Denied(Denial::Signature),
                result => return result.map_err(Failure::Denied),
            }
            tried += 1;
            if tried == MAX_KEYS_TRIED {
                break;
            }
        }
        Err(failure)
    }
}

fn verify_with(token: &str, key: &DecodingKey, algorithms: &[Algorithm]) -> Result<Claims, Denial> {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.algorithms = algorithms.to_vec();
    // The library compares with the clock of the system. `claims` has all checks of claims.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    match jsonwebtoken::decode::<UniqueObject>(token, key, &validation) {
        Ok(decoded) => Ok(Claims(decoded.claims.0)),
        Err(error) => Err(match error.kind() {
            ErrorKind::InvalidSignature => Denial::Signature,
            ErrorKind::InvalidAlgorithm => Denial::AlgorithmOfKey,
            ErrorKind::Json(error) => classify(error),
            _ => Denial::Malformed,
        }),
    }
}

/// Distinguishes a duplicate name from other errors of JSON.
fn classify(error: &serde_json::Error) -> Denial {
    let text = error.to_string();
    let is_duplicate = text.starts_with(DUPLICATE_NAME) || text.starts_with("duplicate field");
    if is_duplicate { Denial::DuplicateClaim } else { Denial::Malformed }
}
