//! The TLS configuration of connections to a provider.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use crate::SettingsError;

/// The certificate authorities that are accepted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Authorities<'a> {
    /// Those of the system.
    System,
    /// Those in a PEM file.
    File(&'a Path),
    /// Those of the system, and those in a PEM file.
    SystemAndFile(&'a Path),
}

impl Authorities<'_> {
    fn load(self) -> Result<RootCertStore, SettingsError> {
        match self {
            Self::System => Ok(load_system_roots()),
            Self::File(path) => load_ca_file(path),
            Self::SystemAndFile(path) => {
                let mut roots = load_ca_file(path)?;
                roots.extend(load_system_roots().roots);
                Ok(roots)
            }
        }
    }
}

/// Returns the configuration of TLS clients: versions 1.2 and 1.3, with certificates of the
/// authorities.
///
/// # Errors
/// A [`SettingsError`] if the file is unreadable, or if `needs_roots` and there is no authority.
pub(crate) fn client_config(authorities: Authorities<'_>, needs_roots: bool) -> Result<ClientConfig, SettingsError> {
    let roots = authorities.load()?;
    if roots.is_empty() && needs_roots {
        return Err(SettingsError::NoRoots);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(SettingsError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

fn load_ca_file(path: &Path) -> Result<RootCertStore, SettingsError> {
    let unreadable = |source| SettingsError::CaFile { path: path.to_owned(), source };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        roots
            .add(certificate.map_err(unreadable)?)
            .map_err(|source| SettingsError::CaCertificate { path: path.to_owned(), source })?;
    }
    // A named file without a certificate is a mistake, even where no TLS is used.
    if roots.is_empty() { Err(SettingsError::NoRoots) } else { Ok(roots) }
}

/// Loads the roots of the system. A root that cannot be read or parsed is left out.
fn load_system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}
