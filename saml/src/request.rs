//! The request of a sign-in.

use std::{fmt::Write as _, time::SystemTime};

use ring::rand::SecureRandom;

use crate::{
    RequestSigner,
    element::{ASSERTION, PROTOCOL},
    encoding::{push_attribute, push_text},
    redirect, time,
};

const POST: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";

/// A request to sign a person in, for the HTTP Redirect binding.
#[derive(Clone, Debug)]
pub struct AuthnRequest<'a> {
    /// The random part of the ID, of 160 bits. The response names the ID in `InResponseTo`.
    pub random: [u8; 20],
    /// When the request is made.
    pub now: SystemTime,
    /// The entity ID of this service.
    pub entity_id: &'a str,
    /// The address of this service that receives the response.
    pub acs_url: &'a str,
    /// The address of the identity provider's single sign-on service, from its metadata.
    pub destination: &'a str,
    /// The format of the `NameID` to ask for. Without one, the identity provider decides.
    pub name_id_format: Option<&'a str>,
    /// The person must authenticate again, even with a session at the identity provider.
    pub force_authn: bool,
}

/// A request that cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The addresses in the request are too long.
    #[error("the request is longer than 65535 bytes")]
    TooLong,
    /// The relay state is too long (SAML bindings, section 3.4.3).
    #[error("the relay state has {bytes} bytes; the maximum is 80")]
    RelayState {
        /// The length of the relay state.
        bytes: usize,
    },
    /// The instant is outside the years 1970 to 9999.
    #[error("the time of the request is outside the years 1970 to 9999; correct the clock")]
    Time,
    /// The request was not signed.
    #[error("the request cannot be signed")]
    Signing,
}

impl AuthnRequest<'_> {
    /// Returns the ID of the request, for [`UnboundAssertion::bind`](crate::UnboundAssertion::bind).
    #[must_use]
    pub fn id(&self) -> String {
        // An ID must not begin with a digit.
        let mut id = String::from("_");
        for byte in self.random {
            // Writing to a string cannot fail.
            let _ = write!(id, "{byte:02x}");
        }
        id
    }

    /// Returns the address to which the browser is sent, without a signature.
    ///
    /// # Errors
    ///
    /// Returns an error if the request or the relay state is too long.
    pub fn address(&self, relay_state: Option<&str>) -> Result<String, RequestError> {
        redirect::address(self.destination, &self.document()?, relay_state, None)
    }

    /// Returns the address to which the browser is sent, with a signature. The random source blinds
    /// the computation with the private key.
    ///
    /// # Errors
    ///
    /// Returns an error if the request or the relay state is too long, or the signature fails.
    pub fn signed_address(
        &self,
        relay_state: Option<&str>,
        signer: &RequestSigner,
        random: &dyn SecureRandom,
    ) -> Result<String, RequestError> {
        redirect::address(self.destination, &self.document()?, relay_state, Some((signer, random)))
    }

    fn document(&self) -> Result<String, RequestError> {
        let mut document = String::from("<samlp:AuthnRequest");
        push_attribute(&mut document, "xmlns:samlp", PROTOCOL);
        push_attribute(&mut document, "ID", &self.id());
        push_attribute(&mut document, "Version", "2.0");
        push_attribute(&mut document, "IssueInstant", &time::format(self.now).ok_or(RequestError::Time)?);
        push_attribute(&mut document, "Destination", self.destination);
        if self.force_authn {
            push_attribute(&mut document, "ForceAuthn", "true");
        }
        push_attribute(&mut document, "ProtocolBinding", POST);
        push_attribute(&mut document, "AssertionConsumerServiceURL", self.acs_url);
        document.push_str("><saml:Issuer");
        push_attribute(&mut document, "xmlns:saml", ASSERTION);
        document.push('>');
        push_text(&mut document, self.entity_id);
        document.push_str("</saml:Issuer>");
        if let Some(format) = self.name_id_format {
            document.push_str("<samlp:NameIDPolicy");
            push_attribute(&mut document, "Format", format);
            push_attribute(&mut document, "AllowCreate", "true");
            document.push_str("/>");
        }
        document.push_str("</samlp:AuthnRequest>");
        Ok(document)
    }
}
