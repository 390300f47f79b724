//! Single changes of attributes, as a PATCH request has them (RFC 7644, section 3.5.2).

use super::{ScimAttributes, ScimEmail, ScimName};

/// A change of one attribute. `None` removes a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScimEdit {
    UserName(String),
    ExternalId(Option<String>),
    DisplayName(Option<String>),
    /// Replaces the components that are set, and keeps the others.
    Name(ScimName),
    RemoveName,
    NameField(NameField, Option<String>),
    Emails(EmailEdit),
    Active(bool),
}

/// A component of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameField {
    Formatted,
    FamilyName,
    GivenName,
}

/// A change of e-mail addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EmailEdit {
    /// Replaces all addresses.
    Replace(Vec<ScimEmail>),
    /// Adds addresses. One with the value of an existing address replaces it.
    Add(Vec<ScimEmail>),
    /// Sets a field of the selected addresses. If none is selected, `creates` adds one.
    Set { selector: EmailSelector, field: EmailField, creates: bool },
    /// Removes the selected addresses.
    Remove(EmailSelector),
}

/// The addresses that a change concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EmailSelector {
    All,
    Type(String),
    Value(String),
    Primary(bool),
}

/// A field of an address with its new value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EmailField {
    Value(String),
    Type(Option<String>),
    Primary(bool),
}

/// An edit that cannot be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the filter of the path selects no e-mail address of the user")]
pub struct EditError;

impl ScimEdit {
    /// Applies the change. [`ScimEdit::Active`] changes `is_active` only.
    ///
    /// # Errors
    /// [`EditError`] if a filter selects nothing.
    pub fn apply(&self, attributes: &mut ScimAttributes, is_active: &mut Option<bool>) -> Result<(), EditError> {
        let profile = &mut attributes.profile;
        match self {
            Self::UserName(name) => attributes.user_name.clone_from(name),
            Self::ExternalId(id) => attributes.external_id.clone_from(id),
            Self::DisplayName(name) => profile.display_name.clone_from(name),
            Self::Name(new) => {
                let ScimName { formatted, family_name, given_name } = new.clone();
                profile.name.formatted = formatted.or(profile.name.formatted.take());
                profile.name.family_name = family_name.or(profile.name.family_name.take());
                profile.name.given_name = given_name.or(profile.name.given_name.take());
            }
            Self::RemoveName => profile.name = ScimName::default(),
            Self::NameField(NameField::Formatted, text) => profile.name.formatted.clone_from(text),
            Self::NameField(NameField::FamilyName, text) => profile.name.family_name.clone_from(text),
            Self::NameField(NameField::GivenName, text) => profile.name.given_name.clone_from(text),
            Self::Emails(edit) => edit.apply(&mut profile.emails)?,
            Self::Active(active) => *is_active = Some(*active),
        }
        Ok(())
    }
}

impl EmailEdit {
    fn apply(&self, emails: &mut Vec<ScimEmail>) -> Result<(), EditError> {
        match self {
            Self::Replace(new) => emails.clone_from(new),
            Self::Add(new) => {
                if new.iter().any(ScimEmail::is_primary) {
                    clear_primary(emails);
                }
                emails.retain(|old| new.iter().all(|email| email.value != old.value));
                emails.extend(new.iter().cloned());
            }
            Self::Set { selector, field, creates } => {
                let selected: Vec<usize> =
                    (0..emails.len()).filter(|n| emails.get(*n).is_some_and(|email| selector.selects(email))).collect();
                if *field == EmailField::Primary(true)
                    || (selected.is_empty() && *selector == EmailSelector::Primary(true))
                {
                    clear_primary(emails);
                }
                if selected.is_empty() {
                    emails.push(selector.new_email(field).filter(|_| *creates).ok_or(EditError)?);
                }
                for n in selected {
                    if let Some(email) = emails.get_mut(n) {
                        field.set(email);
                    }
                }
            }
            Self::Remove(selector) => {
                let before = emails.len();
                emails.retain(|email| !selector.selects(email));
                if emails.len() == before && *selector != EmailSelector::All {
                    return Err(EditError);
                }
            }
        }
        Ok(())
    }
}

/// A new primary address takes the place of the old one (RFC 7644, section 3.5.2).
fn clear_primary(emails: &mut [ScimEmail]) {
    for email in emails.iter_mut().filter(|email| email.is_primary()) {
        email.primary = Some(false);
    }
}

impl EmailSelector {
    fn selects(&self, email: &ScimEmail) -> bool {
        match self {
            Self::All => true,
            Self::Type(kind) => email.kind.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(kind)),
            Self::Value(value) => email.value.eq_ignore_ascii_case(value),
            Self::Primary(primary) => email.is_primary() == *primary,
        }
    }

    /// Returns the address that this filter selects and that has this field; `None` without a value.
    fn new_email(&self, field: &EmailField) -> Option<ScimEmail> {
        let mut email = ScimEmail::default();
        match self {
            Self::All => {}
            Self::Type(kind) => email.kind = Some(kind.clone()),
            Self::Value(value) => email.value.clone_from(value),
            Self::Primary(primary) => email.primary = Some(*primary),
        }
        field.set(&mut email);
        (!email.value.is_empty()).then_some(email)
    }
}

impl EmailField {
    fn set(&self, email: &mut ScimEmail) {
        match self {
            Self::Value(value) => email.value.clone_from(value),
            Self::Type(kind) => email.kind.clone_from(kind),
            Self::Primary(primary) => email.primary = Some(*primary),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(value: &str, kind: &str, primary: bool) -> ScimEmail {
        ScimEmail { value: value.to_owned(), kind: Some(kind.to_owned()), primary: Some(primary) }
    }

    fn edited(before: &[ScimEmail], edit: EmailEdit) -> Result<Vec<ScimEmail>, EditError> {
        let mut attributes = ScimAttributes::default();
        attributes.profile.emails = before.to_vec();
        let mut is_active = None;
        ScimEdit::Emails(edit).apply(&mut attributes, &mut is_active)?;
        assert_eq!(is_active, None);
        Ok(attributes.profile.emails)
    }

    fn set(kind: &str, field: EmailField, creates: bool) -> EmailEdit {
        EmailEdit::Set { selector: EmailSelector::Type(kind.to_owned()), field, creates }
    }

    #[test]
    fn a_field_of_the_selected_address_is_set() {
        let before = [email("a@example.com", "work", true), email("b@example.com", "home", false)];
        let value = EmailField::Value("c@example.com".to_owned());
        let after = edited(&before, set("WORK", value.clone(), false)).unwrap();
        assert_eq!(after, [email("c@example.com", "work", true), email("b@example.com", "home", false)]);
        assert_eq!(edited(&before, set("other", value.clone(), false)), Err(EditError));
        assert_eq!(edited(&before, set("other", value, true)).unwrap()[2].value, "c@example.com");
        assert_eq!(edited(&before, set("other", EmailField::Primary(true), true)), Err(EditError));
    }

    #[test]
    fn there_is_at_most_one_primary_address() {
        let before = [email("a@example.com", "work", true), email("b@example.com", "home", false)];
        let after = edited(&before, set("home", EmailField::Primary(true), false)).unwrap();
        assert_eq!(after, [email("a@example.com", "work", false), email("b@example.com", "home", true)]);
        let after = edited(&before, EmailEdit::Add(vec![email("c@example.com", "other", true)])).unwrap();
        assert_eq!(after.iter().map(ScimEmail::is_primary).collect::<Vec<_>>(), [false, false, true]);
        let after = edited(&before, EmailEdit::Add(vec![email("a@example.com", "main", false)])).unwrap();
        assert_eq!(after, [email("b@example.com", "home", false), email("a@example.com", "main", false)]);
    }

    #[test]
    fn selected_addresses_are_removed() {
        let before = [email("a@example.com", "work", true), email("b@example.com", "home", false)];
        let removed = |selector| edited(&before, EmailEdit::Remove(selector));
        assert_eq!(removed(EmailSelector::Primary(true)).unwrap(), before[1..]);
        assert_eq!(removed(EmailSelector::Value("B@example.com".to_owned())).unwrap(), before[..1]);
        assert_eq!(removed(EmailSelector::All).unwrap(), []);
        assert_eq!(removed(EmailSelector::Type("other".to_owned())), Err(EditError));
    }

    #[test]
    fn components_of_a_name_that_are_not_sent_are_kept() {
        let mut attributes = ScimAttributes::default();
        let mut is_active = None;
        let mut apply = |edit: ScimEdit| {
            edit.apply(&mut attributes, &mut is_active).unwrap();
            attributes.profile.name.clone()
        };
        let given = |text: &str| ScimName { given_name: Some(text.to_owned()), ..ScimName::default() };
        apply(ScimEdit::NameField(NameField::FamilyName, Some("Lovelace".to_owned())));
        let name = apply(ScimEdit::Name(given("Ada")));
        assert_eq!(name, ScimName { family_name: Some("Lovelace".to_owned()), ..given("Ada") });
        assert!(apply(ScimEdit::RemoveName).is_empty());
    }
}
