//! The body of `POST /v4/people`.

use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    ApiError,
    json_object::JsonFields,
    serde_types::{PersonKindName, WholeNumber, not_null},
    spelling,
};
use crate::domain::ValidationError;

/// A person to add.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CreatePerson, examples(json!({"email": "ada@example.com", "name": "Ada", "password": "correct horse battery staple"})))]
pub(super) struct CreatePersonBody {
    /// `person` (the default) or `service`: a service account, which has `name` and `custodians`, and no
    /// `email`, `password` or `invite`.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(nullable = false)]
    kind: Option<PersonKindName>,
    /// Required, unless `kind` is `service`.
    #[schema(schema_with = super::person_patch::email_schema, required = false)]
    email: Option<String>,
    /// The name of a service account has 1 to 63 of the characters a-z, 0-9, period, underscore and
    /// hyphen, begins with a letter or digit, and is unique in the whole service.
    #[schema(max_length = 255, pattern = r"^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]*$")]
    pub(super) name: String,
    /// 15 to 128 characters; common passwords are rejected. Required, unless `invite` is true
    /// or an identity provider is configured.
    #[schema(format = Password, min_length = 8, max_length = 128)]
    pub(super) password: Option<String>,
    /// If sent, it must equal `password`.
    #[schema(format = Password)]
    pub(super) password2: Option<String>,
    /// True: the person gets no password, but an invite link. Then `password` must not be sent.
    pub(super) invite: Option<bool>,
    pub(super) is_admin: Option<bool>,
    /// The IDs of the people who manage the tokens of the service account: enabled people of the
    /// workspace. Required if `kind` is `service`.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(nullable = false, min_items = 1, max_items = 32, value_type = Option<Vec<i64>>)]
    custodians: Option<Vec<WholeNumber>>,
}

/// The way in which a new person signs in for the first time.
pub(super) enum FirstPassword<'a> {
    Password(&'a str),
    /// With an invite link.
    Invite,
    /// Through an identity provider, once the account is linked.
    Provider,
}

impl CreatePersonBody {
    /// Returns how the person signs in for the first time.
    ///
    /// # Errors
    /// [`ValidationError`] if the body has a password and `invite: true`.
    pub(super) fn password(&self) -> Result<FirstPassword<'_>, ValidationError> {
        let has_password = self.password.is_some() || self.password2.is_some();
        match (&self.password, self.invite.unwrap_or(false)) {
            (_, true) if has_password => Err(ValidationError::PasswordWithInvite),
            (_, true) => Ok(FirstPassword::Invite),
            (None, false) => Ok(FirstPassword::Provider),
            (Some(password), false) => Ok(FirstPassword::Password(password)),
        }
    }
}

impl CreatePersonBody {
    /// Returns whether a service account is requested.
    ///
    /// # Errors
    /// [`ValidationError`] if the body has a field of the other kind.
    pub(super) fn is_service_account(&self) -> Result<bool, ValidationError> {
        if self.kind != Some(PersonKindName::Service) {
            let is_misplaced = self.custodians.is_some();
            let field = "custodians";
            return if is_misplaced { Err(ValidationError::ForServiceAccountsOnly { field }) } else { Ok(false) };
        }
        let fields = [
            ("email", self.email.is_some()),
            ("password", self.password.is_some()),
            ("password2", self.password2.is_some()),
            ("invite", self.invite.is_some()),
        ];
        match fields.into_iter().find(|(_, is_set)| *is_set) {
            Some((field, _)) => Err(ValidationError::NotForServiceAccounts { field }),
            None => Ok(true),
        }
    }

    /// Returns the IDs of the custodians.
    ///
    /// # Errors
    /// [`ValidationError::CustodiansMissing`] if there is no list.
    pub(super) fn custodian_ids(&self) -> Result<Vec<i64>, ValidationError> {
        let ids = self.custodians.as_ref().ok_or(ValidationError::CustodiansMissing)?;
        Ok(ids.iter().map(|id| id.0).collect())
    }

    /// Returns the e-mail of a person.
    ///
    /// # Errors
    /// 400 if it is missing.
    pub(super) fn email(&self) -> Result<&str, ApiError> {
        self.email.as_deref().ok_or_else(|| ApiError::BadRequest(format!("{}.", ValidationError::EmailMissing)))
    }
}

impl JsonFields for CreatePersonBody {
    const STRICT_FIELDS: &'static [&'static str] = &["kind", "custodians"];

    fn find_alias(normalized: &str) -> Option<&'static str> {
        spelling::find_person_field_alias(normalized)
    }
}
