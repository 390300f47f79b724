//! Trust rules: the JWTs of other issuers that a service account accepts in exchange for its tokens
//! (RFC 8693). A job in a CI system or a cluster has such a JWT, so it needs no stored secret.

mod assertion;
mod claim;
mod condition;
mod draft;
mod glob;
mod invalid;
mod issuer_kind;
mod key_set;
#[cfg(test)]
mod tests;

use tokenward_guard::Scopes;
use uuid::Uuid;

pub use assertion::{Assertion, InvalidAssertion, MAX_SUBJECT_TOKEN_BYTES, unverified_issuer};
pub use claim::ClaimName;
pub use condition::{Condition, Conditions, Expectation, Mismatch, Presented};
pub use draft::{ConditionText, TrustRuleDraft, TrustRuleText};
pub use invalid::InvalidTrustRule;
pub use issuer_kind::IssuerKind;
pub use key_set::StaticKeySet;

use super::{
    id::{PersonId, WorkspaceId},
    time::Timestamp,
    token::Lifetime,
};

/// The maximum number of trust rules of a service account.
pub const MAX_TRUST_RULES: i64 = 20;
/// The maximum number of conditions of a trust rule.
pub const MAX_CONDITIONS: usize = 16;
/// The maximum length of a stored key set, in bytes.
pub const MAX_KEY_SET_BYTES: usize = 32_768;
/// The claim with the UID of a Kubernetes service account.
const KUBERNETES_UID: &str = "/kubernetes.io/serviceaccount/uid";
/// The maximum lifetime of a token that is issued by exchange, in seconds.
pub const MAX_EXCHANGED_SECONDS: i64 = 3_600;

/// A rule by which a service account accepts the JWTs of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustRule {
    pub id: Uuid,
    pub workspace_id: WorkspaceId,
    /// The service account whose tokens are issued.
    pub account_id: PersonId,
    pub terms: TrustRuleDraft,
    pub created_at: Timestamp,
    /// When the last token was issued; `None`: never.
    pub last_used_at: Option<Timestamp>,
    /// The number of tokens that were issued.
    pub issued_tokens: i64,
}

/// The reason why a verified JWT gets no token of a scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeDenied {
    #[error("the trust rule does not permit the scope {word}")]
    NotPermitted { word: String },
}

impl TrustRule {
    /// Returns the workspace of the stored keys; `None`: the keys are found by discovery.
    #[must_use]
    pub fn key_owner(&self) -> Option<WorkspaceId> {
        self.terms.key_set.is_some().then_some(self.workspace_id)
    }

    /// Returns the lifetime of a token that is issued now: that of the rule, within the maximum of the
    /// workspace.
    #[must_use]
    pub fn lifetime(&self, max_lifetime_days: Option<i64>) -> Lifetime {
        let max = max_lifetime_days.map_or(i64::MAX, |days| days.saturating_mul(86_400));
        Lifetime::Seconds(self.terms.max_lifetime_seconds.min(MAX_EXCHANGED_SECONDS).min(max).max(1))
    }

    /// Returns the scopes of a token: the requested ones, or all of the rule.
    ///
    /// # Errors
    /// [`ScopeDenied`] if the rule does not permit a requested scope.
    pub fn scopes(&self, requested: Option<&Scopes>) -> Result<Scopes, ScopeDenied> {
        let Some(requested) = requested else { return Ok(self.terms.scopes.clone()) };
        if requested.is_within(&self.terms.scopes) {
            return Ok(requested.clone());
        }
        let denied = requested.words().find(|word| !self.terms.scopes.contains(word));
        Err(ScopeDenied::NotPermitted { word: denied.unwrap_or_default().to_owned() })
    }
}
