//! Limits of a token: the scopes that say what it may be used for, and the networks from which it
//! authenticates. Both are set when the token is created and never change.

use std::{fmt, net::IpAddr, sync::Arc};

use super::{
    ValidationError,
    ip_network::{InvalidIpNetwork, IpNetwork},
};
use tokenward_guard::Scopes;

/// The prefix of scopes that only this service defines.
const RESERVED_PREFIX: &str = "tokenward:";
/// The maximum number of scopes, and of networks, of a token.
const MAX_ENTRIES: usize = 32;
/// The maximum length of a scope, in characters.
const MAX_SCOPE_CHARS: usize = 64;

/// The scopes that this service's own API requires.
pub mod reserved_scope {
    /// List and read tokens.
    pub const TOKENS_READ: &str = "tokenward:tokens:read";
    /// Create and delete tokens.
    pub const TOKENS_WRITE: &str = "tokenward:tokens:write";
    /// List and read people.
    pub const PEOPLE_READ: &str = "tokenward:people:read";
    /// Create, change and remove people.
    pub const PEOPLE_WRITE: &str = "tokenward:people:write";
    /// Read the workspace and its settings.
    pub const SETTINGS_READ: &str = "tokenward:settings:read";
    /// Change the settings of the workspace.
    pub const SETTINGS_WRITE: &str = "tokenward:settings:write";
    /// Read the audit log.
    pub const EVENTS_READ: &str = "tokenward:events:read";
    /// Introspect tokens.
    pub const INTROSPECT: &str = "tokenward:introspect";

    /// All of them.
    pub const ALL: [&str; 8] =
        [TOKENS_READ, TOKENS_WRITE, PEOPLE_READ, PEOPLE_WRITE, SETTINGS_READ, SETTINGS_WRITE, EVENTS_READ, INTROSPECT];
}

/// Validates the scopes of a new token: at most 32 distinct words of `[a-z0-9][a-z0-9:._-]{0,63}`.
/// A word that begins with `tokenward:` must be one of [`reserved_scope::ALL`]. No word at all is a
/// valid set: such a token identifies its owner and nothing else.
///
/// # Errors
/// [`ValidationError::TooManyEntries`], [`ValidationError::ScopeSyntax`],
/// [`ValidationError::DuplicateScope`] or [`ValidationError::UnknownReservedScope`].
pub fn parse_scopes(words: &[String]) -> Result<Scopes, ValidationError> {
    if words.len() > MAX_ENTRIES {
        return Err(ValidationError::TooManyEntries { field: "scopes", count: words.len(), max: MAX_ENTRIES });
    }
    for (n, word) in words.iter().enumerate() {
        validate_scope(word)?;
        if words[..n].contains(word) {
            return Err(ValidationError::DuplicateScope { word: word.clone() });
        }
    }
    Ok(Scopes::from_words(words.iter().map(String::as_str)))
}

/// Validates one scope.
///
/// # Errors
/// [`ValidationError::ScopeSyntax`] or [`ValidationError::UnknownReservedScope`].
pub fn validate_scope(word: &str) -> Result<(), ValidationError> {
    if !is_scope_word(word) {
        return Err(ValidationError::ScopeSyntax { word: word.chars().take(MAX_SCOPE_CHARS).collect() });
    }
    if word.starts_with(RESERVED_PREFIX) && !is_reserved_scope(word) {
        return Err(ValidationError::UnknownReservedScope { word: word.to_owned() });
    }
    Ok(())
}

/// Returns `true` if a word is one of [`reserved_scope::ALL`].
#[must_use]
pub fn is_reserved_scope(word: &str) -> bool {
    reserved_scope::ALL.contains(&word)
}

/// Returns `true` if a text has the form of a scope.
#[must_use]
pub fn is_scope_word(word: &str) -> bool {
    let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    word.len() <= MAX_SCOPE_CHARS
        && word.bytes().next().is_some_and(is_alphanumeric)
        && word.bytes().all(|byte| is_alphanumeric(byte) || b":._-".contains(&byte))
}

/// The networks from which a token authenticates. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AllowedNetworks(
    /// At least one network; `None`: any.
    Option<Arc<[IpNetwork]>>,
);

impl AllowedNetworks {
    /// Returns the limit of a token that authenticates from any address.
    #[must_use]
    pub const fn any() -> Self {
        Self(None)
    }

    /// Validates the networks of a new token: 1 to 32 addresses or networks in CIDR notation, without
    /// host bits. IPv4-mapped IPv6 networks are converted to IPv4.
    ///
    /// # Errors
    /// [`ValidationError::NoNetworks`], [`ValidationError::TooManyEntries`],
    /// [`ValidationError::Network`] or [`ValidationError::NetworkHostBits`].
    pub fn parse(texts: &[String]) -> Result<Self, ValidationError> {
        if texts.is_empty() {
            return Err(ValidationError::NoNetworks);
        }
        if texts.len() > MAX_ENTRIES {
            return Err(ValidationError::TooManyEntries {
                field: "allowedNetworks",
                count: texts.len(),
                max: MAX_ENTRIES,
            });
        }
        let networks = texts.iter().map(|text| parse_network(text)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::from_networks(networks))
    }

    fn from_networks(mut networks: Vec<IpNetwork>) -> Self {
        networks.sort_unstable();
        networks.dedup();
        Self(Some(networks.into()))
    }

    /// Parses the text that `Display` writes. Returns `None` for any other text.
    #[must_use]
    pub fn parse_stored(text: &str) -> Option<Self> {
        let networks = text.split(' ').map(str::parse).collect::<Result<Vec<_>, _>>().ok()?;
        Some(Self::from_networks(networks))
    }

    /// Returns `true` if the token authenticates from any address.
    #[must_use]
    pub const fn is_any(&self) -> bool {
        self.0.is_none()
    }

    /// Returns `true` if a client with this address may use the token. An unknown address is in no
    /// network.
    #[must_use]
    pub fn allow(&self, client: Option<IpAddr>) -> bool {
        let Some(networks) = &self.0 else { return true };
        client.is_some_and(|address| networks.iter().any(|network| network.contains(address)))
    }

    /// Returns `true` if every address of these networks is allowed by `other`.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        let (networks, others) = match (&self.0, &other.0) {
            (_, None) => return true,
            (None, Some(_)) => return false,
            (Some(networks), Some(others)) => (networks, others),
        };
        networks.iter().all(|network| others.iter().any(|other| other.contains_network(*network)))
    }

    /// Returns the size of the networks in memory, in bytes.
    #[must_use]
    pub fn memory_size(&self) -> usize {
        self.0.as_deref().map_or(0, size_of_val)
    }

    /// Returns the networks; none if the token authenticates from any address.
    pub fn iter(&self) -> impl Iterator<Item = &IpNetwork> {
        self.0.iter().flat_map(|networks| networks.iter())
    }
}

/// Writes the networks separated by spaces.
impl fmt::Display for AllowedNetworks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, network) in self.iter().enumerate() {
            let separator = if n == 0 { "" } else { " " };
            write!(f, "{separator}{network}")?;
        }
        Ok(())
    }
}

fn parse_network(text: &str) -> Result<IpNetwork, ValidationError> {
    match text.parse::<IpNetwork>() {
        Err(InvalidIpNetwork::MatchesAllAddresses(text)) => Err(ValidationError::NetworkOfAllAddresses { text }),
        Err(InvalidIpNetwork::Syntax(text)) => Err(ValidationError::Network { text }),
        Ok(network) if network.has_host_bits() => Err(ValidationError::NetworkHostBits {
            text: text.to_owned(),
            network: network.without_host_bits().to_string(),
        }),
        Ok(network) => Ok(network),
    }
}

/// The scopes and the networks of a token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenLimits {
    pub scopes: Scopes,
    pub networks: AllowedNetworks,
}

/// The limits that a request for a new token asks for. `None`: those of the token that creates it, or
/// of the replaced token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestedLimits {
    pub scopes: Option<Scopes>,
    pub networks: Option<AllowedNetworks>,
}

impl TokenLimits {
    /// The limits of a token without any.
    pub const NONE: Self = Self { scopes: Scopes::unrestricted(), networks: AllowedNetworks::any() };

    /// Returns `true` if the token has neither scopes nor networks.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.scopes.is_unrestricted() && self.networks.is_any()
    }

    /// Parses scopes and networks, separated by a vertical bar. An asterisk means none. Returns `None`
    /// for any other text.
    #[must_use]
    pub fn parse_stored(text: &str) -> Option<Self> {
        let (scopes, networks) = text.split_once('|')?;
        let is_valid = scopes.is_empty() || scopes == "*" || scopes.split(' ').all(is_scope_word);
        let scopes = if scopes == "*" { Scopes::unrestricted() } else { Scopes::parse(scopes) };
        let networks = if networks == "*" { AllowedNetworks::any() } else { AllowedNetworks::parse_stored(networks)? };
        is_valid.then_some(Self { scopes, networks })
    }

    /// Returns the limits of a token that is created with these limits as its maker's, or
    /// [`TokenLimits::NONE`] if its maker is no token. What the request leaves out comes from `defaults`:
    /// the replaced token, or the maker.
    ///
    /// # Errors
    /// [`ValidationError::ScopesExceedMaker`] or [`ValidationError::NetworksExceedMaker`] if the new
    /// token would have a right that its maker lacks.
    pub fn for_child(&self, requested: &RequestedLimits, defaults: &Self) -> Result<Self, ValidationError> {
        let child = Self {
            scopes: requested.scopes.clone().unwrap_or_else(|| defaults.scopes.clone()),
            networks: requested.networks.clone().unwrap_or_else(|| defaults.networks.clone()),
        };
        if !child.scopes.is_within(&self.scopes) {
            return Err(ValidationError::ScopesExceedMaker);
        }
        if !child.networks.is_within(&self.networks) {
            return Err(ValidationError::NetworksExceedMaker);
        }
        Ok(child)
    }
}

#[cfg(test)]
mod tests;
