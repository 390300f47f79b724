//! The body of `POST /v4/people`.

use serde::Deserialize;
use utoipa::ToSchema;

use super::{json_object::JsonFields, spelling};
use crate::domain::ValidationError;

/// A person to add.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CreatePerson, examples(json!({"email": "ada@example.com", "name": "Ada", "password": "correct horse battery staple"})))]
pub(super) struct CreatePersonBody {
    #[schema(schema_with = super::person_patch::email_schema)]
    pub(super) email: String,
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

impl JsonFields for CreatePersonBody {
    fn find_alias(normalized: &str) -> Option<&'static str> {
        spelling::find_person_field_alias(normalized)
    }
}
