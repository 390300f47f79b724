//! Fixtures that the tests share: a response that states what is expected, keys, and the verdict of `xmlsec1`.

pub mod openssl;
pub mod signing;
pub mod xmlsec1;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokenward_saml::{Assertion, Expectations, NameIdRule, ReadError, VerificationKey, read_response};

pub const ISSUER: &str = "https://idp.example/metadata";
pub const AUDIENCE: &str = "https://tokens.example/saml";
pub const ACS_URL: &str = "https://tokens.example/sign-in/saml/acs";
pub const REQUEST_ID: &str = "_request";
pub const NAME: &str = "7f3c0e6a-ada";

/// 2026-11-02T10:01:00Z, a minute after the fixtures were signed.
pub fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_793_613_660)
}

/// The statements of the fixtures and of the responses in tests.
pub fn expectations(keys: &[VerificationKey]) -> Expectations<'_> {
    Expectations { keys, issuer: ISSUER, audience: AUDIENCE, acs_url: ACS_URL, name_id: NameIdRule::Stable, now: now() }
}

/// Reads a response for the request of the tests.
pub fn read(response: &str, keys: &[VerificationKey]) -> Result<Assertion, ReadError> {
    read_response(response.as_bytes(), &expectations(keys))?.bind(REQUEST_ID)
}

/// A response in canonical form, with places for the signatures of the response and the assertion.
pub const UNSIGNED: &str = concat!(
    r#"<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" Destination="https://tokens.example/sign-in/saml/acs""#,
    r#" ID="_response" InResponseTo="_request" IssueInstant="2026-11-02T10:00:00Z" Version="2.0">"#,
    r#"<saml:Issuer xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">https://idp.example/metadata</saml:Issuer>"#,
    "<!--response-->",
    r#"<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"></samlp:StatusCode></samlp:Status>"#,
    r#"<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_assertion" IssueInstant="2026-11-02T10:00:00Z" Version="2.0">"#,
    "<saml:Issuer>https://idp.example/metadata</saml:Issuer>",
    "<!--assertion-->",
    r#"<saml:Subject><saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">7f3c0e6a-ada</saml:NameID>"#,
    r#"<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData InResponseTo="_request""#,
    r#" NotOnOrAfter="2026-11-02T10:05:00Z" Recipient="https://tokens.example/sign-in/saml/acs"></saml:SubjectConfirmationData>"#,
    "</saml:SubjectConfirmation></saml:Subject>",
    r#"<saml:Conditions NotBefore="2026-11-02T10:00:00Z" NotOnOrAfter="2026-11-02T10:05:00Z"><saml:AudienceRestriction>"#,
    "<saml:Audience>https://tokens.example/saml</saml:Audience></saml:AudienceRestriction></saml:Conditions>",
    r#"<saml:AuthnStatement AuthnInstant="2026-11-02T09:00:00Z" SessionIndex="session-1"></saml:AuthnStatement>"#,
    r#"<saml:AttributeStatement><saml:Attribute Name="groups"><saml:AttributeValue>token-users</saml:AttributeValue>"#,
    "</saml:Attribute></saml:AttributeStatement></saml:Assertion></samlp:Response>",
);

/// Replaces the only occurrence of a text.
pub fn edit(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from} is not there exactly once");
    text.replacen(from, to, 1)
}

/// Returns the only element with this qualified name, from tag to tag.
pub fn element<'t>(text: &'t str, name: &str) -> &'t str {
    let (open, close) = (format!("<{name}"), format!("</{name}>"));
    assert_eq!(text.matches(&close).count(), 1, "{name} is not there exactly once");
    let start = text.find(&open).unwrap();
    let end = text.find(&close).unwrap() + close.len();
    &text[start..end]
}
