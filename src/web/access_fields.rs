//! The fields of a form that limit what a new token may be used for, and from where.

use std::{collections::BTreeMap, net::IpAddr};

use serde::Deserialize;

use super::form_error::FormError;
use crate::domain::{
    event::RequestContext,
    setting::Settings,
    token_limits::{AllowedNetworks, RequestedLimits, is_scope_word, parse_scopes, reserved_scope},
};

/// The reserved scopes, with what each permits at this service.
const RESERVED: [(&str, &str); reserved_scope::ALL.len()] = [
    (reserved_scope::TOKENS_READ, "List and read tokens"),
    (reserved_scope::TOKENS_WRITE, "Create and delete tokens"),
    (reserved_scope::PEOPLE_READ, "List and read people"),
    (reserved_scope::PEOPLE_WRITE, "Create, change and remove people"),
    (reserved_scope::SETTINGS_READ, "Read the workspace and its settings"),
    (reserved_scope::SETTINGS_WRITE, "Change the settings of the workspace"),
    (reserved_scope::EVENTS_READ, "Read the audit log"),
    (reserved_scope::INTROSPECT, "Check tokens by introspection"),
];

/// The beginning of the names of the checkboxes of scopes, before the scope.
const CHECKBOX: &str = "scope.";

/// The fields, as submitted.
#[derive(Default, Deserialize)]
pub(super) struct AccessFields {
    /// `full` or `scopes`.
    #[serde(default)]
    access: String,
    /// Words separated by white space or commas.
    #[serde(default)]
    scopes: String,
    /// Networks separated by white space or commas; empty: any.
    #[serde(default, rename = "allowedNetworks")]
    networks: String,
    /// The checkboxes of scopes, and fields without a meaning.
    #[serde(flatten)]
    others: BTreeMap<String, String>,
}

/// The fields, as a page shows them.
pub(super) struct AccessChoices<'a> {
    /// The workspace requires scopes, so full access cannot be chosen.
    pub requires_scopes: bool,
    pub is_full_selected: bool,
    /// The scopes of the workspace's catalog. If it is empty, scopes are entered as text.
    pub catalog: Vec<ScopeChoice<'a>>,
    pub scopes: &'a str,
    pub reserved: Vec<ScopeChoice<'a>>,
    pub networks: &'a str,
    /// The client address of the page; `None` if the service does not know those of its clients.
    pub client_address: Option<IpAddr>,
}

/// The checkbox of a scope.
pub(super) struct ScopeChoice<'a> {
    pub word: &'a str,
    /// The description of the scope; may be empty.
    pub meaning: &'a str,
    pub is_checked: bool,
}

impl AccessChoices<'_> {
    /// Returns `true` if the list of reserved scopes is open.
    pub(super) fn has_reserved(&self) -> bool {
        self.reserved.iter().any(|scope| scope.is_checked)
    }
}

impl AccessFields {
    /// Returns the limits of the token.
    ///
    /// # Errors
    /// The reason why the fields are rejected.
    pub(super) fn parse(&self) -> Result<RequestedLimits, FormError> {
        let words = self.words();
        // A token that is generated on a page has no maker, so `None` means full access and any network.
        let scopes = match self.access.as_str() {
            "full" | "" if words.is_empty() => None,
            "scopes" | "" => Some(parse_scopes(&words).map_err(|invalid| FormError::from_invalid(&invalid))?),
            "full" => {
                let message =
                    "You entered scopes, but chose Full access. Choose Only these scopes, or clear the scopes.";
                return Err(FormError::of_field("scopes", message));
            }
            _ => return Err(FormError::new("Choose Full access or Only these scopes.")),
        };
        let networks: Vec<String> = elements(&self.networks).map(str::to_owned).collect();
        let networks = match networks.is_empty() {
            true => None,
            false => Some(AllowedNetworks::parse(&networks).map_err(|invalid| FormError::from_invalid(&invalid))?),
        };
        Ok(RequestedLimits { scopes, networks })
    }

    /// Returns the checked and the entered scopes, each once.
    fn words(&self) -> Vec<String> {
        let checked = self.others.iter().filter(|(_, value)| *value == "yes");
        let checked = checked.filter_map(|(name, _)| name.strip_prefix(CHECKBOX));
        let mut words: Vec<String> = Vec::new();
        for word in checked.chain(elements(&self.scopes)) {
            if !words.iter().any(|other| other == word) {
                words.push(word.to_owned());
            }
        }
        words
    }

    fn is_checked(&self, word: &str) -> bool {
        self.others.get(&format!("{CHECKBOX}{word}")).is_some_and(|value| value == "yes")
    }

    /// Returns the fields as a page shows them, which `request` asked for.
    pub(super) fn choices<'a>(&'a self, settings: &'a Settings, request: &RequestContext) -> AccessChoices<'a> {
        let requires_scopes = settings.require_scopes;
        let choice = |(word, meaning)| ScopeChoice { word, meaning, is_checked: self.is_checked(word) };
        let catalog = settings.scopes.scopes().iter();
        AccessChoices {
            requires_scopes,
            is_full_selected: !requires_scopes && self.access != "scopes",
            catalog: catalog.map(|scope| choice((&scope.name, &scope.description))).collect(),
            scopes: &self.scopes,
            reserved: RESERVED.into_iter().map(choice).collect(),
            networks: &self.networks,
            client_address: request.unshared_client_ip(),
        }
    }
}

/// Returns whether a field is the checkbox of a scope.
pub(super) fn is_checkbox(field: &str) -> bool {
    field.strip_prefix(CHECKBOX).is_some_and(is_scope_word)
}

/// Returns the elements of a list that are separated by white space or commas.
fn elements(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || c == ',').filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(access: &str, scopes: &str, networks: &str, checked: &[&str]) -> AccessFields {
        let others = checked.iter().map(|word| (format!("scope.{word}"), "yes".to_owned())).collect();
        AccessFields { access: access.to_owned(), scopes: scopes.to_owned(), networks: networks.to_owned(), others }
    }

    #[test]
    fn every_reserved_scope_has_a_checkbox() {
        assert_eq!(RESERVED.map(|(word, _)| word), reserved_scope::ALL);
    }

    #[test]
    fn checked_and_entered_scopes_are_joined() {
        let limits = fields("scopes", "b  a\tb,tokenward:introspect", "", &["tokenward:introspect", "access"]).parse();
        assert_eq!(limits.unwrap().scopes.unwrap().as_str(), Some("a access b tokenward:introspect"));
        assert_eq!(fields("scopes", " ", "", &[]).parse().unwrap().scopes.unwrap().as_str(), Some(""));
    }

    #[test]
    fn full_access_with_scopes_is_rejected() {
        assert_eq!(fields("full", "", " , ", &[]).parse().unwrap(), RequestedLimits::default());
        for form in [fields("full", "a", "", &[]), fields("full", "", "", &["tokenward:introspect"])] {
            assert_eq!(form.parse().unwrap_err().field, Some("scopes"));
        }
        assert!(fields("everything", "", "", &[]).parse().is_err());
    }

    #[test]
    fn networks_are_separated_by_spaces_or_commas() {
        let networks = |text| fields("full", "", text, &[]).parse().map(|limits| limits.networks.unwrap().to_string());
        assert_eq!(networks("10.0.0.0/8, 192.0.2.1 2001:db8::/32").unwrap(), "10.0.0.0/8 192.0.2.1/32 2001:db8::/32");
        assert_eq!(networks("10.0.0.1/8").unwrap_err().field, Some("allowedNetworks"));
    }
}
