//! Responses of identity providers. A changed response must be rejected, or have the claims that
//! were signed. The corpus and the keys are fixtures of the reader.

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokenward_saml::{Assertion, Expectations, NameIdRule, VerificationKey, read_metadata, read_response};

const METADATA: &str = include_str!("../../saml/tests/fixtures/idp.xml");
const RESPONSES: [&str; 5] = [
    include_str!("../corpus/saml_response/pysaml2_assertion.xml"),
    include_str!("../corpus/saml_response/pysaml2_response.xml"),
    include_str!("../corpus/saml_response/samlify_both.xml"),
    include_str!("../corpus/saml_response/xmlsec1_ecdsa-sha384.xml"),
    include_str!("../corpus/saml_response/xmlsec1_torture.xml"),
];

static KEYS: LazyLock<Vec<VerificationKey>> =
    LazyLock::new(|| read_metadata(METADATA.as_bytes(), None).expect("the metadata is valid").keys());
static SIGNED: LazyLock<Vec<Assertion>> =
    LazyLock::new(|| RESPONSES.iter().map(|text| read(text.as_bytes()).expect("the response is valid")).collect());

/// A minute after the responses were signed.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_793_613_660)
}

fn read(bytes: &[u8]) -> Option<Assertion> {
    let expected = Expectations {
        keys: &KEYS,
        issuer: "https://idp.example/metadata",
        audience: "https://tokens.example/saml",
        acs_url: "https://tokens.example/sign-in/saml/acs",
        name_id: NameIdRule::Any,
        now: now(),
    };
    read_response(bytes, &expected).ok()?.bind("_request").ok()
}

/// Checks one input.
///
/// # Panics
///
/// Panics if a response is accepted with claims that were not signed.
pub fn run(bytes: &[u8]) {
    if let Some(assertion) = read(bytes) {
        assert!(SIGNED.contains(&assertion), "the claims of {} were not signed", assertion.id);
    }
    if let Ok(provider) = read_metadata(bytes, None) {
        assert!(!provider.keys().is_empty());
    }
}
