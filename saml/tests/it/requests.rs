//! The request of a sign-in, and the metadata of the service.

use std::{collections::BTreeMap, process::Command, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;
use ring::rand::SystemRandom;
use roxmltree::Document;
use tokenward_saml::{AuthnRequest, RequestError, RequestSigner, ServiceProvider};

use crate::support::{
    ACS_URL, AUDIENCE, now,
    openssl::{certificate, openssl},
};

const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";

fn request() -> AuthnRequest<'static> {
    AuthnRequest {
        random: [0xab; 20],
        now: now(),
        entity_id: AUDIENCE,
        acs_url: ACS_URL,
        destination: "https://idp.example/sso",
        name_id_format: None,
        force_authn: false,
    }
}

fn parameters(address: &str) -> BTreeMap<String, String> {
    let query = address.split_once('?').unwrap().1;
    let decode = |value: &str| percent_decode_str(value).decode_utf8().unwrap().into_owned();
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), decode(value)))
        .collect()
}

/// Returns the document of a request. zlib inflates it.
fn document(address: &str) -> String {
    let script =
        "import base64, sys, zlib; sys.stdout.buffer.write(zlib.decompress(base64.b64decode(sys.argv[1]), -15))";
    let output = Command::new("python3").args(["-c", script, &parameters(address)["SAMLRequest"]]).output();
    let output = output.expect("python3 is missing");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_request_names_the_service() {
    let request = request();
    let address = request.address(Some("state&=/+ é")).unwrap();
    assert!(address.starts_with("https://idp.example/sso?SAMLRequest="), "{address}");
    assert!(address.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%:/?&=".contains(&byte)), "{address}");
    assert_eq!(parameters(&address)["RelayState"], "state&=/+ é");
    let text = document(&address);
    let document = Document::parse(&text).unwrap();
    let root = document.root_element();
    assert!(root.has_tag_name((PROTOCOL, "AuthnRequest")));
    let attributes: BTreeMap<_, _> = root.attributes().map(|attribute| (attribute.name(), attribute.value())).collect();
    let id = request.id();
    assert_eq!(id, format!("_{}", "ab".repeat(20)));
    let expected = BTreeMap::from([
        ("ID", id.as_str()),
        ("Version", "2.0"),
        ("IssueInstant", "2026-11-02T10:01:00Z"),
        ("Destination", "https://idp.example/sso"),
        ("ProtocolBinding", "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"),
        ("AssertionConsumerServiceURL", ACS_URL),
    ]);
    assert_eq!(attributes, expected);
    let children: Vec<_> = root.children().map(|child| (child.tag_name().name(), child.text())).collect();
    assert_eq!(children, [("Issuer", Some(AUDIENCE))]);
}

#[test]
fn a_proof_asks_for_a_new_authentication() {
    let request = AuthnRequest { force_authn: true, name_id_format: Some(PERSISTENT), ..request() };
    let text = document(&request.address(None).unwrap());
    let document = Document::parse(&text).unwrap();
    assert_eq!(document.root_element().attribute("ForceAuthn"), Some("true"));
    let policy = document.descendants().find(|node| node.has_tag_name((PROTOCOL, "NameIDPolicy"))).unwrap();
    assert_eq!((policy.attribute("Format"), policy.attribute("AllowCreate")), (Some(PERSISTENT), Some("true")));
}

#[test]
fn values_are_escaped_and_addresses_keep_their_query() {
    let entity_id = "https://tokens.example/?a=1&b=<\"'>";
    let request = AuthnRequest { entity_id, destination: "https://idp.example/sso?tenant=1", ..request() };
    let address = request.address(None).unwrap();
    assert!(address.starts_with("https://idp.example/sso?tenant=1&SAMLRequest="), "{address}");
    let text = document(&address);
    let document = Document::parse(&text).unwrap();
    assert_eq!(document.root_element().first_element_child().unwrap().text(), Some(entity_id));
    let bare = AuthnRequest { destination: "https://idp.example/sso?", ..request };
    assert!(bare.address(None).unwrap().starts_with("https://idp.example/sso?SAMLRequest="));
}

#[test]
fn what_cannot_be_sent_is_an_error() {
    assert_eq!(request().address(Some(&"x".repeat(81))), Err(RequestError::RelayState { bytes: 81 }));
    assert!(request().address(Some(&"x".repeat(80))).is_ok());
    let long = format!("https://tokens.example/{}", "x".repeat(65_536));
    assert_eq!(AuthnRequest { acs_url: &long, ..request() }.address(None), Err(RequestError::TooLong));
    let late = now() + Duration::from_secs(86_400 * 366 * 8_000);
    assert_eq!(AuthnRequest { now: late, ..request() }.address(None), Err(RequestError::Time));
}

/// The signature covers the parameters as they are in the address. `openssl` verifies it.
#[test]
fn a_signed_request_is_verified_by_openssl() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    openssl(path, &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "key.pem"]);
    openssl(path, &["pkcs8", "-topk8", "-nocrypt", "-in", "key.pem", "-outform", "DER", "-out", "key.der"]);
    openssl(path, &["pkey", "-inform", "DER", "-in", "key.der", "-pubout", "-out", "public.pem"]);
    let key = std::fs::read(path.join("key.der")).unwrap();
    let signer = RequestSigner::from_pkcs8(&key).unwrap();
    let address = request().signed_address(Some("state"), &signer, &SystemRandom::new()).unwrap();
    let parameters = parameters(&address);
    assert_eq!(parameters["SigAlg"], "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256");
    let query = address.split_once('?').unwrap().1;
    std::fs::write(path.join("signed"), query.split_once("&Signature=").unwrap().0).unwrap();
    std::fs::write(path.join("signature"), BASE64_STANDARD.decode(&parameters["Signature"]).unwrap()).unwrap();
    openssl(path, &["dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "signed"]);
    assert_eq!(format!("{signer:?}"), "RequestSigner { .. }");
    for other in [&key[..key.len() - 1], b"-----BEGIN PRIVATE KEY-----", &[]] {
        assert!(RequestSigner::from_pkcs8(other).is_err());
    }
}

#[test]
fn the_metadata_describes_the_service_without_a_key_for_encryption() {
    let signing_certificate = certificate(&["-newkey", "rsa:2048"]);
    for signing_certificate in [None, Some(signing_certificate.as_slice())] {
        let service = ServiceProvider {
            entity_id: AUDIENCE,
            acs_url: ACS_URL,
            name_id_format: Some(PERSISTENT),
            signing_certificate,
        };
        let text = service.metadata();
        let document = Document::parse(&text).unwrap();
        assert_eq!(document.root_element().attribute("entityID"), Some(AUDIENCE));
        let role = document.root_element().first_element_child().unwrap();
        assert_eq!(role.attribute("WantAssertionsSigned"), Some("true"));
        assert_eq!(
            role.attribute("AuthnRequestsSigned"),
            Some(if signing_certificate.is_some() { "true" } else { "false" })
        );
        let keys: Vec<_> = role.children().filter(|node| node.tag_name().name() == "KeyDescriptor").collect();
        assert_eq!(keys.len(), usize::from(signing_certificate.is_some()));
        assert!(keys.iter().all(|key| key.attribute("use") == Some("signing")));
        let acs = role.last_element_child().unwrap();
        assert_eq!((acs.tag_name().name(), acs.attribute("Location")), ("AssertionConsumerService", Some(ACS_URL)));
        // Elements are in the order of the schema.
        let names: Vec<_> =
            role.children().map(|node| node.tag_name().name()).filter(|name| *name != "KeyDescriptor").collect();
        assert_eq!(names, ["NameIDFormat", "AssertionConsumerService"]);
    }
}
