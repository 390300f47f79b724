//! Signs responses of the tests with keys of the tests. The canonical form is not computed: the
//! texts are written in it. `xmlsec1` confirms that in the test of its verdicts.

use std::sync::LazyLock;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use tokenward_saml::VerificationKey;

pub const ECDSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";
pub const SHA_256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
const DS: &str = r#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#""#;

/// A `SubjectPublicKeyInfo` of P-256 up to the point.
const P256_PREFIX: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A key on P-256 that signs in the name of the identity provider.
pub struct TestKey {
    pair: EcdsaKeyPair,
}

/// The key that the tests pin.
pub static KEY: LazyLock<TestKey> = LazyLock::new(TestKey::new);

impl TestKey {
    pub fn new() -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self { pair: EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap() }
    }

    pub fn spki(&self) -> Vec<u8> {
        [P256_PREFIX, self.pair.public_key().as_ref()].concat()
    }

    /// The key as the reader expects it.
    pub fn pinned(&self) -> Vec<VerificationKey> {
        vec![VerificationKey::from_spki(&self.spki()).unwrap()]
    }

    /// The key as `xmlsec1` expects it.
    pub fn pem(&self) -> String {
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64_STANDARD.encode(self.spki()))
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }
}

/// The signed elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    Response,
    Assertion,
    Both,
}

/// Signs a response with the pinned key.
pub fn sign(response: &str, signed: Signed) -> String {
    sign_by(response, signed, &|signature| signature)
}

/// Signs a response. The parameters of each signature can be changed beforehand.
pub fn sign_by(response: &str, signed: Signed, change: &dyn Fn(Signature) -> Signature) -> String {
    let mut text = response.to_owned();
    for (element, id, place, is_signed) in [
        ("saml:Assertion", "_assertion", "<!--assertion-->", signed != Signed::Response),
        ("samlp:Response", "_response", "<!--response-->", signed != Signed::Assertion),
    ] {
        if is_signed {
            let open = format!("<{element} ");
            let close = format!("</{element}>");
            let (start, end) = (text.find(&open).unwrap(), text.rfind(&close).unwrap() + close.len());
            let content = text[start..end].replace("<!--response-->", "").replace("<!--assertion-->", "");
            let signature = change(Signature::new(id, &content)).write();
            text = text.replacen(place, &signature, 1);
        } else {
            text = text.replacen(place, "", 1);
        }
    }
    text
}

type Signer = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// The parts of a signature.
pub struct Signature {
    /// The canonical form of the signed element.
    pub content: String,
    /// The canonical form of `SignedInfo` without its namespace declaration.
    pub signed_info: String,
    /// Makes the value of the signature.
    pub signer: Signer,
    /// The text after the value.
    pub after: String,
}

impl Signature {
    fn new(id: &str, content: &str) -> Self {
        let digest = BASE64_STANDARD.encode(digest(&SHA256, content.as_bytes()));
        let exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#";
        let signed_info = format!(
            concat!(
                "<ds:SignedInfo>",
                r#"<ds:CanonicalizationMethod Algorithm="{}"></ds:CanonicalizationMethod>"#,
                r#"<ds:SignatureMethod Algorithm="{}"></ds:SignatureMethod>"#,
                r##"<ds:Reference URI="#{}"><ds:Transforms>"##,
                r#"<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></ds:Transform>"#,
                r#"<ds:Transform Algorithm="{}"></ds:Transform></ds:Transforms>"#,
                r#"<ds:DigestMethod Algorithm="{}"></ds:DigestMethod>"#,
                "<ds:DigestValue>{}</ds:DigestValue></ds:Reference></ds:SignedInfo>",
            ),
            exclusive, ECDSA_SHA256, id, exclusive, SHA_256, digest
        );
        let signer = Box::new(|message: &[u8]| KEY.sign(message));
        Self { content: content.to_owned(), signed_info, signer, after: String::new() }
    }

    /// Replaces the only occurrence of a text in `SignedInfo` before it is signed.
    pub fn edit(mut self, from: &str, to: &str) -> Self {
        self.signed_info = super::edit(&self.signed_info, from, to);
        self
    }

    /// Signs by another key or algorithm.
    pub fn by(mut self, signer: impl Fn(&[u8]) -> Vec<u8> + 'static) -> Self {
        self.signer = Box::new(signer);
        self
    }

    fn write(&self) -> String {
        let canonical = self.signed_info.replacen("<ds:SignedInfo>", &format!("<ds:SignedInfo{DS}>"), 1);
        let value = BASE64_STANDARD.encode((self.signer)(canonical.as_bytes()));
        let (signed_info, after) = (&self.signed_info, &self.after);
        format!("<ds:Signature{DS}>{signed_info}<ds:SignatureValue>{value}</ds:SignatureValue>{after}</ds:Signature>")
    }
}
