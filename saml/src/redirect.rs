//! The HTTP Redirect binding (SAML bindings, section 3.4).

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::{
    rand::SecureRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};

use crate::{Algorithm, RequestError, VerificationKey, certificate, encoding::encode_base64};

/// Everything but the unreserved characters of RFC 3986, section 2.3.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Signs requests with RSA and SHA-256.
pub struct RequestSigner {
    key: RsaKeyPair,
}

/// A key that cannot sign requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key for signing requests is not an RSA key of 2048 to 4096 bits in PKCS #8")]
pub struct SignerError;

impl RequestSigner {
    /// Reads a private RSA key in PKCS #8, in DER.
    ///
    /// # Errors
    ///
    /// Returns an error for any other key.
    pub fn from_pkcs8(key: &[u8]) -> Result<Self, SignerError> {
        RsaKeyPair::from_pkcs8(key).map(|key| Self { key }).map_err(|_| SignerError)
    }

    /// Returns whether a certificate in DER is for this key, so that it can be published as the one
    /// of the requests.
    #[must_use]
    pub fn has_certificate(&self, certificate: &[u8]) -> bool {
        let read = certificate::read(certificate).and_then(|(key, _)| VerificationKey::from_spki(key).ok());
        read.is_some_and(|key| key.is_rsa(self.key.public().as_ref()))
    }

    fn sign(&self, message: &str, random: &dyn SecureRandom) -> Result<String, RequestError> {
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, random, message.as_bytes(), &mut signature)
            .map_err(|_| RequestError::Signing)?;
        Ok(encode_base64(&signature))
    }
}

/// Shows nothing of the key.
impl fmt::Debug for RequestSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestSigner").finish_non_exhaustive()
    }
}

/// Returns the address that sends a request through the browser.
pub(crate) fn address(
    destination: &str,
    request: &str,
    relay_state: Option<&str>,
    signer: Option<(&RequestSigner, &dyn SecureRandom)>,
) -> Result<String, RequestError> {
    let compressed = deflate(request.as_bytes()).ok_or(RequestError::TooLong)?;
    let mut query = String::new();
    push_parameter(&mut query, "SAMLRequest", &encode_base64(&compressed));
    if let Some(relay_state) = relay_state {
        if relay_state.len() > 80 {
            return Err(RequestError::RelayState { bytes: relay_state.len() });
        }
        push_parameter(&mut query, "RelayState", relay_state);
    }
    if let Some((signer, random)) = signer {
        push_parameter(&mut query, "SigAlg", Algorithm::RsaSha256.uri());
        let signature = signer.sign(&query, random)?;
        push_parameter(&mut query, "Signature", &signature);
    }
    let separator = match destination.find('?') {
        None => "?",
        Some(at) if at + 1 == destination.len() => "",
        Some(_) => "&",
    };
    Ok(format!("{destination}{separator}{query}"))
}

fn push_parameter(query: &mut String, name: &str, value: &str) {
    if !query.is_empty() {
        query.push('&');
    }
    query.push_str(name);
    query.push('=');
    query.extend(utf8_percent_encode(value, ESCAPED));
}

/// Returns one stored block (RFC 1951, section 3.2.4), which needs no compressor. A block has at
/// most 65,535 bytes.
fn deflate(bytes: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(bytes.len()).ok()?;
    let mut block = vec![1];
    block.extend(length.to_le_bytes());
    block.extend((!length).to_le_bytes());
    block.extend(bytes);
    Some(block)
}
