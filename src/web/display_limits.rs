//! The limits of a token in words: its scopes and its allowed networks.

use crate::domain::token_limits::TokenLimits;

/// The number of scopes that a row of a list names.
const SCOPES_IN_SUMMARY: usize = 2;

/// The limits of a token, as pages show them.
pub(super) struct DisplayLimits {
    /// `None`: full access.
    pub scopes: Option<Vec<String>>,
    /// Empty: any network.
    pub networks: Vec<String>,
}

impl From<&TokenLimits> for DisplayLimits {
    fn from(limits: &TokenLimits) -> Self {
        let words = || limits.scopes.words().map(str::to_owned).collect();
        Self {
            scopes: (!limits.scopes.is_unrestricted()).then(words),
            networks: limits.networks.iter().map(ToString::to_string).collect(),
        }
    }
}

impl DisplayLimits {
    /// Returns whether the token has full access from any network.
    pub(super) fn are_none(&self) -> bool {
        self.scopes.is_none() && self.networks.is_empty()
    }

    /// Returns the limits in one short line. The page of the token shows all of them.
    pub(super) fn summary(&self) -> String {
        let scopes = match self.scopes.as_deref() {
            None => "Full access".to_owned(),
            Some([]) => "No scopes".to_owned(),
            Some(words) => with_rest(&words[..words.len().min(SCOPES_IN_SUMMARY)].join(" "), words, SCOPES_IN_SUMMARY),
        };
        match self.networks.as_slice() {
            [] => scopes,
            [first, ..] => format!("{scopes} from {}", with_rest(first, &self.networks, 1)),
        }
    }
}

/// Returns the shown elements, followed by the number of the others.
fn with_rest(shown: &str, elements: &[String], count: usize) -> String {
    match elements.len().saturating_sub(count) {
        0 => shown.to_owned(),
        rest => format!("{shown} +{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_short() {
        for (stored, summary) in [
            ("*|*", "Full access"),
            ("|*", "No scopes"),
            ("a|*", "a"),
            ("a b c d|10.0.0.0/8", "a b +2 from 10.0.0.0/8"),
            ("*|10.0.0.0/8 192.0.2.1/32 192.0.2.7/32", "Full access from 10.0.0.0/8 +2"),
        ] {
            assert_eq!(DisplayLimits::from(&TokenLimits::parse_stored(stored).unwrap()).summary(), summary);
        }
    }
}
