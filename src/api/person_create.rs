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
    /// 15 to 128 characters; common passwords are rejected. Required, unless `invite` is true.
    #[schema(format = Password, min_length = 8, max_length = 128)]
    pub(super) password: Option<String>,
    /// If sent, it must equal `password`.
    #[schema(format = Password)]
    pub(super) password2: Option<String>,
    /// True: the person gets no password, but an invite link. Then `password` must not be sent.
    pub(super) invite: Option<bool>,
    pub(super) is_admin: Option<bool>,
}

impl CreatePersonBody {
    /// Returns the password, or `None` if the person is invited.
    ///
    /// # Errors
    /// [`ValidationError`] unless the body has exactly one of password and `invite: true`.
    pub(super) fn password(&self) -> Result<Option<&str>, ValidationError> {
        let has_password = self.password.is_some() || self.password2.is_some();
        match (&self.password, self.invite.unwrap_or(false)) {
            (_, true) if has_password => Err(ValidationError::PasswordWithInvite),
            (_, true) => Ok(None),
            (None, false) => Err(ValidationError::PasswordOrInviteMissing),
            (Some(password), false) => Ok(Some(password)),
        }
    }
}

impl JsonFields for CreatePersonBody {
    fn find_alias(normalized: &str) -> Option<&'static str> {
        spelling::find_person_field_alias(normalized)
    }
}
