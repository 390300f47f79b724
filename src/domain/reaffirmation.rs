//! Pausing of tokens whose owner has not signed in through an identity provider for too long.
//!
//! An OpenID or SAML provider does not report who has left. A sign-in shows that the owner is still
//! there, and tokens that were paused authenticate again after it.

use super::time::Timestamp;

/// The last sign-in of a person through an identity provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderSignIn {
    /// The name of the provider.
    pub provider: String,
    /// The time of the sign-in, or of the link if there was none.
    pub at: Timestamp,
}

/// The time from the last sign-in through each provider until tokens pause.
#[derive(Clone, Debug, Default)]
pub struct ReaffirmationRules(Vec<(String, i64)>);

impl ReaffirmationRules {
    /// Creates rules from names of providers and seconds. The tokens of people of other providers never
    /// pause.
    pub fn new(rules: impl IntoIterator<Item = (String, i64)>) -> Self {
        Self(rules.into_iter().collect())
    }

    /// Returns `true` if no provider pauses tokens.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns when the tokens of a person pause; `None`: never. `sign_in` is `None` for a person who
    /// signs in with a local password, and for a service account.
    #[must_use]
    pub fn pauses_at(&self, sign_in: Option<&ProviderSignIn>) -> Option<Timestamp> {
        let sign_in = sign_in?;
        let (_, seconds) = self.0.iter().find(|(provider, _)| *provider == sign_in.provider)?;
        Some(sign_in.at.plus_seconds(*seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_pause_by_the_rule_of_the_provider() {
        let rules = ReaffirmationRules::new([("login".to_owned(), 60)]);
        let sign_in = |provider: &str| ProviderSignIn { provider: provider.to_owned(), at: Timestamp::from_millis(5) };
        assert_eq!(rules.pauses_at(Some(&sign_in("login"))), Some(Timestamp::from_millis(60_005)));
        assert_eq!(rules.pauses_at(Some(&sign_in("other"))), None);
        assert_eq!(rules.pauses_at(None), None);
        assert!(!rules.is_empty() && ReaffirmationRules::default().is_empty());
    }
}
