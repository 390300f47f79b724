//! Verification of enveloped XML signatures
//! (<https://www.w3.org/TR/2008/REC-xmldsig-core-20080610/>).
//!
//! The result of a verification is not a yes: it is the bytes that were digested. Claims are read
//! from [`Digested`] only, so a mistake in the canonicalization can make a genuine response fail,
//! but nothing is read that the identity provider has not signed.

use roxmltree::{Document, Node};

use crate::{
    Algorithm, Excerpt, VerificationKey,
    canonical::canonicalize,
    document::{self, XmlError},
    element::{SIGNATURE, attribute, is, text},
    encoding::decode_base64,
    signed_info::{SignedInfo, canonicalization_prefixes, only},
};

/// A signature that is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The signature has missing, additional or repeated elements.
    #[error(
        "the signature has another structure than SAML 2.0 prescribes: one SignedInfo with one Reference, one SignatureValue"
    )]
    Structure,
    /// The signature or digest algorithm is not accepted.
    #[error(
        "the algorithm {0} of the signature or digest is not accepted; use RSA or ECDSA with SHA-256, SHA-384 or SHA-512 at the identity provider"
    )]
    Algorithm(Excerpt),
    /// The transforms or the canonicalization are not accepted.
    #[error(
        "the transforms of the signature are not accepted; use enveloped-signature and exclusive canonicalization without comments at the identity provider"
    )]
    Transforms,
    /// The reference is not to the ID of the element that contains the signature.
    #[error("the signature does not refer to the ID of the element that contains it")]
    Reference,
    /// No pinned key has made the signature.
    #[error(
        "the signature is by none of the keys in the identity provider's metadata; if the provider has changed its key, replace the stored metadata"
    )]
    Key,
    /// The signed element was changed.
    #[error("the digest of the signed element does not match; the response was changed after it was signed")]
    Digest,
    /// The bytes that were digested are not a document within the limits.
    #[error(transparent)]
    Xml(#[from] XmlError),
}

/// The canonical form of an element whose digest and signature were verified.
pub(crate) struct Digested {
    text: String,
    algorithm: Algorithm,
}

/// A parsed [`Digested`].
pub(crate) struct DigestedDocument<'a> {
    document: Document<'a>,
    algorithm: Algorithm,
}

impl Digested {
    /// Parses the digested bytes.
    pub(crate) fn parse(&self) -> Result<DigestedDocument<'_>, XmlError> {
        Ok(DigestedDocument { document: document::parse(&self.text)?, algorithm: self.algorithm })
    }
}

impl DigestedDocument<'_> {
    pub(crate) const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn root(&self) -> Node<'_, '_> {
        self.document.root_element()
    }
}

/// The maximum number of nodes of `SignedInfo`, which is canonicalized before a key is checked.
const MAX_SIGNED_INFO_NODES: usize = 128;

/// Verifies a signature of the element that is its parent.
pub(crate) fn verify(
    signed: Node<'_, '_>,
    signature: Node<'_, '_>,
    keys: &[VerificationKey],
) -> Result<Digested, SignatureError> {
    let (signed_info, value) = parts(signature)?;
    // The prefixes of SignedInfo are needed before it is verified. A forged list changes the bytes.
    let method = signed_info.first_element_child().ok_or(SignatureError::Structure)?;
    let prefixes = canonicalization_prefixes(method)?;
    // Anyone can have written it. The accepted form has about 30 nodes.
    if signed_info.descendants().nth(MAX_SIGNED_INFO_NODES).is_some() {
        return Err(SignatureError::Structure);
    }
    let signed_info_text = canonicalize(signed_info, None, &prefixes)?;
    // Everything else is read from the bytes that are verified.
    let signed_info_document = document::parse(&signed_info_text)?;
    let signed_info = SignedInfo::read(signed_info_document.root_element())?;

    let value = text(value, "SignatureValue").ok().and_then(decode_base64).ok_or(SignatureError::Structure)?;
    let is_by = |key: &VerificationKey| key.verifies(signed_info.algorithm, signed_info_text.as_bytes(), &value);
    if !keys.iter().any(is_by) {
        return Err(SignatureError::Key);
    }
    if attribute(signed, "ID") != Some(signed_info.id.as_str()) {
        return Err(SignatureError::Reference);
    }
    let text = canonicalize(signed, Some(signature.id()), &signed_info.inclusive)?;
    if !signed_info.has_digest_of(text.as_bytes()) {
        return Err(SignatureError::Digest);
    }
    Ok(Digested { text, algorithm: signed_info.algorithm })
}

/// Returns `SignedInfo` and `SignatureValue`. `KeyInfo` may follow and is not read.
fn parts<'a, 'input>(signature: Node<'a, 'input>) -> Result<(Node<'a, 'input>, Node<'a, 'input>), SignatureError> {
    let last = signature.last_element_child().ok_or(SignatureError::Structure)?;
    let [signed_info, value] = if is(last, SIGNATURE, "KeyInfo") {
        let [signed_info, value, _key_info] = only(signature, ["SignedInfo", "SignatureValue", "KeyInfo"])?;
        [signed_info, value]
    } else {
        only(signature, ["SignedInfo", "SignatureValue"])?
    };
    Ok((signed_info, value))
}
