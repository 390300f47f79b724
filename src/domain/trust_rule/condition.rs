//! Conditions on the claims of a JWT.

use std::fmt;

use serde_json::{Map, Value};

use super::{ClaimName, InvalidTrustRule, MAX_CONDITIONS, glob};

/// The maximum length of an expected value, in characters.
const MAX_VALUE_CHARS: usize = 255;
/// The maximum length of a presented value in a message, in characters.
const MAX_SHOWN_CHARS: usize = 200;

/// The expected value of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Exactly this text.
    Value(String),
    /// A text that matches: `*` stands for characters other than `/` and `:`, `**` for any.
    Glob(String),
}

/// A condition on one claim. Only texts fulfill it: a number, a list or an object never does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    pub claim: ClaimName,
    pub expectation: Expectation,
}

/// The conditions of a trust rule, all of which must hold: 1 to [`MAX_CONDITIONS`], on distinct
/// claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditions(Vec<Condition>);

/// A claim that does not fulfill its condition. The message says which value was presented, not which
/// one was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    pub claim: ClaimName,
    pub presented: Presented,
}

/// The presented value of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presented {
    Missing,
    /// A number, a list, an object, a boolean or null.
    NotText,
    Text(String),
}

impl Expectation {
    fn validate(self, claim: &ClaimName) -> Result<Self, InvalidTrustRule> {
        let (Self::Value(text) | Self::Glob(text)) = &self;
        let is_text = !text.is_empty()
            && text.chars().count() <= MAX_VALUE_CHARS
            && !text.chars().any(crate::domain::text_rules::is_forbidden);
        let claim = || claim.as_str().to_owned();
        if !is_text {
            return Err(InvalidTrustRule::Value { claim: claim() });
        }
        let is_pattern = text.contains('*') && text.chars().any(|character| character != '*');
        match &self {
            Self::Value(_) if text.contains('*') => Err(InvalidTrustRule::AsteriskInValue { claim: claim() }),
            Self::Glob(_) if !is_pattern => Err(InvalidTrustRule::Glob { claim: claim() }),
            _ => Ok(self),
        }
    }

    fn is_met_by(&self, text: &str) -> bool {
        match self {
            Self::Value(expected) => expected == text,
            Self::Glob(pattern) => glob::matches(pattern, text),
        }
    }
}

impl Condition {
    /// Validates a condition.
    ///
    /// # Errors
    /// The [`InvalidTrustRule`] of the claim or of the value.
    pub fn new(claim: &str, expectation: Expectation) -> Result<Self, InvalidTrustRule> {
        let claim = ClaimName::parse(claim)?;
        Ok(Self { expectation: expectation.validate(&claim)?, claim })
    }

    fn check(&self, claims: &Map<String, Value>) -> Result<(), Mismatch> {
        let presented = match self.claim.find(claims) {
            None => Presented::Missing,
            Some(Value::String(text)) if self.expectation.is_met_by(text) => return Ok(()),
            Some(Value::String(text)) => Presented::Text(text.clone()),
            Some(_) => Presented::NotText,
        };
        Err(Mismatch { claim: self.claim.clone(), presented })
    }
}

impl Conditions {
    /// Validates a list of conditions.
    ///
    /// # Errors
    /// [`InvalidTrustRule::ConditionCount`] for none or too many, [`InvalidTrustRule::DuplicateClaim`] for
    /// two on one claim.
    pub fn new(conditions: Vec<Condition>) -> Result<Self, InvalidTrustRule> {
        if conditions.is_empty() || conditions.len() > MAX_CONDITIONS {
            return Err(InvalidTrustRule::ConditionCount { count: conditions.len() });
        }
        let mut claims: Vec<&ClaimName> = conditions.iter().map(|condition| &condition.claim).collect();
        claims.sort_unstable();
        if let Some(pair) = claims.windows(2).find(|pair| pair.first() == pair.last()) {
            let claim = pair.iter().map(|claim| claim.as_str().to_owned()).next().unwrap_or_default();
            return Err(InvalidTrustRule::DuplicateClaim { claim });
        }
        Ok(Self(conditions))
    }

    /// Returns the conditions in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Condition> {
        self.0.iter()
    }

    /// Returns whether a condition demands an exact value of one of these claims.
    #[must_use]
    pub fn has_exact(&self, claims: &[&str]) -> bool {
        self.iter().any(|condition| {
            matches!(condition.expectation, Expectation::Value(_)) && claims.contains(&condition.claim.as_str())
        })
    }

    /// Checks the claims of a verified JWT.
    ///
    /// # Errors
    /// The [`Mismatch`] of the first condition that does not hold.
    pub fn check(&self, claims: &Map<String, Value>) -> Result<(), Mismatch> {
        self.iter().try_for_each(|condition| condition.check(claims))
    }

    /// Returns the text that is stored: a JSON list.
    #[must_use]
    pub fn to_stored(&self) -> String {
        let list = self.iter().map(|condition| {
            let (kind, text) = match &condition.expectation {
                Expectation::Value(text) => ("value", text),
                Expectation::Glob(text) => ("glob", text),
            };
            serde_json::json!({"claim": condition.claim.as_str(), kind: text})
        });
        Value::Array(list.collect()).to_string()
    }

    /// Parses the stored text. Returns `None` for any other text.
    #[must_use]
    pub fn parse_stored(text: &str) -> Option<Self> {
        let Value::Array(list) = serde_json::from_str(text).ok()? else { return None };
        let conditions = list.iter().map(|entry| {
            let text = |name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
            let expectation = text("value").map(Expectation::Value).or_else(|| text("glob").map(Expectation::Glob))?;
            Condition::new(&text("claim")?, expectation).ok()
        });
        Self::new(conditions.collect::<Option<Vec<_>>>()?).ok()
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let claim = printable(self.claim.as_str());
        match &self.presented {
            Presented::Missing => write!(f, "the token has no claim {claim}"),
            Presented::NotText => write!(f, "the claim {claim} is not a text"),
            Presented::Text(text) => write!(f, "the claim {claim} is '{}'", printable(text)),
        }
    }
}

/// Returns a text with only the characters that the description of an OAuth error may have (RFC 6749,
/// section 5.2), shortened.
fn printable(text: &str) -> String {
    let is_allowed = |c: &char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
    let mut shown: String = text.chars().take(MAX_SHOWN_CHARS).map(|c| if is_allowed(&c) { c } else { '?' }).collect();
    if text.chars().nth(MAX_SHOWN_CHARS).is_some() {
        shown.push_str("...");
    }
    shown
}
