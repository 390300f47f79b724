//! The accepted algorithms of XML signatures.

use std::fmt;

use ring::digest::{SHA256, SHA384, SHA512, digest};

/// Exclusive canonicalization without comments.
pub(crate) const EXCLUSIVE_CANONICALIZATION: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
/// The transform that removes the signature from what it signs.
pub(crate) const ENVELOPED_SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

/// A signature algorithm that is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// RSA PKCS #1 v1.5 with SHA-256.
    RsaSha256,
    /// RSA PKCS #1 v1.5 with SHA-384.
    RsaSha384,
    /// RSA PKCS #1 v1.5 with SHA-512.
    RsaSha512,
    /// ECDSA on P-256 with SHA-256.
    EcdsaSha256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaSha384,
}

/// The identifiers of RFC 6931 and RFC 9231.
const ALGORITHMS: [(Algorithm, &str, &str); 5] = [
    (Algorithm::RsaSha256, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "rsa-sha256"),
    (Algorithm::RsaSha384, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384", "rsa-sha384"),
    (Algorithm::RsaSha512, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512", "rsa-sha512"),
    (Algorithm::EcdsaSha256, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", "ecdsa-sha256"),
    (Algorithm::EcdsaSha384, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384", "ecdsa-sha384"),
];

impl Algorithm {
    pub(crate) fn from_uri(uri: &str) -> Option<Self> {
        ALGORITHMS.iter().find(|(_, known, _)| *known == uri).map(|(algorithm, ..)| *algorithm)
    }

    /// Returns the identifier of the algorithm in XML signatures.
    #[must_use]
    pub fn uri(self) -> &'static str {
        ALGORITHMS.iter().find(|(algorithm, ..)| *algorithm == self).map_or("", |(_, uri, _)| uri)
    }
}

/// The short name, such as `rsa-sha256`.
impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ALGORITHMS.iter().find(|(algorithm, ..)| algorithm == self).map_or("", |(.., name)| name))
    }
}

/// A digest algorithm that is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DigestAlgorithm {
    Sha256,
    Sha384,
    Sha512,
}

impl DigestAlgorithm {
    pub(crate) fn from_uri(uri: &str) -> Option<Self> {
        match uri {
            "http://www.w3.org/2001/04/xmlenc#sha256" => Some(Self::Sha256),
            "http://www.w3.org/2001/04/xmldsig-more#sha384" => Some(Self::Sha384),
            "http://www.w3.org/2001/04/xmlenc#sha512" => Some(Self::Sha512),
            _ => None,
        }
    }

    pub(crate) fn of(self, bytes: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha256 => &SHA256,
            Self::Sha384 => &SHA384,
            Self::Sha512 => &SHA512,
        };
        digest(algorithm, bytes).as_ref().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::{ALGORITHMS, Algorithm};

    #[test]
    fn identifiers_are_found_both_ways() {
        for (algorithm, uri, name) in ALGORITHMS {
            assert_eq!(Algorithm::from_uri(uri), Some(algorithm));
            assert_eq!((algorithm.uri(), algorithm.to_string()), (uri, name.to_owned()));
        }
        assert_eq!(Algorithm::from_uri("http://www.w3.org/2000/09/xmldsig#rsa-sha1"), None);
    }
}
