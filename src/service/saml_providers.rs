//! The SAML 2.0 providers of the configuration.

use std::{fmt, time::SystemTime};

use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, pem::PemObject as _};
use tokenward_saml::{
    IdentityProvider, MetadataError, NameIdRule, RequestSigner, ServiceProvider, SignerError, read_metadata,
};
use zeroize::Zeroizing;

use super::provider_list::{ProviderList, RedirectProvider};
use crate::domain::{allow_rule::AllowRule, directory::ProviderName};

/// The configuration of a SAML provider.
pub struct SamlProviderSettings {
    pub name: ProviderName,
    /// The metadata of the provider, as its file has it.
    pub metadata: Vec<u8>,
    /// The entity ID of this service; `None`: the URL of its metadata.
    pub entity_id: Option<String>,
    pub subject: SamlSubject,
    pub email_attribute: String,
    pub name_attribute: String,
    pub groups_attribute: String,
    /// The private key that signs requests, and its certificate, in PEM.
    pub request_key: Option<Zeroizing<String>>,
    /// The URL of this service, without a trailing slash.
    pub public_url: String,
    /// The groups whose members may sign in. No other person is admitted.
    pub rules: Vec<AllowRule>,
}

/// The part of an assertion that identifies an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SamlSubject {
    /// A `NameID` with this format, which the requests ask for.
    NameId(NameIdFormat),
    /// The only value of an attribute.
    Attribute(String),
}

/// The formats of a `NameID` that can identify an account. A transient one cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameIdFormat {
    Persistent,
    EmailAddress,
    Unspecified,
}

impl NameIdFormat {
    /// Returns the identifier (SAML core, section 8.3).
    #[must_use]
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Persistent => "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
            Self::EmailAddress => "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
            Self::Unspecified => "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
        }
    }
}

/// A SAML provider cannot be used as configured.
#[derive(Debug, thiserror::Error)]
#[error("sso.{provider}.{key}")]
pub struct InvalidSamlProvider {
    pub provider: ProviderName,
    pub key: &'static str,
    pub source: SamlSettingsError,
}

/// The reason why a SAML provider cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SamlSettingsError {
    #[error("cannot use the metadata of the identity provider")]
    Metadata(#[from] MetadataError),
    #[error("the file has no private key in PKCS #8, as \"BEGIN PRIVATE KEY\"")]
    NoKey,
    #[error("the file has no certificate of the key, as \"BEGIN CERTIFICATE\"; add it below the key")]
    NoCertificate,
    #[error(transparent)]
    Signer(#[from] SignerError),
    #[error("the certificate in the file is of another key")]
    OtherCertificate,
}

/// A SAML provider.
pub struct SamlProvider {
    name: ProviderName,
    metadata: IdentityProvider,
    entity_id: String,
    metadata_url: String,
    acs_url: String,
    pub(super) subject: SamlSubject,
    pub(super) email_attribute: String,
    pub(super) name_attribute: String,
    pub(super) groups_attribute: String,
    signer: Option<SigningKey>,
    rules: Vec<AllowRule>,
}

/// The key that signs requests.
struct SigningKey {
    signer: RequestSigner,
    /// The certificate in DER.
    certificate: Vec<u8>,
}

/// All SAML providers. Cheap to clone.
pub type SamlProviders = ProviderList<SamlProvider>;

impl SamlProviders {
    /// Reads the metadata and the keys of all providers.
    ///
    /// # Errors
    /// [`InvalidSamlProvider`] if metadata or a key cannot be used.
    pub fn new(settings: Vec<SamlProviderSettings>) -> Result<Self, InvalidSamlProvider> {
        settings.into_iter().map(SamlProvider::new).collect()
    }
}

impl RedirectProvider for SamlProvider {
    fn name(&self) -> &str {
        self.name.as_str()
    }

    fn issuer(&self) -> &str {
        &self.metadata.entity_id
    }

    fn rules(&self) -> &[AllowRule] {
        &self.rules
    }
}

impl SamlProvider {
    fn new(settings: SamlProviderSettings) -> Result<Self, InvalidSamlProvider> {
        let provider = settings.name.clone();
        let invalid = |key, source| InvalidSamlProvider { provider, key, source };
        let metadata = match read_metadata(&settings.metadata, None) {
            Ok(metadata) => metadata,
            Err(error) => return Err(invalid("metadata_file", error.into())),
        };
        let signer = match settings.request_key.as_deref().map(|pem| SigningKey::from_pem(pem)).transpose() {
            Ok(signer) => signer,
            Err(error) => return Err(invalid("sign_requests_key", error)),
        };
        let base = format!("{}/sign-in/{}", settings.public_url, settings.name);
        let metadata_url = format!("{base}/metadata");
        Ok(Self {
            name: settings.name,
            metadata,
            entity_id: settings.entity_id.unwrap_or_else(|| metadata_url.clone()),
            metadata_url,
            acs_url: format!("{base}/acs"),
            subject: settings.subject,
            email_attribute: settings.email_attribute,
            name_attribute: settings.name_attribute,
            groups_attribute: settings.groups_attribute,
            signer,
            rules: settings.rules,
        })
    }

    /// Returns whether the metadata asks for signed requests, and there is no key. Some providers ask for them
    /// whatever they accept, such as Keycloak.
    #[must_use]
    pub fn lacks_request_key(&self) -> bool {
        self.metadata.wants_signed_requests && self.signer.is_none()
    }

    /// Returns the metadata of the provider.
    #[must_use]
    pub fn metadata(&self) -> &IdentityProvider {
        &self.metadata
    }

    /// Returns the entity ID of this service at the provider.
    #[must_use]
    pub fn entity_id(&self) -> &str {
        &self.entity_id
    }

    /// Returns the URL of the metadata of this service.
    #[must_use]
    pub fn metadata_url(&self) -> &str {
        &self.metadata_url
    }

    /// Returns the URL that receives responses.
    #[must_use]
    pub fn acs_url(&self) -> &str {
        &self.acs_url
    }

    /// Returns the format of the `NameID` that requests ask for.
    #[must_use]
    pub fn name_id_format(&self) -> Option<&'static str> {
        if let SamlSubject::NameId(format) = &self.subject { Some(format.uri()) } else { None }
    }

    /// Returns whether requests are signed.
    #[must_use]
    pub fn signs_requests(&self) -> bool {
        self.signer.is_some()
    }

    /// Returns the key that signs requests.
    pub(super) fn signer(&self) -> Option<&RequestSigner> {
        self.signer.as_ref().map(|key| &key.signer)
    }

    /// Returns the rule for the `NameID` of an assertion.
    pub(super) fn name_id_rule(&self) -> NameIdRule {
        match self.subject {
            SamlSubject::NameId(_) => NameIdRule::Stable,
            SamlSubject::Attribute(_) => NameIdRule::Any,
        }
    }

    /// Returns the metadata of this service for the provider.
    #[must_use]
    pub fn own_metadata(&self) -> String {
        let service = ServiceProvider {
            entity_id: &self.entity_id,
            acs_url: &self.acs_url,
            name_id_format: self.name_id_format(),
            signing_certificate: self.signer.as_ref().map(|key| key.certificate.as_slice()),
        };
        service.metadata()
    }

    /// Returns how many certificates of the provider have expired. Their keys are accepted nevertheless.
    #[must_use]
    pub fn count_expired_certificates(&self, now: SystemTime) -> usize {
        self.metadata.certificates.iter().filter(|certificate| certificate.not_after < now).count()
    }
}

impl SigningKey {
    fn from_pem(pem: &str) -> Result<Self, SamlSettingsError> {
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| SamlSettingsError::NoKey)?;
        let signer = RequestSigner::from_pkcs8(key.secret_pkcs8_der())?;
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes());
        let certificate = certificate.map_err(|_| SamlSettingsError::NoCertificate)?.to_vec();
        if !signer.has_certificate(&certificate) {
            return Err(SamlSettingsError::OtherCertificate);
        }
        Ok(Self { signer, certificate })
    }
}

/// Shows no key.
impl fmt::Debug for SamlProviderSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SamlProviderSettings").field("name", &self.name).finish_non_exhaustive()
    }
}
