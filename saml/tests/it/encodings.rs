//! Documents that parsers read in different ways.

use tokenward_saml::{ReadError, XmlError};

use crate::support::{
    UNSIGNED, edit, expectations, read,
    signing::{KEY, Signed, sign},
};

fn read_error(response: &str) -> ReadError {
    read(response, &KEY.pinned()).unwrap_err()
}

fn signed() -> String {
    sign(UNSIGNED, Signed::Both)
}

#[test]
fn document_types_and_entities_are_rejected() {
    let response = signed();
    let types = [
        "<!DOCTYPE r>".to_owned(),
        "<!DOCTYPE r []>".to_owned(),
        "<!-- c --><!DOCTYPE r>".to_owned(),
        r#"<?xml version="1.0"?><!DOCTYPE r [<!ENTITY ada "eve">]>"#.to_owned(),
        r#"<!DOCTYPE r [<!ENTITY f SYSTEM "file:///etc/passwd">]>"#.to_owned(),
        r#"<!DOCTYPE r SYSTEM "https://evil.example/r.dtd">"#.to_owned(),
        format!("<!DOCTYPE r [<!ENTITY a \"a\">{}]>", "<!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">".repeat(100)),
    ];
    for document_type in types {
        assert_eq!(read_error(&format!("{document_type}{response}")), ReadError::Xml(XmlError::Dtd), "{document_type}");
    }
    for entity in ["&ada;", "&lt", "&#0;", "&#xFFFE;", "&;", "&"] {
        let error = read_error(&edit(&response, "7f3c0e6a-ada", entity));
        assert!(matches!(error, ReadError::Xml(XmlError::Malformed { .. })), "{entity}: {error}");
    }
    // The parser reads a character that does not exist as U+FFFD, which is not what was signed.
    for character in ["&#xD800;", "&#x110000;"] {
        assert!(matches!(read_error(&edit(&response, "7f3c0e6a-ada", character)), ReadError::Signature(_)));
    }
    // A document type inside the document is not well-formed.
    let inside = edit(&response, "<saml:Subject>", "<!DOCTYPE r><saml:Subject>");
    assert!(matches!(read_error(&inside), ReadError::Xml(XmlError::Malformed { .. })));
}

#[test]
fn processing_instructions_are_rejected_everywhere() {
    let response = signed();
    let inside = |at: &str| edit(&response, at, &format!("<?x y?>{at}"));
    for response in [
        format!("<?x y?>{response}"),
        format!("{response}<?x y?>"),
        inside("<samlp:Status>"),
        inside("ada</saml:NameID>"),
        response.replacen("<ds:SignedInfo>", "<ds:SignedInfo><?x y?>", 1),
    ] {
        assert_eq!(read_error(&response), ReadError::Xml(XmlError::ProcessingInstruction));
    }
}

#[test]
fn only_utf_8_is_read() {
    let response = signed();
    let keys = KEY.pinned();
    let read_bytes = |bytes: &[u8]| tokenward_saml::read_response(bytes, &expectations(&keys)).map(drop);
    for declaration in [
        "",
        "\u{feff}",
        "<?xml version='1.0'?>",
        r#"<?xml version="1.0" encoding="UTF-8"?>"#,
        "<?xml version='1.0' encoding='utf-8' standalone='yes'?>\n",
    ] {
        assert_eq!(read_bytes(format!("{declaration}{response}").as_bytes()), Ok(()), "{declaration}");
    }
    for declaration in [
        r#"<?xml version="1.0" encoding="ISO-8859-1"?>"#,
        "<?xml version='1.0' encoding='utf-16'?>",
        "<?xml version='1.0' encoding = 'utf-7'?>",
    ] {
        let error = read_bytes(format!("{declaration}{response}").as_bytes());
        assert_eq!(error, Err(ReadError::Xml(XmlError::Encoding)), "{declaration}");
    }
    let utf_16: Vec<u8> = response.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(read_bytes(&utf_16).is_err());
    let latin_1 = response.as_bytes().iter().map(|byte| if *byte == b'7' { 0xe9 } else { *byte }).collect::<Vec<_>>();
    assert_eq!(read_bytes(&latin_1), Err(ReadError::Xml(XmlError::Encoding)));
}

#[test]
fn invalid_namespaces_are_rejected() {
    let response = signed();
    let with = |attribute: &str| edit(&response, "<samlp:Status>", &format!("<samlp:Status {attribute}>"));
    for attribute in [
        r#"xmlns:x="""#,
        r#"xmlns:x="relative""#,
        r#"xmlns:x="urn:a b""#,
        r#"xmlns:x="urn:%4""#,
        r#"xmlns:x="urn:é""#,
        r#"xmlns:x="1:a""#,
        r#"xmlns:x="urn:#a#b""#,
        &format!(r#"xmlns:x="urn:{}""#, "x".repeat(509)),
        r#"xmlns="urn:1" xmlns="urn:2""#,
        r#"xmlns:x="urn:1" xmlns:x="urn:2""#,
        r#"x:a="""#,
        r#"a="" a="""#,
        r#"xmlns:xml="urn:1""#,
        r#"xmlns:x="http://www.w3.org/2000/xmlns/""#,
    ] {
        let error = read_error(&with(attribute));
        assert!(matches!(error, ReadError::Xml(XmlError::Malformed { .. })), "{attribute}: {error}");
    }
}

#[test]
fn other_documents_are_rejected() {
    for (text, is_xml) in [
        ("", false),
        ("PHNhbWxwOlJlc3BvbnNl", false),
        ("<samlp:Response/>", false),
        ("<Response/>", true),
        (r#"<Response xmlns="urn:oasis:names:tc:SAML:2.0:assertion"/>"#, true),
        (r#"<Response xmlns="urn:oasis:names:tc:SAML:1.0:protocol"/>"#, true),
        (r#"<AuthnRequest xmlns="urn:oasis:names:tc:SAML:2.0:protocol"/>"#, true),
    ] {
        let error = read_error(text);
        let is_expected = if is_xml { error == ReadError::NotAResponse } else { matches!(error, ReadError::Xml(_)) };
        assert!(is_expected, "{text}: {error}");
    }
    // The assertion alone, without a response around it.
    let response = sign(UNSIGNED, Signed::Assertion);
    assert_eq!(read_error(crate::support::element(&response, "saml:Assertion")), ReadError::NotAResponse);
}
