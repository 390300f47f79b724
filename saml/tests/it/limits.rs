//! Documents that are made to take long or to need much memory.

use tokenward_saml::{MetadataError, ReadError, XmlError, read_metadata};

use crate::support::{
    UNSIGNED, edit, read,
    signing::{KEY, Signed, sign},
};

fn read_error(response: &str) -> XmlError {
    match read(response, &KEY.pinned()).unwrap_err() {
        ReadError::Xml(error) => error,
        other => panic!("{other}"),
    }
}

/// Inserts something into a signed response, outside of what is signed.
fn with(inserted: &str) -> String {
    edit(&sign(UNSIGNED, Signed::Assertion), "<samlp:Status>", &format!("{inserted}<samlp:Status>"))
}

#[test]
fn documents_up_to_256_kib_are_read() {
    let response = sign(UNSIGNED, Signed::Assertion);
    let padded = |length: usize| format!("{response}{}", " ".repeat(length - response.len()));
    assert!(read(&padded(262_144), &KEY.pinned()).is_ok());
    for bytes in [262_145, 10 * 1024 * 1024] {
        assert_eq!(read_error(&padded(bytes)), XmlError::TooLarge { bytes, maximum: 262_144 });
    }
    let metadata = read_metadata(padded(262_145).as_bytes(), None);
    assert!(matches!(metadata, Err(MetadataError::Xml(XmlError::TooLarge { .. }))));
}

#[test]
fn elements_are_nested_up_to_64_levels() {
    let nested = |levels: usize| with(&format!("{}{}", "<a>".repeat(levels), "</a>".repeat(levels)));
    // The response itself is a level.
    assert!(read(&nested(63), &KEY.pinned()).is_ok());
    assert_eq!(read_error(&nested(64)), XmlError::TooDeep);
    // 10,000 levels and 30,000 levels that never end. The parser does not recurse.
    assert_eq!(read_error(&nested(10_000)), XmlError::TooDeep);
    assert!(matches!(read_error(&"<a>".repeat(30_000)), XmlError::TooMany { .. } | XmlError::Malformed { .. }));
    let levels = 50_000;
    assert!(matches!(read_error(&nested(levels)), XmlError::TooLarge { .. }));
    assert!(matches!(read_error(&"<a>".repeat(levels)), XmlError::TooMany { .. } | XmlError::Malformed { .. }));
}

/// The parser compares attributes and namespaces pairwise.
#[test]
fn attributes_prefixes_and_nodes_are_limited() {
    let attributes: String = (0..20_000).map(|n| format!(" a{n}=''")).collect();
    assert!(matches!(read_error(&with(&format!("<a{attributes}/>"))), XmlError::TooMany { parts: "attributes", .. }));
    let prefixes: String = (0..65).map(|n| format!(" xmlns:a{n}='urn:u'")).collect();
    assert!(matches!(
        read_error(&with(&format!("<a{prefixes}/>"))),
        XmlError::TooMany { parts: "namespace prefixes", .. }
    ));
    assert!(matches!(read_error(&with(&"<a/>".repeat(20_000))), XmlError::TooMany { parts: "elements", .. }));
}

/// A canonical form repeats declarations, so that it can be much longer than the document.
#[test]
fn long_canonical_forms_are_rejected() {
    let namespace = format!("urn:{}", "x".repeat(500));
    let elements = format!(
        r#"<samlp:Extensions xmlns:x="{namespace}">{}</samlp:Extensions><samlp:Status>"#,
        "<x:a></x:a>".repeat(8_000)
    );
    let response = edit(&sign(UNSIGNED, Signed::Response), "<samlp:Status>", &elements);
    match read(&response, &KEY.pinned()).unwrap_err() {
        ReadError::Signature(tokenward_saml::SignatureError::Xml(XmlError::TooLarge { bytes, .. })) => {
            assert!(bytes < 1_400_000);
        }
        other => panic!("{other}"),
    }
}

/// A person in many groups, with the declarations that providers repeat for each value.
#[test]
fn a_thousand_groups_are_read() {
    let value = concat!(
        r#"<saml:AttributeValue xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance""#,
        r#" xsi:type="xs:string">CN=group,OU=groups,DC=ad,DC=example</saml:AttributeValue>"#
    );
    let text = edit(UNSIGNED, "<saml:AttributeValue>token-users</saml:AttributeValue>", &value.repeat(1_000));
    // Exclusive canonicalization leaves the prefix in values out.
    let canonical = text.replace(r#" xmlns:xs="http://www.w3.org/2001/XMLSchema""#, "");
    assert_eq!(read(&sign(&canonical, Signed::Both), &KEY.pinned()).unwrap().attributes["groups"].len(), 1_000);
}

/// Each prefix of a list is looked up for each element, before the signature is verified.
#[test]
fn long_lists_of_prefixes_are_rejected() {
    let prefixes: String = (0..10_000).map(|n| format!("p{n} ")).collect();
    let list = format!(
        r#"<c:InclusiveNamespaces xmlns:c="http://www.w3.org/2001/10/xml-exc-c14n#" PrefixList="{prefixes}"/></ds:CanonicalizationMethod>"#
    );
    let response = sign(UNSIGNED, Signed::Assertion).replace("</ds:CanonicalizationMethod>", &list);
    let many = response.replace("</ds:SignedInfo>", &format!("{}</ds:SignedInfo>", "<ds:X/>".repeat(10_000)));
    for response in [response, many] {
        let error = read(&response, &KEY.pinned()).unwrap_err();
        assert_eq!(error, ReadError::Signature(tokenward_saml::SignatureError::Transforms));
    }
}
