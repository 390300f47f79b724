//! Signature wrapping: a genuine assertion at another place, and a forged one where it was. The
//! numbers are those of the usual catalog of eight attacks.

use tokenward_saml::ReadError;

use crate::{
    fixtures,
    support::{
        UNSIGNED, edit, element, read,
        signing::{KEY, Signed, sign},
    },
};

/// A response with the forged assertion, and the parts of the genuine one.
struct Parts {
    /// The genuine response.
    genuine: String,
    /// The genuine assertion with its signature.
    assertion: String,
    /// The genuine assertion without its signature.
    bare: String,
    /// The signature of the response, or else of the assertion.
    signature: String,
}

impl Parts {
    fn of(signed: Signed) -> Self {
        let genuine = sign(UNSIGNED, signed);
        let assertion = element(&genuine, "saml:Assertion").to_owned();
        let signature = element(&genuine, "ds:Signature").to_owned();
        Self { bare: assertion.replace(&signature, ""), assertion, signature, genuine }
    }
}

fn forge(text: &str) -> String {
    let named = edit(text, "7f3c0e6a-ada", "7f3c0e6a-eve");
    named.replace("_assertion", "_forged").replace("token-users", "admins")
}

fn before_close(text: &str, close: &str, inserted: &str) -> String {
    let at = text.rfind(close).unwrap();
    format!("{}{inserted}{}", &text[..at], &text[at..])
}

/// Returns the attacks with their numbers.
fn attacks() -> Vec<(&'static str, String)> {
    let response = Parts::of(Signed::Response);
    let original = response.genuine.replace(&response.signature, "");
    let evil = forge(&original).replace("_response", "_evil");
    let in_signature = |inserted: &str| before_close(&response.signature, "</ds:Signature>", inserted);
    let issuer_end = "</saml:Issuer><samlp:Status>";
    let after_issuer = |inserted: &str| edit(&evil, issuer_end, &format!("</saml:Issuer>{inserted}<samlp:Status>"));

    let signed = Parts::of(Signed::Assertion);
    let forged = forge(&signed.bare);
    let replaced = |with: &str| edit(&signed.genuine, &signed.assertion, with);
    let object = |inner: &str| format!("<ds:Object>{inner}</ds:Object>");
    let with_object = |inner: &str| before_close(&signed.signature, "</ds:Signature>", &object(inner));
    let forged_with = |signature: &str| edit(&forged, "<saml:Subject>", &format!("{signature}<saml:Subject>"));
    let extensions = format!("<samlp:Extensions>{forged}</samlp:Extensions>");
    vec![
        ("1: response in the signature", after_issuer(&in_signature(&original))),
        ("1: response in an object", after_issuer(&in_signature(&object(&original)))),
        ("2: response before the signature", after_issuer(&format!("{original}{}", response.signature))),
        ("3: forged assertion first", replaced(&format!("{forged}{}", signed.assertion))),
        ("3: forged assertion last", replaced(&format!("{}{forged}", signed.assertion))),
        ("4: in the forged assertion", replaced(&before_close(&forged, "</saml:Assertion>", &signed.assertion))),
        ("5: signature in the forged one", replaced(&format!("{}{}", forged_with(&signed.signature), signed.bare))),
        (
            "6: in the signature of the forged one",
            replaced(&forged_with(&before_close(&signed.signature, "</ds:Signature>", &signed.bare))),
        ),
        (
            "7: forged assertion in extensions",
            edit(&signed.genuine, "<samlp:Status>", &format!("{extensions}<samlp:Status>")),
        ),
        ("8: in an object of the signature", replaced(&forged_with(&with_object(&signed.bare)))),
        (
            "signature in the envelope",
            edit(&replaced(&forged), issuer_end, &format!("</saml:Issuer>{}<samlp:Status>", signed.signature)),
        ),
        ("no signature", replaced(&forged)),
        ("signature of the genuine one", replaced(&forged_with(&signed.signature))),
    ]
}

#[test]
fn no_wrapped_assertion_is_read() {
    let attacks = attacks();
    for (name, response) in &attacks {
        // The attacks are well-formed, so that the parser is not what stops them.
        assert!(roxmltree::Document::parse(response).is_ok(), "{name}");
        let error = read(response, &KEY.pinned()).expect_err(name);
        assert!(!matches!(error, ReadError::Xml(_)), "{name}: {error}");
    }
    // The same attacks with the ID of the genuine assertion.
    for (name, response) in &attacks {
        let response = response.replace("_forged", "_assertion").replace("_evil", "_response");
        assert!(read(&response, &KEY.pinned()).is_err(), "{name} with the same ID");
    }
}

/// Wraps the assertions of the fixtures, whose signatures are by RSA.
#[test]
fn no_wrapped_fixture_is_read() {
    let mut count = 0;
    for (name, response) in fixtures::all() {
        let document = roxmltree::Document::parse(&response).unwrap();
        let assertion = document.descendants().find(|node| node.tag_name().name() == "Assertion").unwrap();
        let text = &response[assertion.range()];
        let forged = text.replace("7f3c", "eve").replacen("ID=\"", "ID=\"x", 1);
        let genuine_last = response.replace(text, &format!("{forged}{text}"));
        let genuine_first = response.replace(text, &format!("{text}{forged}"));
        let genuine_inside = response.replace(text, &before_close(&forged, "</", text));
        for response in [genuine_last, genuine_first, genuine_inside, response.replace(text, &forged)] {
            assert!(read(&response, &fixtures::keys()).is_err(), "{name}");
            count += 1;
        }
    }
    assert_eq!(count, 32);
}

#[test]
fn a_stripped_signature_is_only_accepted_if_the_rest_is_covered() {
    let both = sign(UNSIGNED, Signed::Both);
    let document = roxmltree::Document::parse(&both).unwrap();
    let signatures: Vec<_> =
        document.descendants().filter(|node| node.tag_name().name() == "Signature").map(|node| node.range()).collect();
    let [of_response, of_assertion] = &signatures[..] else { panic!("two signatures") };
    let without_response = format!("{}{}", &both[..of_response.start], &both[of_response.end..]);
    let without_assertion = format!("{}{}", &both[..of_assertion.start], &both[of_assertion.end..]);
    // The signature of the assertion covers the assertion. The other one covered the removed one.
    assert!(read(&without_response, &KEY.pinned()).is_ok());
    assert!(matches!(read(&without_assertion, &KEY.pinned()), Err(ReadError::Signature(_))));
    let without_any = format!("{}{}", &without_assertion[..of_response.start], &without_assertion[of_response.end..]);
    assert_eq!(read(&without_any, &KEY.pinned()).unwrap_err(), ReadError::Unsigned);
}

/// Each response has one assertion and the signatures that it needs, but not where SAML has them.
#[test]
fn misplaced_and_foreign_elements_are_rejected() {
    let signed = sign(UNSIGNED, Signed::Assertion);
    let saml = r#"xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_assertion""#;
    let foreign = sign(&edit(UNSIGNED, saml, r#"xmlns:saml="urn:x" ID="_assertion""#), Signed::Both);
    let assertion = element(&signed, "saml:Assertion");
    let nested = edit(&signed, assertion, &format!("<samlp:Extensions>{assertion}</samlp:Extensions>"));
    let two = edit(
        &signed,
        "<samlp:Status>",
        r#"<samlp:Extensions><x:Response xmlns:x="urn:x"/></samlp:Extensions><samlp:Status>"#,
    );
    for response in [foreign, nested, two] {
        assert_eq!(read(&response, &KEY.pinned()).unwrap_err(), ReadError::MisplacedAssertion);
    }
    let other_signature = edit(&signed, "<samlp:Status>", r#"<x:Signature xmlns:x="urn:x"/><samlp:Status>"#);
    assert_eq!(read(&other_signature, &KEY.pinned()).unwrap_err(), ReadError::MisplacedSignature);
}
