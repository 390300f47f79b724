//! Signatures in another form, by other keys and by other algorithms.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::{digest, hmac};
use tokenward_saml::{Algorithm, ReadError, SignatureError};

use crate::{
    support::{
        UNSIGNED, edit, read,
        signing::{ECDSA_SHA256, KEY, SHA_256, Signature, Signed, TestKey, sign, sign_by},
    },
    variants::Variant,
};

const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const ENVELOPED: &str =
    r#"<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></ds:Transform>"#;
const CANONICALIZED: &str = r#"<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></ds:Transform>"#;

const BOTH_TRANSFORMS: &str = concat!(
    r#"<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></ds:Transform>"#,
    r#"<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></ds:Transform>"#
);

type Change = Box<dyn Fn(Signature) -> Signature>;
type Row = (&'static str, SignatureError, Change);

fn row(name: &'static str, expected: SignatureError, change: impl Fn(Signature) -> Signature + 'static) -> Row {
    (name, expected, Box::new(change))
}

fn edited(name: &'static str, expected: SignatureError, from: &'static str, to: &'static str) -> Row {
    row(name, expected, move |signature| signature.edit(from, to))
}

/// Replaces the digest of the content by that of another algorithm.
fn with_digest(signature: Signature, algorithm: &'static digest::Algorithm, uri: &str) -> Signature {
    let sha_256 = BASE64_STANDARD.encode(digest::digest(&digest::SHA256, signature.content.as_bytes()));
    let other = BASE64_STANDARD.encode(digest::digest(algorithm, signature.content.as_bytes()));
    signature.edit(&sha_256, &other).edit(SHA_256, uri)
}

/// Signatures by another key or algorithm, or of another form than SAML has them.
fn rows() -> Vec<Row> {
    [keys(), algorithms(), transforms(), references(), structures()].into_iter().flatten().collect()
}

fn keys() -> Vec<Row> {
    vec![
        row("other key", SignatureError::Key, |signature| {
            let key = TestKey::new();
            signature.by(move |message| key.sign(message))
        }),
        row("other key in KeyInfo", SignatureError::Key, |mut signature| {
            let key = TestKey::new();
            let value = BASE64_STANDARD.encode(&key.spki()[26..]);
            signature.after = format!(
                concat!(
                    r#"<ds:KeyInfo><ds:KeyValue><ECKeyValue xmlns="http://www.w3.org/2009/xmldsig11#">"#,
                    r#"<NamedCurve URI="urn:oid:1.2.840.10045.3.1.7"></NamedCurve><PublicKey>{}</PublicKey>"#,
                    "</ECKeyValue></ds:KeyValue></ds:KeyInfo>"
                ),
                value
            );
            signature.by(move |message| key.sign(message))
        }),
        row("empty value", SignatureError::Key, |signature| signature.by(|_| Vec::new())),
        row("zero", SignatureError::Key, |signature| signature.by(|_| vec![0; 64])),
    ]
}

fn algorithms() -> Vec<Row> {
    const MORE: &str = "http://www.w3.org/2001/04/xmldsig-more#";
    let by = |name, expected, uri: String| row(name, expected, move |it| it.edit(ECDSA_SHA256, &uri));
    let not_accepted = |uri: &str| SignatureError::Algorithm(uri.into());
    let unknown = |name, uri: String| by(name, not_accepted(&uri), uri);
    vec![
        row("HMAC with the public key", not_accepted(&format!("{MORE}hmac-sha256")), |signature| {
            let secret = hmac::Key::new(hmac::HMAC_SHA256, &KEY.spki());
            signature
                .edit(ECDSA_SHA256, "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256")
                .by(move |message| hmac::sign(&secret, message).as_ref().to_vec())
        }),
        unknown("SHA-1", format!("{MORE}ecdsa-sha1")),
        unknown("RSA with SHA-1", "http://www.w3.org/2000/09/xmldsig#rsa-sha1".to_owned()),
        unknown("HMAC with SHA-1", "http://www.w3.org/2000/09/xmldsig#hmac-sha1".to_owned()),
        by("RSA with a key on a curve", SignatureError::Key, format!("{MORE}rsa-sha256")),
        by("longer hash than the curve's", SignatureError::Key, format!("{MORE}ecdsa-sha384")),
        row("SHA-1 digest", not_accepted("http://www.w3.org/2000/09/xmldsig#sha1"), |signature| {
            with_digest(signature, &digest::SHA1_FOR_LEGACY_USE_ONLY, "http://www.w3.org/2000/09/xmldsig#sha1")
        }),
        edited(
            "digest of another algorithm",
            SignatureError::Digest,
            SHA_256,
            "http://www.w3.org/2001/04/xmlenc#sha512",
        ),
    ]
}

fn transforms() -> Vec<Row> {
    let transform = |uri: &str, inner: &str| format!(r#"<ds:Transform Algorithm="{uri}">{inner}</ds:Transform>"#);
    let xpath = transform("http://www.w3.org/TR/1999/REC-xpath-19991116", "<ds:XPath>true()</ds:XPath>");
    let enveloped_uri = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
    let (other, structure) = (SignatureError::Transforms, SignatureError::Structure);
    let replacements = [
        ("XPath", &other, CANONICALIZED, xpath.clone()),
        ("XPath in addition", &structure, CANONICALIZED, format!("{xpath}{CANONICALIZED}")),
        ("XSLT", &other, CANONICALIZED, transform("http://www.w3.org/TR/1999/REC-xslt-19991116", "")),
        ("inclusive", &other, CANONICALIZED, transform("http://www.w3.org/TR/2001/REC-xml-c14n-20010315", "")),
        ("comments", &other, CANONICALIZED, transform("http://www.w3.org/2001/10/xml-exc-c14n#WithComments", "")),
        ("base64", &other, ENVELOPED, transform("http://www.w3.org/2000/09/xmldsig#base64", "")),
        ("no enveloped signature", &structure, ENVELOPED, String::new()),
        ("no canonicalization", &structure, CANONICALIZED, String::new()),
        ("other order", &other, BOTH_TRANSFORMS, format!("{CANONICALIZED}{ENVELOPED}")),
        ("parameter of the first", &structure, ENVELOPED, transform(enveloped_uri, "<ds:X></ds:X>")),
        ("parameter of the second", &other, CANONICALIZED, transform(EXCLUSIVE, "<ds:X></ds:X>")),
    ];
    let row = |(name, expected, from, to): (_, &SignatureError, &'static str, String)| {
        row(name, expected.clone(), move |signature| signature.edit(from, &to))
    };
    replacements.into_iter().map(row).collect()
}

/// Replaces a part of `SignedInfo` from one text to another by a third.
fn replace_part(signature: Signature, from: &str, to: &str, with: &str) -> Signature {
    let start = signature.signed_info.find(from).unwrap();
    let end = start + signature.signed_info[start..].find(to).unwrap();
    let part = signature.signed_info[start..end].to_owned();
    signature.edit(&part, with)
}

fn references() -> Vec<Row> {
    use SignatureError::Reference;
    vec![
        edited("other reference", Reference, "URI=\"#", "URI=\"#no"),
        row("empty URI", Reference, |signature| replace_part(signature, "URI=", "><ds:Transforms", "URI=\"\"")),
        row("empty ID", Reference, |signature| replace_part(signature, "URI=", "><ds:Transforms", "URI=\"#\"")),
        row("no URI", Reference, |signature| replace_part(signature, " URI=", "><ds:Transforms", "")),
        edited("pointer", Reference, "URI=\"#", "URI=\"#xpointer(/)"),
        edited("external URI", Reference, "URI=\"#", "URI=\"https://evil.example/#"),
    ]
}

fn structures() -> Vec<Row> {
    use SignatureError::Structure;
    let after = |name, after: &'static str| {
        row(name, Structure, move |mut signature| {
            signature.after = after.to_owned();
            signature
        })
    };
    vec![
        row("two references", Structure, |signature| {
            let start = signature.signed_info.find("<ds:Reference").unwrap();
            let reference = signature.signed_info[start..].to_owned();
            signature.edit("</ds:SignedInfo>", &reference)
        }),
        edited("two digests", Structure, "<ds:DigestValue>", "<ds:DigestValue></ds:DigestValue><ds:DigestValue>"),
        edited("no transforms", Structure, "<ds:Transforms>", "<ds:Transforms></ds:Transforms><ds:Transforms>"),
        edited(
            "length of an HMAC",
            Structure,
            "</ds:SignatureMethod>",
            "<ds:HMACOutputLength>8</ds:HMACOutputLength></ds:SignatureMethod>",
        ),
        after("object", "<ds:Object></ds:Object>"),
        after("two values", "<ds:SignatureValue></ds:SignatureValue>"),
        after("two of KeyInfo", "<ds:KeyInfo></ds:KeyInfo><ds:KeyInfo></ds:KeyInfo>"),
    ]
}

/// All responses of this file.
pub fn variants() -> Vec<Variant> {
    let mut variants: Vec<_> = rows()
        .into_iter()
        .flat_map(|(name, _, change)| {
            [Signed::Response, Signed::Assertion].map(|signed| Variant {
                name,
                response: sign_by(UNSIGNED, signed, &change),
                is_expected: Some(|error| matches!(error, ReadError::Signature(_))),
            })
        })
        .collect();
    for (name, change) in accepted() {
        let response = sign_by(UNSIGNED, Signed::Both, &change);
        variants.push(Variant { name, response, is_expected: None });
    }
    variants
}

fn accepted() -> Vec<(&'static str, Change)> {
    let listed = r#"<ec:InclusiveNamespaces xmlns:ec="http://www.w3.org/2001/10/xml-exc-c14n#" PrefixList="saml xs"></ec:InclusiveNamespaces>"#;
    vec![
        (
            "SHA-384",
            Box::new(|signature| {
                with_digest(signature, &digest::SHA384, "http://www.w3.org/2001/04/xmldsig-more#sha384")
            }),
        ),
        (
            "SHA-512",
            Box::new(|signature| with_digest(signature, &digest::SHA512, "http://www.w3.org/2001/04/xmlenc#sha512")),
        ),
        (
            "list of prefixes",
            Box::new(move |signature| {
                signature.edit(
                    &format!("{CANONICALIZED}</"),
                    &format!(r#"<ds:Transform Algorithm="{EXCLUSIVE}">{listed}</ds:Transform></"#),
                )
            }),
        ),
    ]
}

#[test]
fn signatures_of_another_form_are_rejected() {
    for (name, expected, change) in rows() {
        for signed in [Signed::Response, Signed::Assertion, Signed::Both] {
            let response = sign_by(UNSIGNED, signed, &change);
            assert_eq!(read(&response, &KEY.pinned()).unwrap_err(), ReadError::Signature(expected.clone()), "{name}");
        }
    }
}

#[test]
fn all_digests_and_lists_of_prefixes_are_accepted() {
    for (name, change) in accepted() {
        let response = sign_by(UNSIGNED, Signed::Both, &change);
        assert_eq!(
            read(&response, &KEY.pinned()).unwrap_or_else(|e| panic!("{name}: {e}")).algorithm,
            Algorithm::EcdsaSha256
        );
    }
}

#[test]
fn any_pinned_key_is_accepted_and_none_accepts_nothing() {
    let response = sign(UNSIGNED, Signed::Assertion);
    let other = TestKey::new();
    assert!(read(&response, &[other.pinned(), KEY.pinned()].concat()).is_ok());
    for keys in [vec![], other.pinned()] {
        assert_eq!(read(&response, &keys).unwrap_err(), ReadError::Signature(SignatureError::Key));
    }
}

/// The digest is read from the verified bytes, which have no comment.
#[test]
fn comments_in_a_signature_change_nothing_or_are_rejected() {
    let response = sign(UNSIGNED, Signed::Assertion);
    let in_digest = response.replacen("<ds:DigestValue>", "<ds:DigestValue><!-- c -->", 1);
    assert_eq!(read(&in_digest, &KEY.pinned()), read(&response, &KEY.pinned()));
    let forged = edit(&response, "token-users", "admins");
    let genuine = BASE64_STANDARD.encode(digest::digest(&digest::SHA256, b"forged"));
    let two_digests = forged.replacen("<ds:DigestValue>", &format!("<ds:DigestValue>{genuine}<!--"), 1);
    let two_digests = two_digests.replacen("</ds:DigestValue>", "--></ds:DigestValue>", 1);
    assert_eq!(read(&two_digests, &KEY.pinned()).unwrap_err(), ReadError::Signature(SignatureError::Key));
    let in_value = response.replacen("<ds:SignatureValue>", "<ds:SignatureValue><!-- c -->", 1);
    assert_eq!(read(&in_value, &KEY.pinned()).unwrap_err(), ReadError::Signature(SignatureError::Structure));
}

/// Changes of `SignedInfo` after it was signed.
#[test]
fn a_changed_signed_info_is_rejected() {
    let response = sign(UNSIGNED, Signed::Assertion);
    let changes = [
        (ECDSA_SHA256, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"),
        (SHA_256, "http://www.w3.org/2001/04/xmlenc#sha512"),
        ("URI=\"#_assertion\"", "URI=\"#_response\""),
        ("<ds:SignedInfo>", "<ds:SignedInfo> "),
        ("<ds:SignedInfo>", "<ds:SignedInfo Id=\"x\">"),
    ];
    for (from, to) in changes {
        let changed = edit(&response, from, to);
        assert_eq!(read(&changed, &KEY.pinned()).unwrap_err(), ReadError::Signature(SignatureError::Key), "{to}");
    }
}
