//! TLS to a directory server: certificate authorities, and errors with their remedies.

use std::{path::Path, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};

use super::{
    error::DirectoryError,
    settings::{ServerUrl, SettingsError},
};

/// Returns the configuration of TLS clients: versions 1.2 and 1.3, with certificates of the
/// authorities in the file, or of those of the system.
///
/// # Errors
/// A [`SettingsError`] if the file is unreadable, or if there is no certificate authority.
pub(super) fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, SettingsError> {
    let roots = ca_file.map_or_else(load_system_roots, load_ca_file)?;
    if roots.is_empty() {
        return Err(SettingsError::NoRoots);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(SettingsError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn load_ca_file(path: &Path) -> Result<RootCertStore, SettingsError> {
    let unreadable = |source| SettingsError::CaFile { path: path.to_owned(), source };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        roots
            .add(certificate.map_err(unreadable)?)
            .map_err(|source| SettingsError::CaCertificate { path: path.to_owned(), source })?;
    }
    Ok(roots)
}

/// Loads the roots of the system. A root that cannot be read or parsed is left out.
fn load_system_roots() -> Result<RootCertStore, SettingsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    Ok(roots)
}

/// Returns the error for a failed handshake.
pub(super) fn handshake_error(server: &ServerUrl, name: &ServerName<'_>, error: std::io::Error) -> DirectoryError {
    let server = server.clone();
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>()).cloned();
    let Some(rustls::Error::InvalidCertificate(reason)) = cause else {
        return DirectoryError::Tls { server, source: error };
    };
    let expected = name.to_str().into_owned();
    match reason {
        CertificateError::NotValidForNameContext { presented, .. } => {
            let presented = presented.iter().map(|name| without_type(name)).collect();
            DirectoryError::CertificateName { server, expected, presented }
        }
        CertificateError::NotValidForName => {
            DirectoryError::CertificateName { server, expected, presented: Vec::new() }
        }
        reason => DirectoryError::Certificate { server, remedy: remedy(&reason) },
    }
}

fn remedy(reason: &CertificateError) -> &'static str {
    match reason {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "set ca_file to the certificate authority that issued it"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired; renew it",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet; check the clocks of both machines"
        }
        CertificateError::Revoked => "it was revoked; replace it",
        _ => "replace it by a certificate for a server, of version 3, that is not the authority's own",
    }
}

/// Returns the names in the `subjectAltName` of a certificate.
pub(super) fn certificate_names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = webpki::EndEntityCert::try_from(certificate) else { return Vec::new() };
    // The error of a comparison with an impossible name lists all names, also addresses.
    let Ok(impossible) = ServerName::try_from("certificate-names.invalid") else { return Vec::new() };
    match certificate.verify_is_valid_for_subject_name(&impossible) {
        Err(webpki::Error::CertNotValidForName(context)) => {
            context.presented.iter().map(|name| without_type(name)).collect()
        }
        _ => Vec::new(),
    }
}

/// Converts `DnsName("localhost")` and `IpAddress(127.0.0.1)` to the name alone.
fn without_type(presented: &str) -> String {
    let inner = presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(presented);
    inner.trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake_text(reason: CertificateError) -> String {
        let server = ServerUrl::parse("ldaps://10.0.0.1").unwrap();
        let name = ServerName::try_from("dc1.example.org").unwrap();
        let cause = rustls::Error::InvalidCertificate(reason);
        handshake_error(&server, &name, std::io::Error::new(std::io::ErrorKind::InvalidData, cause)).to_string()
    }

    fn name_mismatch(presented: &[&str]) -> String {
        handshake_text(CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("dc1.example.org").unwrap(),
            presented: presented.iter().map(|name| (*name).to_owned()).collect(),
        })
    }

    #[test]
    fn errors_of_certificates_state_the_remedy() {
        let none = name_mismatch(&[]);
        assert!(none.contains("names no server in subjectAltName; it must name dc1.example.org"), "{none}");
        let other = name_mismatch(&["DnsName(\"dc2.example.org\")", "IpAddress(10.0.0.2)"]);
        assert!(other.contains("names dc2.example.org, 10.0.0.2 in subjectAltName"), "{other}");
        for (reason, remedy) in [
            (CertificateError::UnknownIssuer, "set ca_file"),
            (CertificateError::Expired, "renew it"),
            (CertificateError::BadEncoding, "replace it"),
        ] {
            let text = handshake_text(reason);
            assert!(text.starts_with("the certificate of ldaps://10.0.0.1:636") && text.contains(remedy), "{text}");
        }
    }

    #[test]
    fn the_names_of_a_certificate_are_listed() {
        let certificate = CertificateDer::from_pem_slice(include_bytes!("tests/ca.pem")).unwrap();
        assert_eq!(certificate_names(&certificate), ["ca.example.org", "192.0.2.1"]);
        assert!(certificate_names(&CertificateDer::from(vec![0])).is_empty());
    }
}
