//! The settings of a workspace: the keys, what they take, and what is in force.

use super::Invalid;

/// A setting's key. The spellings are the original's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    Enabled,
    AllowUsers,
    MaxLifetimeDays,
    TokenMinted,
}

/// What a setting is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    Switch(bool),
    Days(i64),
    Minted(TokenMinted),
}

/// What tokens may make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenMinted {
    /// Tokens of any lifetime: this is how people renew.
    #[default]
    Allowed,
    /// Tokens that end no later than they do.
    Bounded,
    /// None: it takes the password, or a page.
    Forbidden,
}

impl TokenMinted {
    pub const ALL: [Self; 3] = [Self::Allowed, Self::Bounded, Self::Forbidden];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Bounded => "bounded",
            Self::Forbidden => "forbidden",
        }
    }

    /// Reads one of the three words.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|minted| minted.as_str() == text)
    }
}

/// What kind of value a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Switch,
    Days,
    Minted,
}

/// `maxLifetimeDays` of this value is no maximum.
const UNLIMITED: i64 = -1;

impl Key {
    pub const ALL: [Self; 4] = [Self::Enabled, Self::AllowUsers, Self::MaxLifetimeDays, Self::TokenMinted];
    /// The greatest `maxLifetimeDays`.
    pub const MAX_DAYS: i64 = 36_500;

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "feature.apiAccessTokens.enabled",
            Self::AllowUsers => "feature.apiAccessTokens.allowUsers",
            Self::MaxLifetimeDays => "feature.apiAccessTokens.maxLifetimeDays",
            Self::TokenMinted => "tokenward.tokenMintedTokens",
        }
    }

    /// Finds a key by its exact spelling.
    ///
    /// # Errors
    /// [`Invalid::UnknownSetting`], which lists the keys there are.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let found = Self::ALL.into_iter().find(|key| key.as_str() == text);
        found.ok_or_else(|| Invalid::UnknownSetting { key: text.chars().take(100).collect() })
    }

    /// All keys, for a sentence.
    #[must_use]
    pub fn names() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Enabled => "API Access Token",
            Self::AllowUsers => "Allow users to generate access tokens",
            Self::MaxLifetimeDays => "Maximum lifetime for user generated access tokens (days)",
            Self::TokenMinted => "Tokens made by tokens",
        }
    }

    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Self::Enabled => {
                "Off: nobody can make tokens, their owners can neither list nor delete them, and every token of the workspace stops \
                 working at once. Nothing is deleted: on again revives the tokens that have not expired."
            }
            Self::AllowUsers => {
                "Off: only administrators, and people enabled individually, may generate tokens. Tokens that exist go on working."
            }
            Self::MaxLifetimeDays => {
                "Bounds every new token, administrators' too; -1 is unlimited. Tokens that exist are left alone."
            }
            Self::TokenMinted => {
                "Whether a token may make another for its owner: allowed; bounded, no later than its own end; or forbidden, so that it \
                 takes the password or a page. Tokens that exist are left alone."
            }
        }
    }

    /// What kind of value the key takes.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Enabled | Self::AllowUsers => Kind::Switch,
            Self::MaxLifetimeDays => Kind::Days,
            Self::TokenMinted => Kind::Minted,
        }
    }

    const fn expected(self) -> &'static str {
        match self.kind() {
            Kind::Switch => "true or false",
            Kind::Days => "-1 (unlimited) or a whole number of days from 1 to 36500",
            Kind::Minted => "allowed, bounded or forbidden",
        }
    }

    /// Checks a boolean for this key.
    ///
    /// # Errors
    /// [`Invalid::SettingValue`] where the key is no switch.
    pub fn switch(self, on: bool) -> Result<Value, Invalid> {
        if self.kind() == Kind::Switch { Ok(Value::Switch(on)) } else { Err(self.refused()) }
    }

    /// Checks a word for this key.
    ///
    /// # Errors
    /// [`Invalid::SettingValue`] where the key takes no word, or not this one.
    pub fn word(self, text: &str) -> Result<Value, Invalid> {
        let minted = TokenMinted::parse(text).filter(|_| self.kind() == Kind::Minted);
        minted.map(Value::Minted).ok_or(self.refused())
    }

    /// Checks a number for this key.
    ///
    /// # Errors
    /// [`Invalid::SettingValue`] where the key takes no days, or not so many.
    pub fn days(self, days: i64) -> Result<Value, Invalid> {
        let in_range = days == UNLIMITED || (1..=Self::MAX_DAYS).contains(&days);
        if self == Self::MaxLifetimeDays && in_range { Ok(Value::Days(days)) } else { Err(self.refused()) }
    }

    /// The refusal of a value of another kind.
    #[must_use]
    pub const fn refused(self) -> Invalid {
        Invalid::SettingValue { key: self.as_str(), expected: self.expected() }
    }

    /// Reads a value as [`Value::to_text`] writes it.
    #[must_use]
    pub fn parse_value(self, text: &str) -> Option<Value> {
        match self.kind() {
            Kind::Switch => self.switch(text.parse().ok()?).ok(),
            Kind::Days => self.days(text.parse().ok()?).ok(),
            Kind::Minted => self.word(text).ok(),
        }
    }
}

impl Value {
    /// The form that is stored: `true`, `false`, a decimal number or a word.
    #[must_use]
    pub fn to_text(self) -> String {
        match self {
            Self::Switch(on) => on.to_string(),
            Self::Days(days) => days.to_string(),
            Self::Minted(minted) => minted.as_str().to_owned(),
        }
    }
}

/// The settings in force in a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub enabled: bool,
    pub allow_users: bool,
    /// None: unlimited.
    pub max_lifetime_days: Option<i64>,
    pub token_minted: TokenMinted,
}

impl Settings {
    /// What holds where a workspace has set nothing, but for `enabled`, which the operator decides.
    #[must_use]
    pub const fn defaults(enabled: bool) -> Self {
        Self { enabled, allow_users: false, max_lifetime_days: None, token_minted: TokenMinted::Allowed }
    }

    /// What is in force where these are the defaults and some have been set.
    #[must_use]
    pub fn overlaid(self, set: Vec<(Key, Value)>) -> Self {
        set.into_iter().fold(self, |all, (key, value)| all.with(key, value))
    }

    /// These settings with one of them set.
    #[must_use]
    pub const fn with(mut self, key: Key, value: Value) -> Self {
        match (key, value) {
            (Key::Enabled, Value::Switch(on)) => self.enabled = on,
            (Key::AllowUsers, Value::Switch(on)) => self.allow_users = on,
            (Key::MaxLifetimeDays, Value::Days(days)) => {
                self.max_lifetime_days = if days == UNLIMITED { None } else { Some(days) };
            }
            (Key::TokenMinted, Value::Minted(minted)) => self.token_minted = minted,
            // Unreachable by the constructors of `Value`, and harmless.
            (Key::Enabled | Key::AllowUsers | Key::MaxLifetimeDays | Key::TokenMinted, _) => {}
        }
        self
    }

    /// The value of one setting.
    #[must_use]
    pub fn get(&self, key: Key) -> Value {
        match key {
            Key::Enabled => Value::Switch(self.enabled),
            Key::AllowUsers => Value::Switch(self.allow_users),
            Key::MaxLifetimeDays => Value::Days(self.max_lifetime_days.unwrap_or(UNLIMITED)),
            Key::TokenMinted => Value::Minted(self.token_minted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked_against_their_key() {
        assert_eq!(Key::Enabled.switch(false), Ok(Value::Switch(false)));
        assert_eq!(Key::ALL.map(Key::kind), [Kind::Switch, Kind::Switch, Kind::Days, Kind::Minted]);
        assert!(Key::Enabled.days(1).is_err() && Key::MaxLifetimeDays.switch(true).is_err());
        for (days, fine) in [(-1, true), (1, true), (36_500, true), (0, false), (-2, false), (36_501, false)] {
            assert_eq!(Key::MaxLifetimeDays.days(days).is_ok(), fine, "{days}");
        }
    }

    #[test]
    fn what_is_stored_is_read_back() {
        for (key, value) in [
            (Key::Enabled, Value::Switch(false)),
            (Key::AllowUsers, Value::Switch(true)),
            (Key::MaxLifetimeDays, Value::Days(365)),
            (Key::TokenMinted, Value::Minted(TokenMinted::Bounded)),
        ] {
            assert_eq!(key.parse_value(&value.to_text()), Some(value));
            assert_eq!(Settings::defaults(true).with(key, value).get(key), value);
            assert_eq!(Key::parse(key.as_str()), Ok(key));
        }
        assert_eq!(Key::Enabled.parse_value("yes"), None);
    }
}
