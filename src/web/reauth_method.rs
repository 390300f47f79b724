//! The proof that a form with a sensitive operation asks for.

/// The proof that a form with a sensitive operation asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reauth {
    /// Nothing: the user authenticated a short time ago.
    None,
    Password,
    /// A confirmation at the identity provider with this name, which begins at this path.
    Provider {
        name: String,
        path: String,
    },
}

impl Reauth {
    /// Returns name and path of the provider at which the user must confirm.
    pub(super) fn provider(&self) -> Option<(&str, &str)> {
        if let Self::Provider { name, path } = self { Some((name, path)) } else { None }
    }

    pub(super) fn is_password(&self) -> bool {
        *self == Self::Password
    }
}
