//! The metadata of identity providers.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use tokenward_saml::{KeyError, MetadataError, StructureError, VerificationKey, XmlError, read_metadata};

use crate::{
    fixtures,
    support::{
        ISSUER, UNSIGNED, edit, now,
        openssl::certificate,
        read,
        signing::{KEY, Signed, sign},
    },
};

fn read_error(text: &str) -> MetadataError {
    read_metadata(text.as_bytes(), None).unwrap_err()
}

fn descriptor(purpose: &str, certificate: &[u8]) -> String {
    format!(
        "<md:KeyDescriptor{purpose}><ds:KeyInfo><ds:X509Data><ds:X509Certificate>\n{}\n</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>",
        BASE64_STANDARD.encode(certificate)
    )
}

/// Returns the metadata of the fixtures with other keys.
fn with_keys(descriptors: &str) -> String {
    let text = fixtures::file("idp.xml");
    let start = text.find("<md:KeyDescriptor").unwrap();
    let end = text.rfind("</md:KeyDescriptor>").unwrap() + "</md:KeyDescriptor>".len();
    format!("{}{descriptors}{}", &text[..start], &text[end..])
}

fn pem(name: &str) -> Vec<u8> {
    let text = fixtures::file(name);
    let lines: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    BASE64_STANDARD.decode(lines).unwrap()
}

#[test]
fn the_metadata_of_a_provider_is_read() {
    let text = fixtures::file("idp.xml");
    for expected in [None, Some(ISSUER)] {
        let provider = read_metadata(text.as_bytes(), expected).unwrap();
        assert_eq!(
            (provider.entity_id.as_str(), provider.single_sign_on.as_str()),
            (ISSUER, "https://idp.example/sso")
        );
        assert_eq!((provider.certificates.len(), provider.wants_signed_requests), (3, false));
        // The certificates were issued at 10:00 for a year.
        let not_after = now() + Duration::from_secs(365 * 86_400 - 60);
        assert!(provider.certificates.iter().all(|certificate| certificate.not_after == not_after));
    }
    let wants = edit(&text, r#"WantAuthnRequestsSigned="false""#, r#"WantAuthnRequestsSigned="true""#);
    assert!(read_metadata(wants.as_bytes(), None).unwrap().wants_signed_requests);
}

/// During a change of the key, both are accepted. Keys for encryption are not.
#[test]
fn only_keys_for_signing_are_pinned() {
    let (rsa, p256) = (pem("rsa.pem"), pem("p256.pem"));
    let two = with_keys(&[descriptor("", &rsa), descriptor(r#" use="signing""#, &p256)].concat());
    let keys = read_metadata(two.as_bytes(), None).unwrap().keys();
    assert_eq!(keys.len(), 2);
    for name in ["pysaml2_assertion.xml", "xmlsec1_torture.xml"] {
        assert!(read(&fixtures::file(name), &keys).is_ok());
    }
    assert!(read(&sign(UNSIGNED, Signed::Both), &keys).is_err());

    let rotated = with_keys(&[descriptor(r#" use="encryption""#, &rsa), descriptor("", &p256)].concat());
    let keys = read_metadata(rotated.as_bytes(), None).unwrap().keys();
    assert_eq!(keys.len(), 1);
    assert!(read(&fixtures::file("pysaml2_assertion.xml"), &keys).is_err());

    let same_twice = with_keys(&descriptor("", &rsa).repeat(2));
    assert_eq!(read_metadata(same_twice.as_bytes(), None).unwrap().certificates.len(), 1);
    // A certificate of another role, or of a signature of the metadata, is not a key of the provider.
    let elsewhere = with_keys(&descriptor("", &rsa)).replace(
        "<md:IDPSSODescriptor",
        &format!(
            "<md:SPSSODescriptor>{}</md:SPSSODescriptor><ds:Signature>{}</ds:Signature><md:IDPSSODescriptor",
            descriptor("", &p256),
            descriptor("", &p256)
        ),
    );
    assert_eq!(read_metadata(elsewhere.as_bytes(), None).unwrap().keys().len(), 1);
    assert_eq!(read_error(&with_keys("")), MetadataError::NoCertificate);
    assert_eq!(read_error(&with_keys(&descriptor(r#" use="encryption""#, &rsa))), MetadataError::NoCertificate);
}

#[test]
fn metadata_of_another_provider_is_rejected() {
    let text = fixtures::file("idp.xml");
    let other = read_metadata(text.as_bytes(), Some("https://idp.example/metadata/")).unwrap_err();
    assert!(matches!(other, MetadataError::OtherEntity { .. }), "{other}");
    let federation = format!(
        r#"<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">{text}</md:EntitiesDescriptor>"#
    );
    for not_an_entity in [federation.as_str(), "<EntityDescriptor/>", UNSIGNED] {
        assert_eq!(read_error(not_an_entity), MetadataError::NotAnEntity);
    }
    let old = text.replace("urn:oasis:names:tc:SAML:2.0:protocol", "urn:oasis:names:tc:SAML:1.1:protocol");
    assert_eq!(read_error(&old), MetadataError::Protocol);
    let service = text.replace("md:IDPSSODescriptor", "md:SPSSODescriptor");
    assert!(matches!(
        read_error(&service),
        MetadataError::Structure(StructureError::MissingElement { name: "IDPSSODescriptor", .. })
    ));
    assert!(matches!(
        read_error(&edit(&text, ISSUER, "")),
        MetadataError::Structure(StructureError::InvalidValue { .. })
    ));
}

#[test]
fn metadata_with_a_dtd_is_rejected() {
    let text = fixtures::file("idp.xml");
    let with_dtd = format!(r#"<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>{text}"#);
    assert_eq!(read_error(&with_dtd), MetadataError::Xml(XmlError::Dtd));
    assert_eq!(read_error(&format!("<?x y?>{text}")), MetadataError::Xml(XmlError::ProcessingInstruction));
}

#[test]
fn certificates_must_be_unambiguous() {
    let rsa = pem("rsa.pem");
    let encoded = BASE64_STANDARD.encode(&rsa);
    let certificate = format!("<ds:X509Certificate>\n{encoded}\n</ds:X509Certificate>");
    let with = |inner: &str| with_keys(&descriptor("", &rsa).replace(&certificate, inner));
    let repeated = read_error(&with(&certificate.repeat(2)));
    assert!(matches!(repeated, MetadataError::Structure(StructureError::RepeatedElement { .. })), "{repeated}");
    let missing = read_error(&with(""));
    assert!(matches!(missing, MetadataError::Structure(StructureError::MissingElement { .. })), "{missing}");
    for inner in ["", "!", "MIIC", &encoded[..encoded.len() - 4], &encoded[4..]] {
        let text = with(&format!("<ds:X509Certificate>{inner}</ds:X509Certificate>"));
        assert_eq!(read_error(&text), MetadataError::Certificate);
    }
    let with_comment = with(&format!("<ds:X509Certificate><!-- c -->{encoded}</ds:X509Certificate>"));
    assert!(matches!(read_error(&with_comment), MetadataError::Structure(StructureError::NotText { .. })));
}

/// Cutting or changing a certificate anywhere is an error or another key, never a panic.
#[test]
fn changed_certificates_are_read_or_rejected() {
    let p256 = pem("p256.pem");
    for at in 0..p256.len() {
        for changed in [p256[..at].to_vec(), {
            let mut changed = p256.clone();
            changed[at] ^= 0xff;
            changed
        }] {
            let _ = read_metadata(with_keys(&descriptor("", &changed)).as_bytes(), None);
            let _ = VerificationKey::from_spki(&changed);
        }
        assert_eq!(read_error(&with_keys(&descriptor("", &p256[..at]))), MetadataError::Certificate);
    }
}

#[test]
fn keys_that_no_accepted_signature_has_are_rejected() {
    let rows = [
        (&["-newkey", "rsa:1024"][..], KeyError::RsaLength { bits: 1024 }),
        (&["-newkey", "ed25519"], KeyError::Unsupported),
        (&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"], KeyError::Unsupported),
    ];
    for (key, expected) in rows {
        let text = with_keys(&descriptor("", &certificate(key)));
        assert_eq!(read_error(&text), MetadataError::Key(expected));
    }
    let spki = KEY.spki();
    assert!(VerificationKey::from_spki(&spki).is_ok());
    for malformed in [&[][..], &spki[1..], &spki[..spki.len() - 1], &[&spki[..], &[0]].concat()] {
        assert_eq!(VerificationKey::from_spki(malformed).unwrap_err(), KeyError::Malformed);
    }
}

#[test]
fn browsers_are_sent_to_https_only() {
    let text = fixtures::file("idp.xml");
    let redirect = r#"HTTP-Redirect" Location="https://idp.example/sso""#;
    let at = |address: &str| {
        let text = edit(&text, redirect, &format!(r#"HTTP-Redirect" Location="{address}""#));
        read_metadata(text.as_bytes(), None).map(|provider| provider.single_sign_on)
    };
    for address in
        ["https://idp.example/sso?tenant=1", "http://localhost/sso", "http://127.0.0.1:8081/a", "http://[::1]:1/"]
    {
        assert_eq!(at(address), Ok(address.to_owned()));
    }
    for address in [
        "http://idp.example/sso",
        "http://localhost.evil.example/",
        "http://127.0.0.1@evil.example/",
        "https://user@evil.example/",
        "https://",
        "https:///sso",
        "https://idp.example/a b",
        "https://idp.example/#fragment",
        "javascript:alert(1)",
        "/sso",
    ] {
        assert!(matches!(at(address), Err(MetadataError::Address(_))), "{address}");
    }
    let twice = text.replace("HTTP-POST", "HTTP-Redirect");
    assert_eq!(read_error(&twice), MetadataError::SingleSignOn { found: 2 });
    let none = text.replace("HTTP-Redirect", "HTTP-Artifact");
    assert_eq!(read_error(&none), MetadataError::SingleSignOn { found: 0 });
}
