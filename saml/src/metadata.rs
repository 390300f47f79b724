//! Reading of an identity provider's metadata.

use std::time::SystemTime;

use roxmltree::Node;

use crate::{
    Excerpt, KeyError, StructureError, VerificationKey, XmlError, certificate, document,
    element::{METADATA, PROTOCOL, SIGNATURE, attribute, children, is, required, required_attribute, text},
    encoding::decode_base64,
};

const REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";

/// The metadata of an identity provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityProvider {
    /// The entity ID, which is the issuer of its responses.
    pub entity_id: String,
    /// The address of its single sign-on service for the HTTP Redirect binding.
    pub single_sign_on: String,
    /// The certificates of its signing keys: at least one, and several during a change of the key.
    pub certificates: Vec<SigningCertificate>,
    /// It rejects requests without a signature.
    pub wants_signed_requests: bool,
}

impl IdentityProvider {
    /// Returns the keys for [`Expectations::keys`](crate::Expectations::keys).
    #[must_use]
    pub fn keys(&self) -> Vec<VerificationKey> {
        self.certificates.iter().map(|certificate| certificate.key.clone()).collect()
    }
}

/// A certificate of a signing key. Only its key is relied on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningCertificate {
    /// The key.
    pub key: VerificationKey,
    /// When the certificate expires. The key is valid afterwards, too, but a warning helps.
    pub not_after: SystemTime,
}

/// Metadata that is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// The bytes are not a document that is read.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// The root element is another one.
    #[error("the document is not the metadata of one provider; save its EntityDescriptor as the root element")]
    NotAnEntity,
    /// The metadata is another provider's.
    #[error(
        "the metadata is of {found}, not of {expected}; people are linked to the entity ID, so a change of it needs a new provider"
    )]
    OtherEntity {
        /// The entity ID in the metadata.
        found: Excerpt,
        /// The expected one.
        expected: Excerpt,
    },
    /// An element is missing or ambiguous.
    #[error(transparent)]
    Structure(#[from] StructureError),
    /// The provider does not speak SAML 2.0.
    #[error("the provider does not announce SAML 2.0 in protocolSupportEnumeration")]
    Protocol,
    /// The provider has no address for requests, or several.
    #[error(
        "the metadata has {found} SingleSignOnService addresses for the HTTP Redirect binding; exactly one is needed"
    )]
    SingleSignOn {
        /// The number of addresses.
        found: usize,
    },
    /// The address for requests is not accepted.
    #[error("the SingleSignOnService address {0} is not an https:// address without a fragment")]
    Address(Excerpt),
    /// The provider has no signing certificate.
    #[error("the metadata has no certificate for signing")]
    NoCertificate,
    /// A certificate is not readable.
    #[error("a certificate for signing is not an X.509 certificate in base64")]
    Certificate,
    /// A key cannot verify signatures.
    #[error("a certificate for signing is not usable: {0}")]
    Key(#[from] KeyError),
}

/// Reads the metadata of an identity provider. `entity_id` is the one from an earlier reading.
///
/// The operator vouches for the document: a signature in it is not verified, and its
/// `validUntil` is not read.
///
/// # Errors
///
/// Returns an error for documents that are not unambiguous, and for those of another provider.
pub fn read_metadata(bytes: &[u8], entity_id: Option<&str>) -> Result<IdentityProvider, MetadataError> {
    const NAME: &str = "EntityDescriptor";
    const ROLE: &str = "IDPSSODescriptor";
    let document = document::parse(document::text(bytes)?)?;
    let entity = document.root_element();
    if !is(entity, METADATA, NAME) {
        return Err(MetadataError::NotAnEntity);
    }
    let found = required_attribute(entity, NAME, "entityID")?;
    if let Some(expected) = entity_id.filter(|expected| *expected != found) {
        return Err(MetadataError::OtherEntity { found: found.into(), expected: expected.into() });
    }
    let role = required(entity, NAME, METADATA, ROLE)?;
    let protocols = required_attribute(role, ROLE, "protocolSupportEnumeration")?;
    if !protocols.split_ascii_whitespace().any(|protocol| protocol == PROTOCOL) {
        return Err(MetadataError::Protocol);
    }
    Ok(IdentityProvider {
        entity_id: found.to_owned(),
        single_sign_on: read_single_sign_on(role)?,
        certificates: read_certificates(role)?,
        wants_signed_requests: matches!(attribute(role, "WantAuthnRequestsSigned"), Some("true" | "1")),
    })
}

fn read_single_sign_on(role: Node<'_, '_>) -> Result<String, MetadataError> {
    let services: Vec<_> = children(role, METADATA, "SingleSignOnService")
        .filter(|service| attribute(*service, "Binding") == Some(REDIRECT))
        .collect();
    let [service] = services[..] else { return Err(MetadataError::SingleSignOn { found: services.len() }) };
    let address = required_attribute(service, "SingleSignOnService", "Location")?;
    if is_address(address) { Ok(address.to_owned()) } else { Err(MetadataError::Address(address.into())) }
}

/// Returns whether browsers can be sent to an address. Only loopback addresses need no TLS.
fn is_address(address: &str) -> bool {
    let host_and_path = address.strip_prefix("https://").map(|rest| (rest, false));
    let host_and_path = host_and_path.or_else(|| address.strip_prefix("http://").map(|rest| (rest, true)));
    let Some((rest, needs_loopback)) = host_and_path else { return false };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let is_loopback = ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .any(|host| authority.strip_prefix(host).is_some_and(|port| port.is_empty() || port.starts_with(':')));
    let is_plain = address.bytes().all(|byte| byte.is_ascii_graphic() && !b"#\"<>\\^`{|}".contains(&byte));
    is_plain && !authority.is_empty() && !authority.contains('@') && (is_loopback || !needs_loopback)
}

/// Reads the certificates of keys for signing, or for any use.
fn read_certificates(role: Node<'_, '_>) -> Result<Vec<SigningCertificate>, MetadataError> {
    let mut certificates: Vec<SigningCertificate> = Vec::new();
    for descriptor in children(role, METADATA, "KeyDescriptor") {
        if attribute(descriptor, "use").is_some_and(|purpose| purpose != "signing") {
            continue;
        }
        let key_info = required(descriptor, "KeyDescriptor", SIGNATURE, "KeyInfo")?;
        let data = required(key_info, "KeyInfo", SIGNATURE, "X509Data")?;
        let certificate = required(data, "X509Data", SIGNATURE, "X509Certificate")?;
        let der = decode_base64(text(certificate, "X509Certificate")?).ok_or(MetadataError::Certificate)?;
        let (key, not_after) = certificate::read(&der).ok_or(MetadataError::Certificate)?;
        let certificate = SigningCertificate { key: VerificationKey::from_spki(key)?, not_after };
        if !certificates.contains(&certificate) {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() { Err(MetadataError::NoCertificate) } else { Ok(certificates) }
}
