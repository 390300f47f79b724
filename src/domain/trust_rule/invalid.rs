//! The reasons why a trust rule is not accepted.

use super::{KUBERNETES_UID, MAX_CONDITIONS, MAX_EXCHANGED_SECONDS, MAX_KEY_SET_BYTES};

/// A trust rule that is not accepted. Each message states what is accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTrustRule {
    #[error(
        "issuer must be the text of the claim iss: an https:// URL of at most 1024 characters, without user name, query \
         and fragment"
    )]
    Issuer,
    #[error(
        "issuer cannot be reached from this service: {reason}; the operator can allow private addresses with \
         outbound.allow_private, or send the keys of the issuer as jwks"
    )]
    IssuerAddress { reason: String },
    #[error("audience must have from 1 to 255 visible ASCII characters")]
    Audience,
    #[error(
        "audience {audience} is a default of this issuer, so tokens for other services have it as well; choose one that \
         only this service has, such as its URL"
    )]
    DefaultAudience { audience: String },
    #[error(
        "jwks must be a JSON object with a list keys of 1 to 20 public keys, of at most {} bytes",
        MAX_KEY_SET_BYTES
    )]
    KeySet,
    #[error("jwks has a secret or private key, which must be considered leaked; send public keys only")]
    PrivateKey,
    #[error("conditions has {count} entries; from 1 to {} are allowed", MAX_CONDITIONS)]
    ConditionCount { count: usize },
    #[error(
        "claim {claim:?} is invalid; send the name of a claim, or a JSON pointer such as /kubernetes.io/serviceaccount/uid, \
         of at most 255 characters"
    )]
    Claim { claim: String },
    #[error("claim {claim} is checked by every exchange; remove the condition")]
    CheckedClaim { claim: String },
    #[error("conditions has claim {claim} more than once")]
    DuplicateClaim { claim: String },
    #[error("the condition on {claim} must have either value, for an exact text, or glob, for a pattern")]
    ValueOrGlob { claim: String },
    #[error("the condition on {claim} must have from 1 to 255 characters, without control characters")]
    Value { claim: String },
    #[error("the value of {claim} has an asterisk, which is no pattern here; send glob instead of value for a pattern")]
    AsteriskInValue { claim: String },
    #[error("the glob of {claim} must have an asterisk and another character; send value for an exact text")]
    Glob { claim: String },
    #[error(
        "a name may be given to another workload after a deletion; add a condition with the exact value of {}",
        claims.join(" or ")
    )]
    NoStableClaim { claims: &'static [&'static str] },
    #[error("maxLifetimeSeconds is {seconds}; it must be from 1 to {}", MAX_EXCHANGED_SECONDS)]
    Lifetime { seconds: i64 },
    #[error(
        "singleUse can be false only with the exact value of {}, because other issuers give each job a new token",
        KUBERNETES_UID
    )]
    RepeatedUse,
}
