//! The attributes of a SCIM user, and the account that follows from them.

use serde::{Deserialize, Serialize};

use crate::domain::{
    ValidationError,
    person::{Email, EmailKey, PersonName},
    text_rules::validate_single_line,
};

/// The maximum length of `userName`, `externalId` and names, in Unicode scalar values.
const MAX_CHARS: usize = 255;
/// The maximum number of e-mail addresses of a user.
const MAX_EMAILS: usize = 20;
/// The maximum length of the type of an e-mail address.
const MAX_TYPE_CHARS: usize = 64;

/// The attributes that a client sets, except `active`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScimAttributes {
    pub user_name: String,
    pub external_id: Option<String>,
    pub profile: ScimProfile,
}

/// Names and e-mail addresses, in the form that the store and the responses have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScimProfile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    #[serde(default, skip_serializing_if = "ScimName::is_empty")]
    pub name: ScimName,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emails: Vec<ScimEmail>,
}

/// The components of a name (RFC 7643, section 4.1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScimName {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub formatted: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
}

/// An e-mail address of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScimEmail {
    pub value: String,
    /// A label such as `work`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `None`: not sent, which counts as false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<bool>,
}

impl ScimEmail {
    /// Returns whether this is the address of the account.
    #[must_use]
    pub fn is_primary(&self) -> bool {
        self.primary == Some(true)
    }
}

/// Validated attributes with the account that follows from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidAttributes {
    pub attributes: ScimAttributes,
    /// The address of the account.
    pub email: Email,
    /// The name of the account.
    pub name: PersonName,
}

impl ScimName {
    /// Returns whether no component is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl ScimAttributes {
    /// Validates all attributes. The address of the account is the primary e-mail, otherwise a user
    /// name that is an address, otherwise the only e-mail.
    ///
    /// # Errors
    /// [`ValidationError::Empty`], [`ValidationError::TooLong`], [`ValidationError::TooManyEntries`] and
    /// [`ValidationError::ForbiddenCharacter`] for a value that cannot be stored,
    /// [`ValidationError::ScimSeveralPrimary`] for a second primary e-mail, and
    /// [`ValidationError::ScimEmailMissing`] if there is no address for the account.
    pub fn validate(self) -> Result<ValidAttributes, ValidationError> {
        if self.user_name.trim().is_empty() {
            return Err(ValidationError::Empty { field: "userName" });
        }
        validate_single_line("userName", &self.user_name, MAX_CHARS)?;
        if let Some(external_id) = &self.external_id {
            if external_id.is_empty() {
                return Err(ValidationError::Empty { field: "externalId" });
            }
            validate_single_line("externalId", external_id, MAX_CHARS)?;
        }
        self.profile.validate()?;
        let email = self.account_email()?;
        let name = self.account_name()?;
        Ok(ValidAttributes { email, name, attributes: self })
    }

    /// Returns the key of the user name, by which it is unique and found.
    #[must_use]
    pub fn user_name_key(&self) -> EmailKey {
        EmailKey::from_text(&self.user_name)
    }

    fn account_email(&self) -> Result<Email, ValidationError> {
        let emails = &self.profile.emails;
        if let Some(primary) = emails.iter().find(|email| email.is_primary()) {
            return Email::parse(&primary.value);
        }
        match (Email::parse(&self.user_name), &emails[..]) {
            (Ok(email), _) => Ok(email),
            (Err(_), [only]) => Email::parse(&only.value),
            (Err(_), _) => Err(ValidationError::ScimEmailMissing),
        }
    }

    fn account_name(&self) -> Result<PersonName, ValidationError> {
        let ScimProfile { display_name, name, .. } = &self.profile;
        let joined = || {
            let parts = [&name.given_name, &name.family_name].into_iter().flatten();
            parts.map(String::as_str).collect::<Vec<_>>().join(" ")
        };
        let text = display_name.clone().or_else(|| name.formatted.clone()).unwrap_or_else(joined);
        // Both components together may be longer than a name.
        PersonName::parse(&text.chars().take(PersonName::MAX_CHARS).collect::<String>())
    }

    /// Returns the names of the attributes that differ.
    #[must_use]
    pub fn changed_from(&self, other: &Self) -> Vec<&'static str> {
        let (new, old) = (&self.profile, &other.profile);
        [
            ("userName", self.user_name != other.user_name),
            ("externalId", self.external_id != other.external_id),
            ("displayName", new.display_name != old.display_name),
            ("name", new.name != old.name),
            ("emails", new.emails != old.emails),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
    }
}

impl ScimProfile {
    fn validate(&self) -> Result<(), ValidationError> {
        let ScimName { formatted, family_name, given_name } = &self.name;
        let texts = [
            ("displayName", &self.display_name),
            ("name.formatted", formatted),
            ("name.familyName", family_name),
            ("name.givenName", given_name),
        ];
        for (field, text) in texts {
            validate_single_line(field, text.as_deref().unwrap_or_default(), MAX_CHARS)?;
        }
        if self.emails.len() > MAX_EMAILS {
            return Err(ValidationError::TooManyEntries { field: "emails", max: MAX_EMAILS, count: self.emails.len() });
        }
        for email in &self.emails {
            if email.value.is_empty() {
                return Err(ValidationError::Empty { field: "emails.value" });
            }
            validate_single_line("emails.value", &email.value, Email::MAX_BYTES)?;
            validate_single_line("emails.type", email.kind.as_deref().unwrap_or_default(), MAX_TYPE_CHARS)?;
        }
        if self.emails.iter().filter(|email| email.is_primary()).count() > 1 {
            return Err(ValidationError::ScimSeveralPrimary);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(value: &str, primary: bool) -> ScimEmail {
        ScimEmail { value: value.to_owned(), kind: None, primary: Some(primary) }
    }

    fn with(user_name: &str, emails: Vec<ScimEmail>) -> ScimAttributes {
        let profile = ScimProfile { emails, ..ScimProfile::default() };
        ScimAttributes { user_name: user_name.to_owned(), external_id: None, profile }
    }

    #[test]
    fn the_address_is_the_primary_email_or_the_user_name() {
        let address = |attributes: ScimAttributes| attributes.validate().map(|valid| valid.email.as_str().to_owned());
        let both = vec![email("home@example.com", false), email("work@example.com", true)];
        assert_eq!(address(with("ada@example.com", both)), Ok("work@example.com".to_owned()));
        let secondary = vec![email("home@example.com", false)];
        assert_eq!(address(with("ada@example.com", secondary.clone())), Ok("ada@example.com".to_owned()));
        assert_eq!(address(with("ada", secondary)), Ok("home@example.com".to_owned()));
        let several = vec![email("a@example.com", false), email("b@example.com", false)];
        assert_eq!(address(with("ada", several)), Err(ValidationError::ScimEmailMissing));
        assert_eq!(address(with("ada", Vec::new())), Err(ValidationError::ScimEmailMissing));
        assert_eq!(address(with("ada@example.com", vec![email("ada", true)])), Err(ValidationError::Email));
        let twice = vec![email("a@example.com", true), email("b@example.com", true)];
        assert_eq!(address(with("ada", twice)), Err(ValidationError::ScimSeveralPrimary));
    }

    #[test]
    fn the_name_is_the_display_name_or_the_components() {
        let name = |profile: ScimProfile| {
            let attributes = ScimAttributes { user_name: "ada@example.com".to_owned(), external_id: None, profile };
            attributes.validate().unwrap().name.as_str().to_owned()
        };
        let components =
            ScimName { formatted: None, family_name: Some("Lovelace".to_owned()), given_name: Some("Ada".to_owned()) };
        let profile = ScimProfile { name: components.clone(), ..ScimProfile::default() };
        assert_eq!(name(profile.clone()), "Ada Lovelace");
        let formatted = ScimName { formatted: Some("Countess".to_owned()), ..components };
        assert_eq!(name(ScimProfile { name: formatted, ..ScimProfile::default() }), "Countess");
        assert_eq!(name(ScimProfile { display_name: Some("A. L.".to_owned()), ..profile }), "A. L.");
        assert_eq!(name(ScimProfile::default()), "");
    }

    #[test]
    fn values_that_cannot_be_stored_are_rejected() {
        let field = |attributes: ScimAttributes| attributes.validate().unwrap_err();
        assert_eq!(field(with(" ", Vec::new())), ValidationError::Empty { field: "userName" });
        assert_eq!(field(with("a\0b", Vec::new())), ValidationError::ForbiddenCharacter { field: "userName" });
        assert_eq!(field(with(&"x".repeat(256), Vec::new())), ValidationError::TooLong { field: "userName", max: 255 });
        let nameless = ScimAttributes { external_id: Some(String::new()), ..with("a@example.com", Vec::new()) };
        assert_eq!(field(nameless), ValidationError::Empty { field: "externalId" });
        let many = vec![email("a@example.com", false); 21];
        assert_eq!(field(with("a", many)), ValidationError::TooManyEntries { field: "emails", max: 20, count: 21 });
    }
}
