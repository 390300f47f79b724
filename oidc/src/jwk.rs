//! The keys of an issuer (RFC 7517).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// The minimum size of an RSA key, in bits.
pub(crate) const MIN_RSA_BITS: usize = 2048;

/// The algorithms that are accepted with RSA keys.
const RSA_ALGORITHMS: [Algorithm; 6] =
    [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];

/// A set of keys. Keys that verify nothing here are left out: those for encryption, with a shared
/// secret, or of unknown kinds.
pub(crate) struct KeySet {
    keys: Vec<Key>,
}

/// A public key.
pub(crate) struct Key {
    id: Option<String>,
    /// The algorithms that the kind of the key and its member `alg` allow.
    pub(crate) algorithms: Vec<Algorithm>,
    /// `None` for an RSA key that is too short.
    pub(crate) key: Option<DecodingKey>,
}

#[derive(Deserialize)]
struct SetDocument {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct KeyDocument {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Parses a JWKS. Returns `None` if the text is none.
    pub(crate) fn parse(document: &[u8]) -> Option<Self> {
        let SetDocument { keys } = serde_json::from_slice(document).ok()?;
        let keys = keys.into_iter().filter_map(|key| Key::from_document(serde_json::from_value(key).ok()?)).collect();
        Some(Self { keys })
    }

    /// Returns the keys with an ID, or all of them without one.
    pub(crate) fn find(&self, id: Option<&str>) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(move |key| id.is_none() || key.id.as_deref() == id)
    }
}

impl Key {
    fn from_document(document: KeyDocument) -> Option<Self> {
        let is_for_signatures = document.usage.as_deref().is_none_or(|usage| usage == "sig")
            && document.key_ops.as_ref().is_none_or(|operations| operations.iter().any(|name| name == "verify"));
        if !is_for_signatures {
            return None;
        }
        let (mut algorithms, key) = match (document.kty.as_str(), document.crv.as_deref()) {
            ("RSA", _) => (RSA_ALGORITHMS.to_vec(), rsa_key(&document)?),
            ("EC", Some("P-256")) => (vec![Algorithm::ES256], Some(curve_key(&document, 32)?)),
            ("EC", Some("P-384")) => (vec![Algorithm::ES384], Some(curve_key(&document, 48)?)),
            ("OKP", Some("Ed25519")) => {
                let x = decode(document.x.as_deref())?;
                (vec![Algorithm::EdDSA], (x.len() == 32).then(|| Some(DecodingKey::from_ed_der(&x)))?)
            }
            _ => return None,
        };
        if let Some(only) = &document.alg {
            let only = only.parse().ok()?;
            algorithms.retain(|algorithm| *algorithm == only);
        }
        (!algorithms.is_empty()).then_some(Self { id: document.kid, algorithms, key })
    }
}

/// Returns the key, or `Some(None)` if it is too short.
#[expect(clippy::option_option, reason = "no key at all is not the same as one that is too short")]
fn rsa_key(document: &KeyDocument) -> Option<Option<DecodingKey>> {
    let [n, e] = [decode(document.n.as_deref())?, decode(document.e.as_deref())?];
    // Some providers write a leading zero byte, which ring does not accept.
    let [n, e] = [&n, &e].map(|number| &number[number.iter().take_while(|byte| **byte == 0).count()..]);
    let leading_zeros = n.first()?.leading_zeros() as usize;
    let is_long_enough = n.len() * 8 - leading_zeros >= MIN_RSA_BITS;
    Some(is_long_enough.then(|| DecodingKey::from_rsa_raw_components(n, e)))
}

/// Returns a key of an elliptic curve as an uncompressed point.
fn curve_key(document: &KeyDocument, coordinate_bytes: usize) -> Option<DecodingKey> {
    let [x, y] = [decode(document.x.as_deref())?, decode(document.y.as_deref())?];
    let has_size = x.len() == coordinate_bytes && y.len() == coordinate_bytes;
    has_size.then(|| DecodingKey::from_ec_der(&[&[4], x.as_slice(), y.as_slice()].concat()))
}

fn decode(text: Option<&str>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?).ok()
}
