//! The body of `PATCH /v4/people/{id}`: the fields that it changes, and the read-only fields that
//! it rejects.

use serde::{Deserialize, de::IgnoredAny};
use utoipa::{
    ToSchema,
    openapi::{
        ObjectBuilder, RefOr, Schema,
        schema::{SchemaType, Type},
    },
};

use super::{
    ApiError,
    json_object::JsonFields,
    serde_types::{TokenAccessName, WholeNumber, not_null},
    spelling,
};
use crate::{
    domain::{ValidationError, person::Email},
    service::{Error, people::UpdatePerson},
};

/// The fields to change. Fields that are absent or null are not changed.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(examples(json!({"tokenAccess": "enabled"})))]
pub(super) struct PatchPerson {
    #[schema(max_length = 255, pattern = r"^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]*$")]
    name: Option<String>,
    /// The new password, 15 to 128 characters; common passwords are rejected.
    #[schema(format = Password, min_length = 8, max_length = 128)]
    password: Option<String>,
    /// The repetition of the new password.
    #[schema(format = Password)]
    password2: Option<String>,
    /// For administrators.
    #[schema(schema_with = nullable_email_schema)]
    email: Option<String>,
    /// For administrators.
    is_admin: Option<bool>,
    /// For administrators. Neither the password nor the tokens of a disabled person authenticate.
    is_disabled: Option<bool>,
    /// For administrators: `default`, `enabled` or `disabled`.
    #[schema(value_type = Option<TokenAccessName>)]
    token_access: Option<String>,
    /// For administrators. Until the password is changed, it authorizes only that change. Tokens
    /// are not affected.
    force_password_change: Option<bool>,
    /// `true`: the person receives e-mail about tokens that expire soon.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(nullable = false)]
    notify_on_expiry: Option<bool>,
    /// For administrators: the IDs of the people who manage the tokens of a service account, all of
    /// them. They must be enabled people of the workspace.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(nullable = false, min_items = 1, max_items = 32, value_type = Option<Vec<i64>>)]
    custodians: Option<Vec<WholeNumber>>,
    // Read-only fields. Sending one is an error, so that the client does not assume that it was
    // changed.
    #[schema(ignore)]
    id: Option<IgnoredAny>,
    #[schema(ignore)]
    kind: Option<IgnoredAny>,
    #[schema(ignore)]
    workspace_id: Option<IgnoredAny>,
    #[schema(ignore)]
    is_platform_admin: Option<IgnoredAny>,
    #[schema(ignore)]
    disabled_by: Option<IgnoredAny>,
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

impl JsonFields for PatchPerson {
    const STRICT_FIELDS: &'static [&'static str] = &["custodians"];

    fn find_alias(normalized: &str) -> Option<&'static str> {
        match normalized {
            "enabled" | "isenabled" | "active" | "isactive" => Some("isDisabled"),
            "administrator" | "isadministrator" => Some("isAdmin"),
            normalized => spelling::find_person_field_alias(normalized),
        }
    }
}

impl PatchPerson {
    /// Returns the first read-only field that is sent.
    fn first_read_only_field(&self) -> Option<&'static str> {
        let fields = [
            ("id", &self.id),
            ("kind", &self.kind),
            ("workspaceId", &self.workspace_id),
            ("isPlatformAdmin", &self.is_platform_admin),
            ("disabledBy", &self.disabled_by),
            ("state", &self.state),
            ("ssoPrincipal", &self.sso_principal),
            ("lastLoginTime", &self.last_login_time),
            ("createdAt", &self.created_at),
            ("updatedAt", &self.updated_at),
        ];
        fields.into_iter().find_map(|(field, value)| value.is_some().then_some(field))
    }

    /// Returns whether the body contains a password and nothing else.
    pub(super) fn changes_only_password(&self) -> bool {
        self.password.is_some()
            && self.first_read_only_field().is_none()
            && self.name.is_none()
            && self.email.is_none()
            && self.is_admin.is_none()
            && self.is_disabled.is_none()
            && self.token_access.is_none()
            && self.force_password_change.is_none()
            && self.notify_on_expiry.is_none()
            && self.custodians.is_none()
    }

    /// Returns the IDs of the custodians to set.
    pub(super) fn custodian_ids(&self) -> Option<Vec<i64>> {
        self.custodians.as_ref().map(|ids| ids.iter().map(|id| id.0).collect())
    }

    /// Returns the requested update, without the custodians.
    ///
    /// # Errors
    /// 403 if a read-only field is sent, 400 if the two passwords differ.
    pub(super) fn to_update(&self) -> Result<UpdatePerson<'_>, ApiError> {
        if let Some(field) = self.first_read_only_field() {
            return Err(Error::ReadOnlyField { field }.into());
        }
        if self.password != self.password2 {
            return Err(ValidationError::PasswordMismatch.into());
        }
        Ok(UpdatePerson {
            email: self.email.as_deref(),
            name: self.name.as_deref(),
            password: self.password.as_deref(),
            is_admin: self.is_admin,
            is_disabled: self.is_disabled,
            token_access: self.token_access.as_deref(),
            force_password_change: self.force_password_change,
            notify_on_expiry: self.notify_on_expiry,
            custodians: None,
            proof: None,
        })
    }
}

/// Returns the schema of an e-mail: the ASCII addresses that [`Email::parse`] accepts.
pub(super) fn email_schema() -> RefOr<Schema> {
    build_email_schema(Type::String.into())
}

fn nullable_email_schema() -> RefOr<Schema> {
    build_email_schema(SchemaType::from_iter([Type::String, Type::Null]))
}

fn build_email_schema(schema_type: SchemaType) -> RefOr<Schema> {
    let schema = ObjectBuilder::new()
        .schema_type(schema_type)
        .min_length(Some(3))
        .max_length(Some(Email::MAX_BYTES))
        .pattern(Some("^[!#-'*+./0-9=?A-Z^_`a-z{|}~-]+@[0-9A-Za-z]+([.-][0-9A-Za-z]+)*$"))
        .examples([serde_json::json!("ada@example.com")]);
    schema.build().into()
}
