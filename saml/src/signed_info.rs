//! The statements of a signature about the signed element.

use roxmltree::Node;

use crate::{
    Algorithm, SignatureError,
    algorithm::{DigestAlgorithm, ENVELOPED_SIGNATURE, EXCLUSIVE_CANONICALIZATION},
    canonical::PrefixList,
    element::{SIGNATURE, attribute, is, text},
    encoding::decode_base64,
};

/// The contents of `SignedInfo`, limited to the only accepted form.
pub(crate) struct SignedInfo {
    pub(crate) algorithm: Algorithm,
    /// The ID of the signed element.
    pub(crate) id: String,
    /// The prefixes with which the signed element is canonicalized.
    pub(crate) inclusive: PrefixList,
    digest_algorithm: DigestAlgorithm,
    digest: Vec<u8>,
}

impl SignedInfo {
    /// Reads `SignedInfo`. Every element that is not expected is an error.
    pub(crate) fn read(signed_info: Node<'_, '_>) -> Result<Self, SignatureError> {
        let [canonicalization, method, reference] =
            only(signed_info, ["CanonicalizationMethod", "SignatureMethod", "Reference"])?;
        canonicalization_prefixes(canonicalization)?;
        let algorithm = algorithm_of(method, Algorithm::from_uri)?;
        let _: [_; 0] = only(method, [])?;

        let [transforms, digest_method, digest_value] = only(reference, ["Transforms", "DigestMethod", "DigestValue"])?;
        let uri = attribute(reference, "URI").ok_or(SignatureError::Reference)?;
        let id = uri.strip_prefix('#').filter(|id| !id.is_empty()).ok_or(SignatureError::Reference)?;
        let [enveloped, canonicalized] = only(transforms, ["Transform", "Transform"])?;
        if attribute(enveloped, "Algorithm") != Some(ENVELOPED_SIGNATURE) {
            return Err(SignatureError::Transforms);
        }
        let _: [_; 0] = only(enveloped, [])?;
        let inclusive = canonicalization_prefixes(canonicalized)?;
        let digest_algorithm = algorithm_of(digest_method, DigestAlgorithm::from_uri)?;
        let digest = text(digest_value, "DigestValue").ok().and_then(decode_base64).ok_or(SignatureError::Structure)?;
        Ok(Self { algorithm, id: id.to_owned(), inclusive, digest_algorithm, digest })
    }

    /// Returns whether the digest is the one of these bytes.
    pub(crate) fn has_digest_of(&self, bytes: &[u8]) -> bool {
        self.digest_algorithm.of(bytes) == self.digest
    }
}

/// Returns the child elements if they are exactly these of the namespace of signatures, in order.
pub(crate) fn only<'a, 'input, const N: usize>(
    parent: Node<'a, 'input>,
    names: [&'static str; N],
) -> Result<[Node<'a, 'input>; N], SignatureError> {
    let found: Vec<_> = parent.children().filter(Node::is_element).collect();
    let found: [_; N] = found.try_into().map_err(|_| SignatureError::Structure)?;
    if found.iter().zip(names).all(|(element, name)| is(*element, SIGNATURE, name)) {
        Ok(found)
    } else {
        Err(SignatureError::Structure)
    }
}

/// Reads an element that names exclusive canonicalization, and returns its prefixes.
pub(crate) fn canonicalization_prefixes(method: Node<'_, '_>) -> Result<PrefixList, SignatureError> {
    if attribute(method, "Algorithm") != Some(EXCLUSIVE_CANONICALIZATION) {
        return Err(SignatureError::Transforms);
    }
    let mut parameters = method.children().filter(Node::is_element);
    match (parameters.next(), parameters.next()) {
        (None, _) => Ok(PrefixList::default()),
        (Some(list), None) if is(list, EXCLUSIVE_CANONICALIZATION, "InclusiveNamespaces") => {
            PrefixList::parse(attribute(list, "PrefixList").unwrap_or_default()).ok_or(SignatureError::Transforms)
        }
        _ => Err(SignatureError::Transforms),
    }
}

fn algorithm_of<A>(method: Node<'_, '_>, from_uri: impl Fn(&str) -> Option<A>) -> Result<A, SignatureError> {
    let uri = attribute(method, "Algorithm").unwrap_or_default();
    from_uri(uri).ok_or_else(|| SignatureError::Algorithm(uri.into()))
}
