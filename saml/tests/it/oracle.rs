//! A second opinion: `xmlsec1` agrees about the signatures of every fixture and variant.

use tokenward_saml::{ReadError, SignatureError};

use crate::{
    fixtures, signatures,
    support::{
        read,
        signing::KEY,
        xmlsec1::{Pem, accepts},
    },
    variants,
};

/// The verdict of the reader about the signatures, or `None` if it did not get to them.
fn verdict(response: &str) -> Option<bool> {
    match read(response, &KEY.pinned()) {
        Ok(_) => Some(true),
        Err(ReadError::Signature(SignatureError::Key | SignatureError::Digest)) => Some(false),
        // These rules are stricter than XML signatures, or checked before them.
        Err(
            ReadError::Signature(_)
            | ReadError::Xml(_)
            | ReadError::Unsigned
            | ReadError::AmbiguousId
            | ReadError::AssertionCount { .. }
            | ReadError::MisplacedAssertion
            | ReadError::MisplacedSignature
            | ReadError::EncryptedAssertion
            | ReadError::NotAResponse,
        ) => None,
        // The claims deviate, and the signatures are valid.
        Err(_) => Some(true),
    }
}

#[test]
fn xmlsec1_accepts_every_fixture() {
    let pems = ["rsa.pem", "p256.pem", "p384.pem"].map(fixtures::file);
    let keys: Vec<Pem<'_>> = pems.iter().map(|pem| Pem::Certificate(pem)).collect();
    for (name, response) in fixtures::all() {
        assert!(accepts(&response, &keys), "{name}");
        let changed = response.replace("7f3c", "eve").replace("<![CDATA[ada]]>", "eve");
        assert!(!accepts(&changed, &keys), "{name}");
        assert!(read(&changed, &fixtures::keys()).is_err(), "{name}");
    }
}

#[test]
fn xmlsec1_agrees_about_every_variant() {
    let pem = KEY.pem();
    let (mut accepted, mut rejected) = (0, 0);
    let variants = variants::edited().into_iter().chain(variants::changed_after_signing());
    for variant in variants.chain(signatures::variants()) {
        let Some(expected) = verdict(&variant.response) else { continue };
        assert_eq!(accepts(&variant.response, &[Pem::Key(&pem)]), expected, "{}", variant.name);
        *(if expected { &mut accepted } else { &mut rejected }) += 1;
    }
    assert!(accepted > 50 && rejected > 15, "{accepted} accepted, {rejected} rejected");
}
