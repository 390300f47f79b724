//! The metadata of this service.

use crate::{
    element::{METADATA, PROTOCOL, SIGNATURE},
    encoding::{encode_base64, push_attribute, push_text},
};

const POST: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";

/// This service, as its metadata describes it to an identity provider.
#[derive(Clone, Debug)]
pub struct ServiceProvider<'a> {
    /// The entity ID.
    pub entity_id: &'a str,
    /// The address that receives responses.
    pub acs_url: &'a str,
    /// The format of the `NameID` that is asked for.
    pub name_id_format: Option<&'a str>,
    /// The certificate in DER whose key signs requests, if they are signed.
    pub signing_certificate: Option<&'a [u8]>,
}

impl ServiceProvider<'_> {
    /// Returns the metadata document.
    ///
    /// It has no key for encryption: encrypted assertions are not read.
    #[must_use]
    pub fn metadata(&self) -> String {
        let mut document = String::from("<md:EntityDescriptor");
        push_attribute(&mut document, "xmlns:md", METADATA);
        push_attribute(&mut document, "entityID", self.entity_id);
        document.push_str("><md:SPSSODescriptor");
        let signs_requests = if self.signing_certificate.is_some() { "true" } else { "false" };
        push_attribute(&mut document, "AuthnRequestsSigned", signs_requests);
        push_attribute(&mut document, "WantAssertionsSigned", "true");
        push_attribute(&mut document, "protocolSupportEnumeration", PROTOCOL);
        document.push('>');
        if let Some(certificate) = self.signing_certificate {
            document.push_str("<md:KeyDescriptor use=\"signing\"><ds:KeyInfo");
            push_attribute(&mut document, "xmlns:ds", SIGNATURE);
            document.push_str("><ds:X509Data><ds:X509Certificate>");
            document.push_str(&encode_base64(certificate));
            document.push_str("</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>");
        }
        if let Some(format) = self.name_id_format {
            document.push_str("<md:NameIDFormat>");
            push_text(&mut document, format);
            document.push_str("</md:NameIDFormat>");
        }
        document.push_str("<md:AssertionConsumerService");
        push_attribute(&mut document, "Binding", POST);
        push_attribute(&mut document, "Location", self.acs_url);
        push_attribute(&mut document, "index", "0");
        push_attribute(&mut document, "isDefault", "true");
        document.push_str("/></md:SPSSODescriptor></md:EntityDescriptor>");
        document
    }
}
