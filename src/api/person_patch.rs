//! The body of `PATCH /v4/people/{id}`: which fields it has, and which nobody sets.

use serde::{Deserialize, de::IgnoredAny};
use utoipa::{
    ToSchema,
    openapi::{
        ObjectBuilder, RefOr, Schema,
        schema::{SchemaType, Type},
    },
};

use super::{ApiError, json_object::Fields, people};
use crate::{
    domain::{Invalid, person::Email},
    service::{Refusal, people::Change},
};

/// What is to change; what is absent or null stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(examples(json!({"tokenAccess": "enabled"})))]
pub(super) struct PatchPerson {
    #[schema(max_length = 255, pattern = r"^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]*$")]
    name: Option<String>,
    /// The new password, 15 to 128 characters; common passwords are refused.
    #[schema(format = Password, min_length = 8, max_length = 128)]
    password: Option<String>,
    /// The new password once more.
    #[schema(format = Password)]
    password2: Option<String>,
    /// For administrators.
    #[schema(schema_with = email_or_null)]
    email: Option<String>,
    /// For administrators.
    is_admin: Option<bool>,
    /// For administrators. Whoever is disabled gets in neither by password nor by token.
    is_disabled: Option<bool>,
    /// For administrators: `default`, `enabled` or `disabled`.
    #[schema(pattern = "^(default|enabled|disabled)$")]
    token_access: Option<String>,
    /// For administrators. Until the password is changed it opens nothing else; tokens go on working.
    force_password_change: Option<bool>,
    // Fields that no request sets. Sending one is an error, so that the client does not believe it was done.
    #[schema(ignore)]
    id: Option<IgnoredAny>,
    #[schema(ignore)]
    workspace_id: Option<IgnoredAny>,
    #[schema(ignore)]
    is_platform_admin: Option<IgnoredAny>,
    #[schema(ignore)]
    state: Option<IgnoredAny>,
    #[schema(ignore)]
    sso_principal: Option<IgnoredAny>,
    #[schema(ignore)]
    last_login_time: Option<IgnoredAny>,
    #[schema(ignore)]
    created_at: Option<IgnoredAny>,
    #[schema(ignore)]
    updated_at: Option<IgnoredAny>,
}

impl Fields for PatchPerson {
    fn meant(plain: &str) -> Option<&'static str> {
        match plain {
            "enabled" | "isenabled" | "active" | "isactive" => Some("isDisabled"),
            "administrator" | "isadministrator" => Some("isAdmin"),
            plain => people::meant(plain),
        }
    }
}

impl PatchPerson {
    /// The first field that no request sets, if one is sent.
    fn fixed(&self) -> Option<&'static str> {
        let fields = [
            ("id", &self.id),
            ("workspaceId", &self.workspace_id),
            ("isPlatformAdmin", &self.is_platform_admin),
            ("state", &self.state),
            ("ssoPrincipal", &self.sso_principal),
            ("lastLoginTime", &self.last_login_time),
            ("createdAt", &self.created_at),
            ("updatedAt", &self.updated_at),
        ];
        fields.into_iter().find_map(|(field, sent)| sent.is_some().then_some(field))
    }

    /// Whether a password is sent and nothing else.
    pub(super) fn changes_only_the_password(&self) -> bool {
        self.password.is_some()
            && self.fixed().is_none()
            && self.name.is_none()
            && self.email.is_none()
            && self.is_admin.is_none()
            && self.is_disabled.is_none()
            && self.token_access.is_none()
            && self.force_password_change.is_none()
    }

    /// The change asked for.
    pub(super) fn as_change(&self) -> Result<Change<'_>, ApiError> {
        if let Some(field) = self.fixed() {
            return Err(Refusal::FieldFixed { field }.into());
        }
        if self.password != self.password2 {
            return Err(Invalid::PasswordRepeat.into());
        }
        Ok(Change {
            email: self.email.as_deref(),
            name: self.name.as_deref(),
            password: self.password.as_deref(),
            is_admin: self.is_admin,
            is_disabled: self.is_disabled,
            token_access: self.token_access.as_deref(),
            force_password_change: self.force_password_change,
            proof: None,
        })
    }
}

/// The schema of an e-mail: what [`Email::parse`] takes, in ASCII.
pub(super) fn email() -> RefOr<Schema> {
    email_schema(Type::String.into())
}

fn email_or_null() -> RefOr<Schema> {
    email_schema(SchemaType::from_iter([Type::String, Type::Null]))
}

fn email_schema(schema_type: SchemaType) -> RefOr<Schema> {
    let schema = ObjectBuilder::new()
        .schema_type(schema_type)
        .min_length(Some(3))
        .max_length(Some(Email::MAX_BYTES))
        .pattern(Some("^[!#-'*+./0-9=?A-Z^_`a-z{|}~-]+@[0-9A-Za-z]+([.-][0-9A-Za-z]+)*$"))
        .examples([serde_json::json!("ada@example.com")]);
    schema.build().into()
}
