//! Certificates of directory servers.

use rstest::rstest;
use tokenward::{
    directory::{Directory, DirectoryError, Lookup},
    domain::directory::DirectoryKind,
};

use super::{DirectorySettings, client_of, find, full_text, server_url, settings_of};
use crate::support::directory::{Flavor, ServerCertificate, TestDirectory};

/// Accepts connections by LDAPS and by `StartTLS`.
#[rstest]
#[case::slapd(Flavor::Slapd)]
#[case::samba(Flavor::Samba)]
#[tokio::test]
async fn a_trusted_certificate_is_accepted(#[case] flavor: Flavor) {
    let directory = TestDirectory::start(flavor);
    let servers = vec![server_url(&directory.plain_url)];
    let start_tls = DirectorySettings { servers, start_tls: true, ..settings_of(&directory, &[]) };
    let client = Directory::new(start_tls).unwrap();
    let grace = find(&client, "grace").await;
    assert_eq!(client.check_password(&grace, "grace-password").await.unwrap(), Ok(()));
    assert!(client.check_password(&grace, "wrong").await.unwrap().is_err());

    let report = client_of(&directory, &[]).probe().await.unwrap();
    assert_eq!(report.server, server_url(&directory.url));
    assert!(report.certificate_names.contains(&"localhost".to_owned()), "{report:?}");
    match flavor {
        Flavor::Samba => assert!(report.vendor.contains("Samba"), "{report:?}"),
        Flavor::Slapd => assert_ne!(report.detected_kind, Some(DirectoryKind::ActiveDirectory)),
    }
    assert_eq!(client.probe().await.unwrap().certificate_names, report.certificate_names);
    // The configured name takes the place of the URL's host.
    let named = |name: &str| {
        Directory::new(DirectorySettings { server_name: Some(name.to_owned()), ..settings_of(&directory, &[]) })
            .unwrap()
    };
    assert!(matches!(named("localhost").find_by_login("grace").await, Ok(Lookup::One(_))));
    let failed = named("dc9.example.org").find_by_login("grace").await.unwrap_err();
    assert!(matches!(failed, DirectoryError::CertificateName { .. }), "{failed:?}");
}

/// The error says which name the certificate must have.
#[tokio::test]
async fn a_certificate_that_names_the_server_nowhere_is_rejected() {
    for kind in [ServerCertificate::CommonNameOnly, ServerCertificate::OtherName] {
        let directory = TestDirectory::start_with(Flavor::Slapd, kind);
        let failed = rejection(&directory).await;
        let text = failed.to_string();
        assert!(matches!(failed, DirectoryError::CertificateName { .. }), "{kind:?}: {failed:?}");
        for part in ["subjectAltName", "127.0.0.1", "server_name"] {
            assert!(text.contains(part), "{kind:?}: {text}");
        }
        assert_eq!(text.contains("other.example.org"), kind == ServerCertificate::OtherName, "{text}");
    }
}

#[tokio::test]
async fn an_untrusted_or_expired_certificate_is_rejected() {
    let expectations = [(ServerCertificate::Expired, "expired"), (ServerCertificate::OtherAuthority, "ca_file")];
    for (kind, word) in expectations {
        let directory = TestDirectory::start_with(Flavor::Slapd, kind);
        let failed = rejection(&directory).await;
        assert!(matches!(failed, DirectoryError::Certificate { .. }), "{kind:?}: {failed:?}");
        assert!(failed.to_string().contains(word), "{kind:?}: {}", full_text(&failed));
    }
}

/// Returns the error of a search and of a probe, by LDAPS and by `StartTLS`, which must agree.
async fn rejection(directory: &TestDirectory) -> DirectoryError {
    let servers = vec![server_url(&directory.plain_url)];
    let start_tls = DirectorySettings { servers, start_tls: true, ..settings_of(directory, &[]) };
    let upgraded = Directory::new(start_tls).unwrap().find_by_login("grace").await.unwrap_err();
    let client = client_of(directory, &[]);
    let probed = client.probe().await.unwrap_err();
    let searched = client.find_by_login("grace").await.unwrap_err();
    let kind = std::mem::discriminant(&searched);
    assert_eq!(std::mem::discriminant(&upgraded), kind, "{upgraded:?} {searched:?}");
    assert_eq!(std::mem::discriminant(&probed), kind, "{probed:?} {searched:?}");
    searched
}
