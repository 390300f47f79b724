//! Signed responses with one deviation each. The tests of this crate compare the reader's verdict
//! with the expected one and with the verdict of `xmlsec1`.

use tokenward_saml::{ReadError, SignatureError};

use crate::support::{
    ISSUER, UNSIGNED, edit,
    signing::{Signed, sign},
};

/// A response, and whether its signatures are valid for the pinned key.
pub struct Variant {
    pub name: &'static str,
    pub response: String,
    /// Returns `true` for the expected error of the reader. `None` expects the unchanged claims.
    pub is_expected: Option<fn(&ReadError) -> bool>,
}

/// Edits of the response before it is signed. The signatures are valid.
pub fn edited() -> Vec<Variant> {
    rows()
        .into_iter()
        .map(|(name, from, to, is_expected)| Variant {
            name,
            response: sign(&edit(UNSIGNED, from, to), Signed::Both),
            is_expected: Some(is_expected),
        })
        .collect()
}

type Row = (&'static str, &'static str, &'static str, fn(&ReadError) -> bool);

macro_rules! is {
    ($pattern:pat) => {
        |error| matches!(error, $pattern)
    };
}

fn is_mismatch(error: &ReadError, expected: &str) -> bool {
    matches!(error, ReadError::Mismatch { name, .. } if *name == expected)
}

/// Name, text, replacement, expected error.
#[rustfmt::skip]
fn rows() -> Vec<Row> {
    vec![
        // Other parties.
        ("audience", "<saml:Audience>https://tokens.example/saml<", "<saml:Audience>https://tokens.example/saml/<", is!(ReadError::Audience { .. })),
        ("no audience", "<saml:Audience>https://tokens.example/saml</saml:Audience>", "", is!(ReadError::Audience { .. })),
        ("recipient", r#"Recipient="https://tokens.example/sign-in/saml/acs""#, r#"Recipient="https://other.example/acs""#, |e| is_mismatch(e, "Recipient")),
        ("destination", r#"Destination="https://tokens.example/sign-in/saml/acs""#, r#"Destination="https://other.example/acs""#, |e| is_mismatch(e, "Destination")),
        ("no destination", r#" Destination="https://tokens.example/sign-in/saml/acs""#, "", is!(ReadError::Structure(_))),
        ("no recipient", r#" Recipient="https://tokens.example/sign-in/saml/acs""#, "", is!(ReadError::Structure(_))),
        ("issuer of the response", "https://idp.example/metadata</saml:Issuer><!--response-->", "https://evil.example</saml:Issuer><!--response-->", |e| is_mismatch(e, "Issuer")),
        ("issuer of the assertion", "https://idp.example/metadata</saml:Issuer><!--assertion-->", "https://evil.example</saml:Issuer><!--assertion-->", |e| is_mismatch(e, "Issuer")),
        ("no issuer of the assertion", "<saml:Issuer>https://idp.example/metadata</saml:Issuer>", "", is!(ReadError::Structure(_))),
        // Requests.
        ("other request in the response", r#"ID="_response" InResponseTo="_request""#, r#"ID="_response" InResponseTo="_other""#, is!(ReadError::InResponseTo)),
        ("other request in the assertion", r#"SubjectConfirmationData InResponseTo="_request""#, r#"SubjectConfirmationData InResponseTo="_other""#, is!(ReadError::InResponseTo)),
        ("no request in the response", r#"ID="_response" InResponseTo="_request""#, r#"ID="_response""#, is!(ReadError::InResponseTo)),
        ("no request in the assertion", r#"SubjectConfirmationData InResponseTo="_request""#, "SubjectConfirmationData", is!(ReadError::InResponseTo)),
        // Names.
        ("transient name", "nameid-format:persistent", "nameid-format:transient", is!(ReadError::TransientName)),
        ("empty name", ">7f3c0e6a-ada<", "><", is!(ReadError::Structure(_))),
        ("name between spaces", ">7f3c0e6a-ada<", "> 7f3c0e6a-ada<", is!(ReadError::Structure(_))),
        ("name of two lines", ">7f3c0e6a-ada<", ">7f3c0e6a\nada<", is!(ReadError::Structure(_))),
        ("element in the name", ">7f3c0e6a-ada<", "><saml:b>7f3c0e6a-ada</saml:b><", is!(ReadError::Structure(_))),
        // Duplicates and gaps.
        ("two subjects", "<saml:Subject>", "<saml:Subject></saml:Subject><saml:Subject>", is!(ReadError::Structure(_))),
        ("two names", "<saml:SubjectConfirmation ", "<saml:NameID>mallory</saml:NameID><saml:SubjectConfirmation ", is!(ReadError::Structure(_))),
        ("two confirmations", "</saml:SubjectConfirmation>", r#"</saml:SubjectConfirmation><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"></saml:SubjectConfirmation>"#, is!(ReadError::Structure(_))),
        ("two authentications", "</saml:AuthnStatement>", r#"</saml:AuthnStatement><saml:AuthnStatement AuthnInstant="2026-11-02T10:00:00Z"></saml:AuthnStatement>"#, is!(ReadError::Structure(_))),
        ("two conditions", "</saml:Conditions>", "</saml:Conditions><saml:Conditions></saml:Conditions>", is!(ReadError::Structure(_))),
        ("two restrictions", "</saml:AudienceRestriction>", "</saml:AudienceRestriction><saml:AudienceRestriction></saml:AudienceRestriction>", is!(ReadError::Structure(_))),
        ("two issuers", "<saml:Subject>", "<saml:Issuer>https://idp.example/metadata</saml:Issuer><saml:Subject>", is!(ReadError::Structure(_))),
        ("two attribute statements", "</saml:AttributeStatement>", "</saml:AttributeStatement><saml:AttributeStatement></saml:AttributeStatement>", is!(ReadError::Structure(_))),
        ("two statuses", "</samlp:Status>", "</samlp:Status><samlp:Status></samlp:Status>", is!(ReadError::Structure(_))),
        ("no authentication", r#"<saml:AuthnStatement AuthnInstant="2026-11-02T09:00:00Z" SessionIndex="session-1"></saml:AuthnStatement>"#, "", is!(ReadError::Structure(_))),
        ("no conditions", concat!(r#"<saml:Conditions NotBefore="2026-11-02T10:00:00Z" NotOnOrAfter="2026-11-02T10:05:00Z"><saml:AudienceRestriction>"#, "<saml:Audience>https://tokens.example/saml</saml:Audience></saml:AudienceRestriction></saml:Conditions>"), "", is!(ReadError::Structure(_))),
        ("no restriction", "<saml:AudienceRestriction><saml:Audience>https://tokens.example/saml</saml:Audience></saml:AudienceRestriction>", "", is!(ReadError::Structure(_))),
        ("no status", r#"<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"></samlp:StatusCode></samlp:Status>"#, "", is!(ReadError::Structure(_))),
        ("no AuthnInstant", r#" AuthnInstant="2026-11-02T09:00:00Z""#, "", is!(ReadError::Structure(_))),
        ("no end of the confirmation", r#" NotOnOrAfter="2026-11-02T10:05:00Z" Recipient"#, " Recipient", is!(ReadError::Structure(_))),
        ("element in a value", ">token-users<", "><saml:b>token-users</saml:b><", is!(ReadError::Structure(_))),
        // Other rules.
        ("version of the assertion", r#"IssueInstant="2026-11-02T10:00:00Z" Version="2.0"><saml:Issuer>"#, r#"IssueInstant="2026-11-02T10:00:00Z" Version="1.1"><saml:Issuer>"#, |e| is_mismatch(e, "Version")),
        ("method of the confirmation", "cm:bearer", "cm:sender-vouches", is!(ReadError::NotBearer)),
        ("unknown condition", "</saml:Conditions>", r#"<saml:Condition xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="x"></saml:Condition></saml:Conditions>"#, is!(ReadError::UnknownCondition)),
        ("failed sign-in", "status:Success", "status:Responder", is!(ReadError::Status { .. })),
        ("encrypted attribute", "<saml:AttributeStatement>", "<saml:AttributeStatement><saml:EncryptedAttribute></saml:EncryptedAttribute>", is!(ReadError::EncryptedClaim)),
        ("encrypted name", "<saml:Subject>", "<saml:Subject><saml:EncryptedID></saml:EncryptedID>", is!(ReadError::EncryptedClaim)),
        ("encrypted assertion", "<saml:Assertion ", r#"<saml:EncryptedAssertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"></saml:EncryptedAssertion><saml:Assertion "#, is!(ReadError::EncryptedAssertion)),
        // Identifiers and names that are easily confused.
        ("ID with a namespace", r#"ID="_assertion" IssueInstant="2026-11-02T10:00:00Z" Version="2.0""#, r#"xmlns:x="urn:x" ID="_assertion" IssueInstant="2026-11-02T10:00:00Z" Version="2.0" x:ID="_other""#, is!(ReadError::AmbiguousId)),
        ("same ID twice", "<samlp:Status>", r#"<samlp:Status ID="_assertion">"#, is!(ReadError::AmbiguousId)),
        ("same ID in another spelling", "<samlp:Status>", r#"<samlp:Status Id="_assertion">"#, is!(ReadError::AmbiguousId)),
        ("assertion of another namespace", "</samlp:Status>", r#"</samlp:Status><x:Assertion xmlns:x="urn:x"></x:Assertion>"#, is!(ReadError::AssertionCount { found: 2 })),
        ("second assertion", "</samlp:Status>", r#"</samlp:Status><saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"></saml:Assertion>"#, is!(ReadError::AssertionCount { found: 2 })),
        ("signature of another namespace", "</samlp:Status>", r#"</samlp:Status><x:Signature xmlns:x="urn:x"></x:Signature>"#, is!(ReadError::MisplacedSignature)),
        ("signature in the subject", "<saml:Subject>", r#"<saml:Subject><ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"></ds:Signature>"#, is!(ReadError::MisplacedSignature)),
    ]
}

/// Edits of the response after it was signed.
pub fn changed_after_signing() -> Vec<Variant> {
    let mut variants = Vec::new();
    for signed in [Signed::Response, Signed::Assertion, Signed::Both] {
        let response = sign(UNSIGNED, signed);
        let mut add = |name, response, is_expected| variants.push(Variant { name, response, is_expected });
        let is_digest: fn(&ReadError) -> bool = is!(ReadError::Signature(SignatureError::Digest));
        add("unchanged", response.clone(), None);
        add("other name", edit(&response, "7f3c0e6a-ada", "7f3c0e6a-eve"), Some(is_digest));
        add("other group", edit(&response, "token-users", "admins"), Some(is_digest));
        add(
            "other assertion ID",
            edit(&response, r#" ID="_assertion""#, r#" ID="_other""#),
            Some(is!(ReadError::Signature(_))),
        );
        // Canonicalization removes comments: the name is read as it was signed.
        add("comment in the name", edit(&response, "7f3c0e6a-ada", "7f3c<!-- c -->0e6a-ada"), None);
        add("character data section", edit(&response, ">token-users<", "><![CDATA[token]]>-users<"), None);
        add("character reference", edit(&response, ">token-users<", ">tok&#101;n-users<"), None);
        add(
            "attributes in another order",
            edit(
                &response,
                r#"AuthnInstant="2026-11-02T09:00:00Z" SessionIndex="session-1""#,
                "SessionIndex='session-1'\n AuthnInstant = '2026-11-02T09:00:00Z'",
            ),
            None,
        );
        add("line break at the end", format!("{response}\n"), None);
        add("additional attribute", edit(&response, "<saml:Subject>", r#"<saml:Subject x="">"#), Some(is_digest));
        add("space in the assertion", edit(&response, "<saml:Subject>", " <saml:Subject>"), Some(is_digest));
        let is_entity: fn(&ReadError) -> bool = is!(ReadError::Xml(_));
        add("undefined entity", edit(&response, "7f3c0e6a-ada", "7f3c0e6a-&ada;"), Some(is_entity));
    }
    let both = sign(UNSIGNED, Signed::Both);
    let is_status: fn(&ReadError) -> bool = is!(ReadError::Signature(SignatureError::Digest));
    let status = edit(&both, "</samlp:Status>", " </samlp:Status>");
    variants.push(Variant { name: "envelope", response: status, is_expected: Some(is_status) });
    assert!(both.contains(ISSUER));
    variants
}
