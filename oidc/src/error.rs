//! Errors of the relying party. No text has a secret, or a claim value of a person.

use std::{fmt, sync::Arc, time::Duration};

/// The cause of a sign-in, or of a verification, without a result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The provider did not give what is needed. Says nothing about the person or the token: 503.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The provider, or an attacker, sent something that is not accepted.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The provider rejected the service's own client ID or secret.
    #[error("the provider rejected this client; correct client_id and client_secret_file, or its registration there")]
    ClientRejected,
    /// The ID token leaves the groups out, because they are too many.
    #[error(
        "the provider left the groups out of the ID token because they are too many; let it send only groups assigned to the application, or app roles, and set groups_claim to that claim"
    )]
    GroupOverage,
    /// The ID token has no claim with the groups.
    #[error(
        "the ID token has no claim {claim:?}; let the provider send it, also as an empty list, or correct groups_claim and scopes"
    )]
    GroupsMissing {
        /// The configured claim or JSON pointer.
        claim: String,
    },
}

/// A part of a provider that did not give what is needed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot use the {endpoint} of {issuer}: {cause}")]
pub struct Unavailable {
    /// The issuer of the provider.
    pub issuer: String,
    /// The part of the provider.
    pub endpoint: Endpoint,
    /// The cause.
    #[source]
    pub cause: UnavailableCause,
}

/// A part of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The discovery document (OpenID Connect Discovery 1.0, section 4).
    Discovery,
    /// The key set (RFC 7517).
    Keys,
    /// The token endpoint (RFC 6749, section 3.2).
    Token,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discovery => "discovery document",
            Self::Keys => "key set",
            Self::Token => "token endpoint",
        })
    }
}

/// The cause of an [`Unavailable`] part of a provider.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnavailableCause {
    /// No complete response within the time limit.
    #[error("no response within {} milliseconds; check the provider and the network", limit.as_millis())]
    TimedOut {
        /// The time limit.
        limit: Duration,
    },
    /// No connection, or it broke. The source has no URL.
    #[error("no connection, or it broke; check the address, the network and whether the provider runs")]
    Connection(#[source] Arc<reqwest::Error>),
    /// The certificate of the provider is not accepted.
    #[error("its certificate is not accepted; set ca_file to the authority that issued it, or replace it")]
    Certificate(#[source] rustls::Error),
    /// The rule for addresses allows none of the host.
    #[error("no address of its host may be connected to")]
    AddressNotAllowed,
    /// A redirect. They are never followed.
    #[error("it responded with status {status}, a redirect; set issuer to the final address")]
    Redirect {
        /// The status.
        status: u16,
    },
    /// Another status than the expected one.
    #[error("it responded with status {status}; check the log of the provider")]
    Status {
        /// The status.
        status: u16,
    },
    /// The response is longer than the limit.
    #[error("its response is longer than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The response is not the JSON document that the specification demands.
    #[error("its response is not a valid document of its kind; check that issuer names an OpenID provider")]
    InvalidDocument,
    /// The discovery document names another issuer than the configured one.
    #[error("it names the issuer {found:?}; set issuer to exactly this text if it is the right provider")]
    IssuerDiffers {
        /// The issuer in the document, shortened.
        found: String,
    },
    /// The discovery document lacks an endpoint.
    #[error("it has no {name}; the provider must support the authorization code flow")]
    EndpointMissing {
        /// The name of the member.
        name: &'static str,
    },
    /// An endpoint in the discovery document has a URL that is not connected to.
    #[error("its {name} is not an https:// URL (http:// is for loopback hosts only)")]
    EndpointUrl {
        /// The name of the member.
        name: &'static str,
    },
    /// The provider supports no client authentication that this service supports.
    #[error("the provider supports neither client_secret_basic nor client_secret_post; allow one of them there")]
    ClientAuthentication,
}

/// The cause of a denied sign-in, ID token, logout token or JWT.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denial {
    /// The callback is from another issuer (RFC 9207).
    #[error("the callback's parameter iss is not the configured issuer")]
    IssuerParameter,
    /// The provider announces the parameter `iss`, but the callback has none (RFC 9207).
    #[error("the callback has no parameter iss, although the provider announces it")]
    IssuerParameterMissing,
    /// The provider does not accept the authorization code with this verifier.
    #[error("the authorization code is not valid, was used before, or belongs to another sign-in")]
    Code,
    /// The response of the token endpoint has no ID token.
    #[error("the response of the token endpoint has no id_token; the provider must grant the scope openid")]
    IdTokenMissing,
    /// Not a signed JWT (RFC 7519).
    #[error("the text is not a signed JWT with a JSON object")]
    Malformed,
    /// The JWT is longer than the limit.
    #[error("the JWT is longer than {limit} bytes")]
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// An object in the JWT has a name twice.
    #[error("the JWT has a claim twice")]
    DuplicateClaim,
    /// The header demands extensions (RFC 7515, section 4.1.11).
    #[error("the header of the JWT has crit, and no extension is supported")]
    CriticalHeader,
    /// The header has a type that is not expected here.
    #[error("the header of the JWT has a typ of another kind of token")]
    Type,
    /// The algorithm is not supported, for instance `none` and those with a shared secret.
    #[error("the JWT has an unsupported algorithm; the provider must sign by RS, PS, ES256, ES384 or EdDSA")]
    Algorithm,
    /// The key is not for the algorithm in the header.
    #[error("the algorithm of the JWT does not fit its key")]
    AlgorithmOfKey,
    /// The key is an RSA key that is too short.
    #[error("the JWT is signed with an RSA key below {minimum} bits; the provider must use a longer one")]
    WeakKey {
        /// The minimum size, in bits.
        minimum: usize,
    },
    /// The provider publishes no such key.
    #[error("the JWT is signed with a key that the provider does not publish")]
    UnknownKey,
    /// The signature is not valid.
    #[error("the signature of the JWT is not valid")]
    Signature,
    /// Another issuer.
    #[error("the JWT is from another issuer")]
    Issuer,
    /// The JWT is not for this client.
    #[error("the JWT is for another audience")]
    Audience,
    /// The JWT was issued to another client.
    #[error("the JWT was issued to another client (azp)")]
    AuthorizedParty,
    /// The JWT is expired.
    #[error("the JWT is expired; check the clocks of both machines")]
    Expired,
    /// The JWT is not valid yet (`nbf`).
    #[error("the JWT is not valid yet; check the clocks of both machines")]
    NotYetValid,
    /// The JWT was issued in the future (`iat`).
    #[error("the JWT was issued in the future; check the clocks of both machines")]
    IssuedInFuture,
    /// A required claim is missing.
    #[error("the JWT has no claim {claim:?}")]
    MissingClaim {
        /// The name of the claim.
        claim: String,
    },
    /// A claim has a wrong type or form.
    #[error("the claim {claim:?} of the JWT has a wrong form")]
    InvalidClaim {
        /// The name of the claim.
        claim: String,
    },
    /// The ID token belongs to another sign-in.
    #[error("the ID token belongs to another sign-in (nonce)")]
    Nonce,
    /// The person did not authenticate again.
    #[error("the person did not authenticate again at the provider, which must support max_age and prompt=login")]
    AuthenticationTooOld,
    /// The JWT is not a logout token (OpenID Connect Back-Channel Logout 1.0, section 2.4).
    #[error("the JWT has no event of a back-channel logout")]
    LogoutEvent,
    /// The logout token has a nonce, as only ID tokens do.
    #[error("the logout token has a nonce")]
    LogoutNonce,
    /// The logout token names neither a person nor a session.
    #[error("the logout token has neither sub nor sid")]
    LogoutSubject,
}

impl Denial {
    pub(crate) fn missing(claim: &str) -> Self {
        Self::MissingClaim { claim: claim.to_owned() }
    }

    pub(crate) fn invalid(claim: &str) -> Self {
        Self::InvalidClaim { claim: claim.to_owned() }
    }
}
