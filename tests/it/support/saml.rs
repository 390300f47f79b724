//! A SAML provider whose responses the test writes. The canonical form is not computed: the texts are written
//! in it.

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use tokenward::domain::time::Timestamp;

/// The time of the services under test, in seconds since 1970.
pub const TEST_TIME: i64 = 1_767_225_600;
pub const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
pub const EMAIL: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress";
pub const TRANSIENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";
const DS: &str = r#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#""#;
/// A `SubjectPublicKeyInfo` of P-256 up to the point.
const P256_PREFIX: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A key with which a provider signs.
pub struct SigningKey(EcdsaKeyPair);

impl SigningKey {
    pub fn generate() -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap())
    }

    fn sign(&self, message: &[u8]) -> String {
        STANDARD.encode(self.0.sign(&SystemRandom::new(), message).unwrap().as_ref())
    }

    /// Returns the structure of a certificate of the key until a day, such as `270101`. Its signature is empty.
    fn certificate(&self, not_after: &str) -> String {
        let element = |tag: u8, contents: &[u8]| [&[tag, u8::try_from(contents.len()).unwrap()], contents].concat();
        let time = |day: &str| element(0x17, format!("{day}000000Z").as_bytes());
        let spki = [P256_PREFIX, self.0.public_key().as_ref()].concat();
        let validity = element(0x30, &[time("200101"), time(not_after)].concat());
        let empty = element(0x30, &[]);
        let contents = [element(2, &[1]), empty.clone(), empty.clone(), validity, empty.clone(), spki].concat();
        // Two bytes of length: the contents are longer than 127.
        let long = |contents: &[u8]| [&[0x30, 0x81, u8::try_from(contents.len()).unwrap()], contents].concat();
        STANDARD.encode(long(&[long(&contents), empty, element(3, &[0])].concat()))
    }
}

/// A provider.
pub struct SamlProvider {
    pub entity_id: String,
    pub key: SigningKey,
}

/// A request that a browser carries to the provider.
pub struct Request {
    pub id: String,
    pub acs_url: String,
    pub issuer: String,
    pub document: String,
    pub parameters: HashMap<String, String>,
}

impl Request {
    /// Reads the request of the URL to which the browser is redirected.
    pub fn of(url: &str) -> Self {
        let url: reqwest::Url = url.parse().unwrap();
        let parameters: HashMap<String, String> = url.query_pairs().into_owned().collect();
        // One stored block: five bytes, then the document.
        let block = STANDARD.decode(&parameters["SAMLRequest"]).unwrap();
        let document = String::from_utf8(block[5..].to_vec()).unwrap();
        let between = |before: &str, after: &str| {
            document.split_once(before).unwrap().1.split_once(after).unwrap().0.replace("&amp;", "&")
        };
        Self {
            id: between(" ID=\"", "\""),
            acs_url: between("AssertionConsumerServiceURL=\"", "\""),
            issuer: between(":assertion\">", "<"),
            document,
            parameters,
        }
    }
}

/// A person as the provider describes it.
#[derive(Clone)]
pub struct Person {
    pub name_id: String,
    pub format: &'static str,
    pub attributes: Vec<(&'static str, Vec<String>)>,
    /// When the response is written.
    pub at: i64,
    pub authenticated_at: i64,
}

impl Person {
    /// Returns Ada, a member of `users`.
    pub fn ada() -> Self {
        Self {
            name_id: "ada-1".to_owned(),
            format: PERSISTENT,
            attributes: vec![
                ("email", vec!["ada@example.com".to_owned()]),
                ("name", vec!["Ada".to_owned()]),
                ("groups", vec!["users".to_owned()]),
            ],
            at: TEST_TIME,
            authenticated_at: TEST_TIME,
        }
    }

    /// Returns the person with other values of an attribute. Without values, the attribute is missing.
    pub fn with(mut self, name: &'static str, values: &[&str]) -> Self {
        self.attributes.retain(|(other, _)| *other != name);
        if !values.is_empty() {
            self.attributes.push((name, values.iter().map(|value| (*value).to_owned()).collect()));
        }
        self
    }

    pub fn named(self, name_id: &str, format: &'static str) -> Self {
        Self { name_id: name_id.to_owned(), format, ..self }
    }

    pub fn at(self, at: i64) -> Self {
        Self { at, ..self }
    }
}

/// The signed elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    Response,
    Assertion,
    Both,
    Nothing,
}

impl SamlProvider {
    pub fn new() -> Self {
        Self { entity_id: "https://idp.example/metadata".to_owned(), key: SigningKey::generate() }
    }

    /// Returns the metadata with these keys, whose certificates are valid until a day, such as `270101`.
    pub fn metadata_with(&self, keys: &[&SigningKey], not_after: &str) -> String {
        let descriptors: String = keys
            .iter()
            .map(|key| {
                format!(
                    "<md:KeyDescriptor use=\"signing\"><ds:KeyInfo{DS}><ds:X509Data><ds:X509Certificate>{}\
                     </ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>",
                    key.certificate(not_after)
                )
            })
            .collect();
        format!(
            "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"{}\"><md:IDPSSODescriptor \
             protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">{descriptors}<md:SingleSignOnService \
             Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" Location=\"https://idp.example/sso\"/>\
             </md:IDPSSODescriptor></md:EntityDescriptor>",
            self.entity_id
        )
    }

    pub fn metadata(&self) -> String {
        self.metadata_with(&[&self.key], "300101")
    }

    /// Returns the form parameter of a response for a request.
    pub fn respond(&self, request: &Request, person: &Person) -> String {
        encode(&self.sign(&self.write(request, person), Signed::Both))
    }

    /// Writes a response in canonical form, with places for the signatures.
    pub fn write(&self, request: &Request, person: &Person) -> String {
        let time = |seconds: i64| Timestamp::from_millis(seconds * 1_000).to_string();
        let attributes: String = person.attributes.iter().map(|(name, values)| write_attribute(name, values)).collect();
        let (now, end) = (time(person.at), time(person.at + 300));
        let (response, assertion) = (random_id(), random_id());
        let Request { id, acs_url, issuer: audience, .. } = request;
        let (entity_id, authenticated) = (&self.entity_id, time(person.authenticated_at));
        let Person { name_id, format, .. } = person;
        format!(
            concat!(
                r#"<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" Destination="{acs_url}""#,
                r#" ID="{response}" InResponseTo="{id}" IssueInstant="{now}" Version="2.0">"#,
                r#"<saml:Issuer xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">{entity_id}</saml:Issuer>"#,
                r#"<!--response--><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success">"#,
                r#"</samlp:StatusCode></samlp:Status>"#,
                r#"<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{assertion}""#,
                r#" IssueInstant="{now}" Version="2.0"><saml:Issuer>{entity_id}</saml:Issuer><!--assertion-->"#,
                r#"<saml:Subject><saml:NameID Format="{format}">{name_id}</saml:NameID>"#,
                r#"<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData"#,
                r#" InResponseTo="{id}" NotOnOrAfter="{end}" Recipient="{acs_url}"></saml:SubjectConfirmationData>"#,
                r#"</saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="{now}" NotOnOrAfter="{end}">"#,
                r#"<saml:AudienceRestriction><saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction>"#,
                r#"</saml:Conditions><saml:AuthnStatement AuthnInstant="{authenticated}" SessionIndex="s1">"#,
                r#"</saml:AuthnStatement><saml:AttributeStatement>{attributes}</saml:AttributeStatement>"#,
                r#"</saml:Assertion></samlp:Response>"#,
            ),
            acs_url = acs_url,
            response = response,
            id = id,
            now = now,
            entity_id = entity_id,
            assertion = assertion,
            format = format,
            name_id = name_id,
            end = end,
            audience = audience,
            authenticated = authenticated,
            attributes = attributes,
        )
    }

    /// Signs a written response.
    pub fn sign(&self, response: &str, signed: Signed) -> String {
        self.sign_with(response, signed, str::to_owned)
    }

    /// Signs a written response. `SignedInfo` can be changed before.
    pub fn sign_with(&self, response: &str, signed: Signed, change: impl Fn(&str) -> String) -> String {
        let mut text = response.to_owned();
        for (element, place, is_signed) in [
            ("saml:Assertion", "<!--assertion-->", matches!(signed, Signed::Assertion | Signed::Both)),
            ("samlp:Response", "<!--response-->", matches!(signed, Signed::Response | Signed::Both)),
        ] {
            let (open, close) = (format!("<{element} "), format!("</{element}>"));
            let (start, end) = (text.find(&open).unwrap(), text.rfind(&close).unwrap() + close.len());
            let content = text[start..end].replace("<!--response-->", "").replace("<!--assertion-->", "");
            let id = content.split_once(" ID=\"").unwrap().1.split_once('"').unwrap().0;
            let signature = if is_signed { self.signature(id, &content, &change) } else { String::new() };
            text = text.replacen(place, &signature, 1);
        }
        text
    }

    fn signature(&self, id: &str, content: &str, change: &impl Fn(&str) -> String) -> String {
        let digest = STANDARD.encode(digest(&SHA256, content.as_bytes()));
        let exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#";
        let signed_info = change(&format!(
            concat!(
                r#"<ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{0}"></ds:CanonicalizationMethod>"#,
                r#"<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"></ds:SignatureMethod>"#,
                r##"<ds:Reference URI="#{1}"><ds:Transforms>"##,
                r#"<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></ds:Transform>"#,
                r#"<ds:Transform Algorithm="{0}"></ds:Transform></ds:Transforms>"#,
                r#"<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></ds:DigestMethod>"#,
                "<ds:DigestValue>{2}</ds:DigestValue></ds:Reference></ds:SignedInfo>",
            ),
            exclusive, id, digest
        ));
        let canonical = signed_info.replacen("<ds:SignedInfo>", &format!("<ds:SignedInfo{DS}>"), 1);
        let value = self.key.sign(canonical.as_bytes());
        format!("<ds:Signature{DS}>{signed_info}<ds:SignatureValue>{value}</ds:SignatureValue></ds:Signature>")
    }
}

/// Encodes a response as the form parameter.
pub fn encode(response: &str) -> String {
    STANDARD.encode(response)
}

fn write_attribute(name: &str, values: &[String]) -> String {
    let values: String =
        values.iter().map(|value| format!("<saml:AttributeValue>{value}</saml:AttributeValue>")).collect();
    format!(r#"<saml:Attribute Name="{name}">{values}</saml:Attribute>"#)
}

fn random_id() -> String {
    format!("_{:032x}", rand::random::<u128>())
}
