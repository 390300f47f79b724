//! Validation of new trust rules.

use serde_json::Value;
use tokenward_guard::Scopes;

use super::{
    Condition, Conditions, Expectation, InvalidTrustRule, IssuerKind, MAX_EXCHANGED_SECONDS, StaticKeySet, issuer_kind,
};
use crate::domain::{ValidationError, token_limits};

/// The maximum length of an issuer, in bytes.
const MAX_ISSUER_BYTES: usize = 1_024;
/// The maximum length of an audience, in bytes.
const MAX_AUDIENCE_BYTES: usize = 255;

/// The unvalidated fields of a new trust rule.
#[derive(Clone, Debug, Default)]
pub struct TrustRuleText<'a> {
    pub issuer: &'a str,
    /// The keys of the issuer; `None`: they are found by discovery.
    pub jwks: Option<&'a Value>,
    pub audience: &'a str,
    pub conditions: &'a [ConditionText],
    /// `None`: the maximum.
    pub max_lifetime_seconds: Option<i64>,
    /// `None`: unrestricted tokens.
    pub scopes: Option<&'a [String]>,
    /// `None`: true.
    pub single_use: Option<bool>,
}

/// An unvalidated condition.
#[derive(Clone, Debug, Default)]
pub struct ConditionText {
    pub claim: String,
    pub value: Option<String>,
    pub glob: Option<String>,
}

/// The validated terms of a trust rule. They never change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustRuleDraft {
    /// The claim `iss`, byte for byte.
    pub issuer: String,
    /// The keys of the issuer; `None`: they are found by discovery.
    pub key_set: Option<StaticKeySet>,
    /// The audience that the claim `aud` must contain.
    pub audience: String,
    pub conditions: Conditions,
    /// 1 to [`MAX_EXCHANGED_SECONDS`].
    pub max_lifetime_seconds: i64,
    /// The scopes of the tokens.
    pub scopes: Scopes,
    /// Each JWT is accepted once.
    pub single_use: bool,
}

impl TrustRuleDraft {
    /// Validates the fields of a new trust rule.
    ///
    /// # Errors
    /// [`ValidationError::TrustRule`], or the error of a scope.
    pub fn parse(text: &TrustRuleText<'_>) -> Result<Self, ValidationError> {
        let key_set = text.jwks.map(StaticKeySet::parse).transpose()?;
        let conditions = text.conditions.iter().map(parse_condition).collect::<Result<Vec<_>, _>>()?;
        let seconds = text.max_lifetime_seconds.unwrap_or(MAX_EXCHANGED_SECONDS);
        let draft = Self {
            issuer: parse_issuer(text.issuer)?,
            key_set,
            audience: parse_audience(text.audience)?,
            conditions: Conditions::new(conditions)?,
            max_lifetime_seconds: seconds,
            scopes: text.scopes.map_or(Ok(Scopes::unrestricted()), token_limits::parse_scopes)?,
            single_use: text.single_use.unwrap_or(true),
        };
        draft.check()?;
        Ok(draft)
    }

    /// Checks the rules that concern several fields.
    fn check(&self) -> Result<(), InvalidTrustRule> {
        let seconds = self.max_lifetime_seconds;
        if !(1..=MAX_EXCHANGED_SECONDS).contains(&seconds) {
            return Err(InvalidTrustRule::Lifetime { seconds });
        }
        let kind = IssuerKind::of(&self.issuer, &self.conditions);
        if kind.is_default_audience(&self.issuer, &self.audience) {
            return Err(InvalidTrustRule::DefaultAudience { audience: self.audience.clone() });
        }
        if !self.conditions.has_exact(kind.stable_claims()) {
            return Err(InvalidTrustRule::NoStableClaim { claims: kind.stable_claims() });
        }
        if !self.single_use && !issuer_kind::allows_repeated_use(&self.conditions) {
            return Err(InvalidTrustRule::RepeatedUse);
        }
        Ok(())
    }
}

/// Checks the form of an issuer (OpenID Connect Core 1.0, section 2).
fn parse_issuer(text: &str) -> Result<String, InvalidTrustRule> {
    let is_text = text.len() <= MAX_ISSUER_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic());
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let is_plain = !rest.is_empty() && !rest.starts_with('/') && !rest.contains(['?', '#', '@', '\\']);
    if is_text && is_plain { Ok(text.to_owned()) } else { Err(InvalidTrustRule::Issuer) }
}

fn parse_audience(text: &str) -> Result<String, InvalidTrustRule> {
    let is_text = (1..=MAX_AUDIENCE_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_text { Ok(text.to_owned()) } else { Err(InvalidTrustRule::Audience) }
}

fn parse_condition(text: &ConditionText) -> Result<Condition, InvalidTrustRule> {
    let expectation = match (&text.value, &text.glob) {
        (Some(value), None) => Expectation::Value(value.clone()),
        (None, Some(glob)) => Expectation::Glob(glob.clone()),
        _ => return Err(InvalidTrustRule::ValueOrGlob { claim: text.claim.chars().take(255).collect() }),
    };
    Condition::new(&text.claim, expectation)
}
