//! The account that an assertion names.

use tokenward_saml::{Assertion, NameId};

use crate::{
    domain::{
        event::RequestContext,
        person::{Email, PersonName},
        source::DeviceValue,
        text_rules,
        time::Timestamp,
    },
    service::{
        provider_list::RedirectProvider as _,
        saml_providers::{NameIdFormat, SamlProvider, SamlSubject},
        sign_in::{
            LoginChannel,
            external_account::{ExternalAccount, MAX_PROVIDER_SESSION_BYTES, label},
        },
    },
};

/// The longest subject, in characters.
const MAX_SUBJECT_CHARS: usize = 255;
/// The attribute that Entra ID sends instead of the groups of people who are in more than 150.
const ENTRA_OVERAGE: &str = "http://schemas.microsoft.com/claims/groups.link";

/// Claims that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ClaimsError {
    #[error(
        "the format of the NameID is not {expected}; correct it at the identity provider, or set name_id_format or \
         subject_attribute"
    )]
    NameIdFormat { expected: &'static str },
    #[error("the subject is empty, longer than {MAX_SUBJECT_CHARS} characters, or contains control characters")]
    Subject,
    #[error(
        "the assertion has {found} values of the attribute {name:?}, which identifies an account; correct \
         subject_attribute, or have the identity provider send exactly one value"
    )]
    SubjectAttribute { name: String, found: usize },
    #[error(
        "the identity provider has left out the groups, because there are too many; have it send the groups that are \
         assigned to the application"
    )]
    TooManyGroups,
}

/// The statements of an assertion about a person.
pub(super) struct Claims {
    subject: String,
    pub(super) groups: Vec<String>,
    email: Option<Email>,
    name: PersonName,
    label: String,
    authenticated_at: Timestamp,
    session_index: Option<String>,
}

impl Claims {
    pub(super) fn of(provider: &SamlProvider, assertion: &Assertion) -> Result<Self, ClaimsError> {
        let values = |name: &str| assertion.attributes.get(name).map(Vec::as_slice).unwrap_or_default();
        if assertion.attributes.contains_key(ENTRA_OVERAGE) {
            return Err(ClaimsError::TooManyGroups);
        }
        let subject = subject(provider, assertion)?;
        let email = values(&provider.email_attribute).iter().find_map(|email| Email::parse(email).ok());
        let email = email.or_else(|| email_of_name(provider, assertion));
        let name = values(&provider.name_attribute).iter().find_map(|name| PersonName::parse(name).ok());
        Ok(Self {
            groups: values(&provider.groups_attribute).to_vec(),
            name: name.unwrap_or_default(),
            label: label(email.as_ref().map_or(subject.as_str(), |email| email.as_str())),
            subject,
            email,
            authenticated_at: assertion.authn_instant.into(),
            session_index: assertion.session_index.clone(),
        })
    }

    /// Returns the account.
    pub(super) fn account<'a>(
        &'a self,
        provider: &'a SamlProvider,
        now: Timestamp,
        device: &'a DeviceValue,
        request: &'a RequestContext,
    ) -> ExternalAccount<'a> {
        ExternalAccount {
            provider: provider.name(),
            issuer: provider.issuer(),
            subject: &self.subject,
            label: self.label.clone(),
            name: self.name.clone(),
            email: self.email.clone(),
            // The clock of the provider may be ahead.
            authenticated_at: Some(self.authenticated_at.min(now)),
            actor: "identity provider",
            first_workspace: provider.first_workspace(),
            provider_session_id: self.session_index.clone().filter(|id| id.len() <= MAX_PROVIDER_SESSION_BYTES),
            channel: LoginChannel::Page { device: Some(device) },
            request,
        }
    }
}

/// Returns the subject: the `NameID` with its qualifiers, or the value of the configured attribute.
fn subject(provider: &SamlProvider, assertion: &Assertion) -> Result<String, ClaimsError> {
    let subject = match (&provider.subject, &assertion.name_id) {
        (SamlSubject::NameId(format), Some(name)) if has_format(name, *format) => qualified(provider, name),
        (SamlSubject::NameId(format), _) => return Err(ClaimsError::NameIdFormat { expected: format.uri() }),
        (SamlSubject::Attribute(name), _) => match assertion.attributes.get(name).map(Vec::as_slice) {
            Some([value]) => value.clone(),
            values => {
                let found = values.map_or(0, <[String]>::len);
                return Err(ClaimsError::SubjectAttribute { name: name.clone(), found });
            }
        },
    };
    let is_valid = !subject.is_empty()
        && subject.trim() == subject
        && subject.chars().count() <= MAX_SUBJECT_CHARS
        && !subject.chars().any(text_rules::is_forbidden);
    if is_valid { Ok(subject) } else { Err(ClaimsError::Subject) }
}

/// A `NameID` without a format has the format *unspecified* (SAML core, section 2.2.2).
fn has_format(name: &NameId, format: NameIdFormat) -> bool {
    name.format.as_deref().unwrap_or(NameIdFormat::Unspecified.uri()) == format.uri()
}

/// Returns the value of a `NameID`, with its qualifiers if they are not the default ones: provider and service
/// (SAML core, section 8.3.7). No two names have the same result.
fn qualified(provider: &SamlProvider, name: &NameId) -> String {
    let qualifier = name.name_qualifier.as_deref().unwrap_or(provider.issuer());
    let sp_qualifier = name.sp_name_qualifier.as_deref().unwrap_or(provider.entity_id());
    let is_default = qualifier == provider.issuer() && sp_qualifier == provider.entity_id();
    if is_default && !name.value.contains('!') {
        return name.value.clone();
    }
    let escape = |text: &str| text.replace('%', "%25").replace('!', "%21");
    format!("{}!{}!{}", escape(qualifier), escape(sp_qualifier), name.value)
}

/// Returns the `NameID` as an e-mail address, if the operator chose addresses as subjects.
fn email_of_name(provider: &SamlProvider, assertion: &Assertion) -> Option<Email> {
    let is_email = provider.subject == SamlSubject::NameId(NameIdFormat::EmailAddress);
    let name = assertion.name_id.as_ref().filter(|_| is_email)?;
    Email::parse(&name.value).ok()
}
