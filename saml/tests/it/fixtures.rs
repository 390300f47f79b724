//! Responses that other programs have signed. `tests/fixtures/regenerate` makes them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use tokenward_saml::{Algorithm, Assertion, NameId, VerificationKey, read_metadata};

use crate::support::{AUDIENCE, ISSUER, NAME, now, read};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";

pub fn file(name: &str) -> String {
    std::fs::read_to_string(Path::new(FOLDER).join(name)).unwrap()
}

/// The keys of the fixtures' metadata.
pub fn keys() -> Vec<VerificationKey> {
    read_metadata(file("idp.xml").as_bytes(), Some(ISSUER)).unwrap().keys()
}

/// The signed responses, with the names of their files.
pub fn all() -> Vec<(String, String)> {
    let paths: Vec<PathBuf> = std::fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path()).collect();
    let is_response = |path: &PathBuf| path.extension().is_some_and(|it| it == "xml") && !path.ends_with("idp.xml");
    let mut names: Vec<_> =
        paths.iter().filter(|path| is_response(path)).map(|path| path.file_name().unwrap().to_string_lossy()).collect();
    names.sort();
    names.into_iter().map(|name| (name.to_string(), file(&name))).collect()
}

fn read_fixture(name: &str) -> Assertion {
    read(&file(name), &keys()).unwrap()
}

fn values(assertion: &Assertion) -> BTreeMap<&str, Vec<&str>> {
    assertion
        .attributes
        .iter()
        .map(|(name, values)| (name.as_str(), values.iter().map(String::as_str).collect()))
        .collect()
}

#[test]
fn every_fixture_is_read_and_names_the_same_person() {
    let fixtures = all();
    assert_eq!(fixtures.len(), 8);
    for (name, response) in fixtures {
        let assertion = read(&response, &keys()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(assertion.name_id.unwrap().value, NAME, "{name}");
        let times = (assertion.authn_instant <= now(), assertion.remember_until > now());
        assert_eq!(times, (true, true), "{name}");
    }
}

#[test]
fn responses_of_pysaml2_are_read() {
    for name in ["pysaml2_response.xml", "pysaml2_assertion.xml", "pysaml2_both.xml"] {
        let assertion = read_fixture(name);
        let name_id = NameId {
            value: NAME.to_owned(),
            format: Some(PERSISTENT.to_owned()),
            name_qualifier: Some(ISSUER.to_owned()),
            sp_name_qualifier: Some(AUDIENCE.to_owned()),
        };
        assert_eq!((assertion.name_id, assertion.algorithm), (Some(name_id), Algorithm::RsaSha256));
        let groups = &assertion.attributes["groups"];
        assert_eq!(groups, &["token-users", "R&D <staff>"], "{name}");
        // Fifteen minutes from 10:00, and a minute of skew.
        assert_eq!(assertion.remember_until, now() + Duration::from_secs(15 * 60));
    }
}

#[test]
fn responses_of_samlify_are_read() {
    for name in ["samlify_assertion.xml", "samlify_both.xml"] {
        let assertion = read_fixture(name);
        assert_eq!(
            values(&assertion),
            BTreeMap::from([("groups", vec!["R&D <staff>"]), ("mail", vec!["ada@example.org"])])
        );
        assert_eq!(
            (assertion.algorithm, assertion.session_index.as_deref()),
            (Algorithm::RsaSha512, Some("session-1"))
        );
        assert!(assertion.id.starts_with('_'));
    }
}

/// Default namespaces, prefixes that are declared without use, lists of prefixes, character data
/// sections, comments and escaped characters.
#[test]
fn a_response_with_every_spelling_is_read_as_it_was_signed() {
    let assertion = read_fixture("xmlsec1_torture.xml");
    let groups = vec!["R&D <staff> é 語 😀", "", " two\n lines \r", "repeated"];
    assert_eq!(
        values(&assertion),
        BTreeMap::from([("groups", groups), ("mail", vec!["ada@example.org"]), ("none", vec![])])
    );
    assert_eq!(assertion.name_id.unwrap().name_qualifier.as_deref(), Some("a\"b"));
    assert_eq!(assertion.session_index.as_deref(), Some("<&>'"));
    assert_eq!((assertion.id.as_str(), assertion.algorithm), ("_torture-assertion", Algorithm::EcdsaSha256));
    assert_eq!(assertion.authn_instant, now() - Duration::from_secs(61 * 60));
}

#[test]
fn the_algorithm_is_reported() {
    assert_eq!(read_fixture("xmlsec1_ecdsa-sha384.xml").algorithm, Algorithm::EcdsaSha384);
    assert_eq!(read_fixture("xmlsec1_rsa-sha384.xml").algorithm, Algorithm::RsaSha384);
}
