//! The claims that are read, the times at which they are accepted, and the requests that they answer.

use std::time::Duration;

use tokenward_saml::{Expectations, NameIdRule, ReadError, StructureError, UnboundAssertion, read_response};

use crate::support::{
    REQUEST_ID, UNSIGNED, edit, expectations, now, read,
    signing::{KEY, Signed, sign},
};

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

fn read_with(response: &str, change: impl FnOnce(&mut Expectations<'_>)) -> Result<UnboundAssertion, ReadError> {
    let keys = KEY.pinned();
    let mut expected = expectations(&keys);
    change(&mut expected);
    read_response(response.as_bytes(), &expected)
}

/// Signs a response with an edit, and reads it.
fn read_edited(from: &str, to: &str) -> Result<tokenward_saml::Assertion, ReadError> {
    read(&sign(&edit(UNSIGNED, from, to), Signed::Assertion), &KEY.pinned())
}

#[test]
fn the_claims_are_those_of_the_assertion() {
    for signed in [Signed::Response, Signed::Assertion, Signed::Both] {
        let assertion = read(&sign(UNSIGNED, signed), &KEY.pinned()).unwrap();
        assert_eq!(assertion.id, "_assertion");
        assert_eq!(assertion.name_id.unwrap().value, "7f3c0e6a-ada");
        assert_eq!(assertion.attributes["groups"], ["token-users"]);
        assert_eq!(assertion.authn_instant, now() - 61 * MINUTE);
        assert_eq!(assertion.session_index.as_deref(), Some("session-1"));
        assert_eq!(assertion.remember_until, now() + 5 * MINUTE);
    }
}

#[test]
fn the_claims_are_only_available_for_the_request_that_was_answered() {
    let response = sign(UNSIGNED, Signed::Both);
    let read = || read_with(&response, |_| {}).unwrap();
    assert!(read().bind(REQUEST_ID).is_ok());
    for other in ["", "_request2", "_REQUEST", "_response", "_reques"] {
        assert_eq!(read().bind(other).unwrap_err(), ReadError::InResponseTo);
    }
    assert_eq!(format!("{:?}", read()), "UnboundAssertion { .. }");
}

/// The assertion is valid from 10:00 to 10:05.
#[test]
fn clocks_may_differ_by_a_minute() {
    let response = sign(UNSIGNED, Signed::Both);
    let start = now() - MINUTE;
    let at = |instant| read_with(&response, |expected| expected.now = instant).map(drop);
    let (first, last) = (start - MINUTE, start + 6 * MINUTE);
    assert_eq!((at(first), at(last)), (Ok(()), Ok(())));
    assert!(matches!(at(first - SECOND), Err(ReadError::NotYetValid { .. })));
    assert_eq!(at(last + SECOND), Err(ReadError::Expired { name: "NotOnOrAfter" }));
    // Fractions of a second count.
    assert!(at(first - Duration::from_millis(1)).is_err() && at(last + Duration::from_millis(1)).is_err());
}

/// Each instant by itself.
#[test]
fn every_limit_is_checked() {
    let early = ReadError::NotYetValid { name: "NotBefore" };
    let late = ReadError::Expired { name: "NotOnOrAfter" };
    let future = |name| ReadError::NotYetValid { name };
    // It is 10:01:00.
    let rows = [
        (
            r#"<saml:Conditions NotBefore="2026-11-02T10:00:00Z""#,
            r#"<saml:Conditions NotBefore="2026-11-02T10:02:01Z""#,
            early.clone(),
        ),
        (
            r#"NotOnOrAfter="2026-11-02T10:05:00Z"><saml:Aud"#,
            r#"NotOnOrAfter="2026-11-02T09:59:59Z"><saml:Aud"#,
            late.clone(),
        ),
        (r#"NotOnOrAfter="2026-11-02T10:05:00Z" Recipient"#, r#"NotOnOrAfter="2026-11-02T09:59:59Z" Recipient"#, late),
        (
            r#" NotOnOrAfter="2026-11-02T10:05:00Z" Recipient"#,
            r#" NotBefore="2026-11-02T10:02:01Z" NotOnOrAfter="2026-11-02T10:05:00Z" Recipient"#,
            early,
        ),
        (r#"AuthnInstant="2026-11-02T09:00:00Z""#, r#"AuthnInstant="2026-11-02T10:02:01Z""#, future("AuthnInstant")),
        (
            r#" SessionIndex="session-1""#,
            r#" SessionNotOnOrAfter="2026-11-02T09:59:59Z""#,
            ReadError::Expired { name: "SessionNotOnOrAfter" },
        ),
        (
            r#"InResponseTo="_request" IssueInstant="2026-11-02T10:00:00Z""#,
            r#"InResponseTo="_request" IssueInstant="2026-11-02T10:02:01Z""#,
            future("IssueInstant"),
        ),
        (
            r#"ID="_assertion" IssueInstant="2026-11-02T10:00:00Z""#,
            r#"ID="_assertion" IssueInstant="2026-11-02T10:02:01Z""#,
            future("IssueInstant"),
        ),
        (
            r#"ID="_assertion" IssueInstant="2026-11-02T10:00:00Z""#,
            r#"ID="_assertion" IssueInstant="2026-11-02T08:59:59Z""#,
            ReadError::Expired { name: "the lifetime of one hour" },
        ),
    ];
    for (from, to, expected) in rows {
        assert_eq!(read_edited(from, to).unwrap_err(), expected, "{to}");
        // A second less is within the minute.
        let fine =
            to.replace("10:02:01Z", "10:02:00Z").replace("09:59:59Z", "10:00:00Z").replace("08:59:59Z", "09:00:00Z");
        assert!(read_edited(from, &fine).is_ok(), "{fine}");
    }
}

/// Otherwise the service would have to remember the ID for ever.
#[test]
fn a_long_lifetime_is_cut_to_an_hour() {
    let long = UNSIGNED.replace("2026-11-02T10:05:00Z", "9999-12-31T23:59:59Z");
    let response = sign(&long, Signed::Both);
    assert_eq!(read(&response, &KEY.pinned()).unwrap().remember_until, now() + 60 * MINUTE);
    let start = now() - MINUTE;
    let at = |instant| read_with(&response, |expected| expected.now = instant).map(drop);
    assert_eq!((at(start + 61 * MINUTE), at(start + 61 * MINUTE + SECOND).is_err()), (Ok(()), true));
}

#[test]
fn instants_need_the_form_of_saml() {
    for invalid in ["2026-11-02T10:00:00", "2026-11-02T10:00:00+01:00", "soon", ""] {
        let error =
            read_edited(r#"NotBefore="2026-11-02T10:00:00Z""#, &format!(r#"NotBefore="{invalid}""#)).unwrap_err();
        assert!(
            matches!(error, ReadError::Structure(StructureError::InvalidValue { name: "NotBefore", .. })),
            "{error}"
        );
    }
}

#[test]
fn names_are_limited() {
    let named = |length: usize| read_edited("7f3c0e6a-ada", &"ä".repeat(length));
    assert_eq!(named(256).unwrap().name_id.unwrap().value.chars().count(), 256);
    let too_long = ReadError::Structure(StructureError::InvalidValue { name: "NameID", maximum: 256 });
    for length in [257, 10_240] {
        assert_eq!(named(length).unwrap_err(), too_long);
    }
}

/// Some providers name the person by an attribute, beside a transient name or none.
#[test]
fn callers_that_read_an_attribute_need_no_stable_name() {
    let transient = sign(&edit(UNSIGNED, "nameid-format:persistent", "nameid-format:transient"), Signed::Both);
    let start = UNSIGNED.find("<saml:NameID").unwrap();
    let end = UNSIGNED.find("</saml:NameID>").unwrap() + "</saml:NameID>".len();
    let none = sign(&format!("{}{}", &UNSIGNED[..start], &UNSIGNED[end..]), Signed::Both);
    assert_eq!(read(&transient, &KEY.pinned()).unwrap_err(), ReadError::TransientName);
    assert!(matches!(read(&none, &KEY.pinned()), Err(ReadError::Structure(_))));
    for (response, has_name) in [(transient, true), (none, false)] {
        let assertion = read_with(&response, |expected| expected.name_id = NameIdRule::Any).unwrap();
        assert_eq!(assertion.bind(REQUEST_ID).unwrap().name_id.is_some(), has_name);
    }
}

#[test]
fn the_status_of_a_failed_sign_in_is_reported_without_an_assertion() {
    let start = UNSIGNED.find("<saml:Assertion").unwrap();
    let end = UNSIGNED.find("</saml:Assertion>").unwrap() + "</saml:Assertion>".len();
    let failed = format!("{}{}", &UNSIGNED[..start], &UNSIGNED[end..]);
    let codes = r#"status:Responder"><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:NoPassive"></samlp:StatusCode>"#;
    let failed = edit(&failed, r#"status:Success">"#, codes);
    let error = read(&failed, &KEY.pinned()).unwrap_err();
    assert_eq!(error, ReadError::Status { code: "Responder/NoPassive".to_owned() });
    // Codes of other forms are not passed on to a log.
    let unknown = edit(&failed, "status:NoPassive", "status:No&#10;Passive");
    assert_eq!(read(&unknown, &KEY.pinned()).unwrap_err(), ReadError::Status { code: "Responder/unknown".to_owned() });
}

#[test]
fn values_of_other_parties_are_cut_and_escaped_in_errors() {
    let long = format!("https://evil.example/\u{202e}{}", "x".repeat(900));
    let to = format!(r#"Destination="{long}""#);
    let error = read_edited(r#"Destination="https://tokens.example/sign-in/saml/acs""#, &to).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("\\u{202e}") && text.len() < 600, "{text}");
}
