//! The TLS configuration of connections to a provider.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use crate::SettingsError;

/// Returns the configuration of TLS clients: versions 1.2 and 1.3, with certificates of the
/// authorities in the file, or of those of the system.
///
/// # Errors
/// A [`SettingsError`] if the file is unreadable, or if `needs_roots` and there is no authority.
pub(crate) fn client_config(ca_file: Option<&Path>, needs_roots: bool) -> Result<ClientConfig, SettingsError> {
    let roots = ca_file.map_or_else(|| Ok(load_system_roots()), load_ca_file)?;
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
