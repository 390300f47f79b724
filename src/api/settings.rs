//! `/v4/workspaces/{id}/configuration`: the settings of the administrator's own workspace.

use std::borrow::Cow;

use axum::extract::State;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{
        RefOr, Schema,
        schema::{ObjectBuilder, SchemaType},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError,
    error::ApiResult,
    extract::OwnWorkspace,
    json_object::{JsonFields, JsonObject},
    serde_types::{Updated, WholeNumber, words_schema},
    strict_json::JsonBody,
    strict_query::StrictQuery,
};
use crate::{
    app::App,
    domain::{
        expiry_warning::{MAX_WARNING_DAYS, MAX_WARNINGS},
        scope_catalog::{CatalogScope, ScopeCatalog},
        setting::{ChildTokenPolicy, SettingKey, SettingKind, SettingValue},
    },
    http::json::Json,
    service::Workspaces,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get, update)).routes(routes!(reset)).routes(routes!(schema))
}

/// The key of a setting in a request. In responses it is a text, so that clients accept the settings
/// of later versions.
struct SettingKeyName;

impl PartialSchema for SettingKeyName {
    fn schema() -> RefOr<Schema> {
        setting_key_schema()
    }
}

impl ToSchema for SettingKeyName {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("SettingKey")
    }
}

fn setting_key_schema() -> RefOr<Schema> {
    words_schema("The key of a setting.", SettingKey::ALL.map(SettingKey::as_str))
}

fn source_schema() -> RefOr<Schema> {
    let description = "The source of the value in effect: `workspace`, an administrator set it; `configuration`, the \
                       operator changed the default; or `default`.";
    words_schema(description, ["workspace", "configuration", "default"])
}

/// The value of a setting: true or false, a number of days, a word, several numbers of days, or a catalog
/// of scopes.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum ValueView {
    Switch(bool),
    Days(i64),
    Word(&'static str),
    DayList(Vec<i64>),
    ScopeCatalog(Vec<ScopeView>),
}

/// A scope of a workspace's catalog.
#[derive(Clone, Debug, Serialize)]
struct ScopeView {
    name: String,
    description: String,
}

impl From<&CatalogScope> for ScopeView {
    fn from(scope: &CatalogScope) -> Self {
        Self { name: scope.name.clone(), description: scope.description.clone() }
    }
}

impl From<SettingValue> for ValueView {
    fn from(value: SettingValue) -> Self {
        match value {
            SettingValue::Switch(on) => Self::Switch(on),
            SettingValue::Days(days) => Self::Days(days),
            SettingValue::ChildTokenPolicy(policy) => Self::Word(policy.as_str()),
            SettingValue::DayList(days) => Self::DayList(days.to_vec()),
            SettingValue::ScopeCatalog(catalog) => {
                Self::ScopeCatalog(catalog.scopes().iter().map(ScopeView::from).collect())
            }
        }
    }
}

/// Returns the schema of a value. Its type depends on the key, and generators of clients do not support
/// lists of different types, so it is any value.
fn value_schema() -> RefOr<Schema> {
    let description = "True or false, a whole number, a word, an array of whole numbers, or for `tokenward.scopes` an \
                       array of objects with `name` and `description`.";
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some(description)).into()
}

/// A setting and its value.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Setting)]
#[serde(rename_all = "camelCase")]
struct SettingView {
    key: &'static str,
    /// The value that an administrator set. Null: the default is in effect.
    #[schema(schema_with = value_schema, required)]
    value: Option<ValueView>,
    /// The value in effect.
    #[schema(schema_with = value_schema)]
    effective_value: ValueView,
    /// The value without one of the workspace.
    #[schema(schema_with = value_schema)]
    default: ValueView,
    #[schema(schema_with = source_schema)]
    source: &'static str,
}

/// The type, default, bounds and texts of a setting.
#[derive(Debug, Serialize, ToSchema)]
struct SettingSchema {
    key: &'static str,
    /// `boolean`, `integer`, `string` or `array`.
    r#type: &'static str,
    #[schema(schema_with = value_schema)]
    default: ValueView,
    label: &'static str,
    help: &'static str,
    /// The minimum number of days, except for the value of `unlimited`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    minimum: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    maximum: Option<i64>,
    /// The number that means unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    unlimited: Option<i64>,
    /// The maximum number of elements.
    #[serde(rename = "maxItems", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    max_items: Option<usize>,
    /// The accepted words.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    r#enum: Option<[&'static str; 3]>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct KeyQuery {
    /// Only this setting.
    #[param(inline, value_type = Option<SettingKeyName>)]
    key: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples(json!({"configuration": [{"key": "feature.apiAccessTokens.enabled", "value": false}]})))]
struct PatchSettings {
    #[schema(value_type = Vec<SetSetting>)]
    configuration: Vec<JsonObject<SetSetting>>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct SetSetting {
    #[schema(value_type = SettingKeyName)]
    key: String,
    /// Null resets the setting to its default.
    #[schema(schema_with = value_schema, required = true)]
    #[serde(deserialize_with = "deserialize_present")]
    value: Option<SettingValueInput>,
}

impl JsonFields for PatchSettings {}

impl JsonFields for SetSetting {}

/// A value in a request, before validation.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "expected true, false, a whole number, a word, an array of whole numbers, an array of objects with name and description, or null"
)]
enum SettingValueInput {
    Switch(bool),
    Days(WholeNumber),
    Word(String),
    DayList(Vec<WholeNumber>),
    ScopeCatalog(Vec<JsonObject<ScopeInput>>),
}

/// A scope of a catalog in a request, before validation.
#[derive(Clone, Debug, Deserialize)]
struct ScopeInput {
    name: String,
    #[serde(default)]
    description: String,
}

impl JsonFields for ScopeInput {
    const IS_STRICT: bool = true;
}

/// Deserializes a field that may be null but must not be absent: an absent `value` is a mistake, and
/// must not reset the setting.
fn deserialize_present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SettingValueInput>, D::Error> {
    Option::deserialize(deserializer)
}

impl SetSetting {
    fn validate(&self) -> Result<(SettingKey, Option<SettingValue>), ApiError> {
        let key = SettingKey::parse(&self.key)?;
        let Some(input) = &self.value else { return Ok((key, None)) };
        let value = match (input, key.kind()) {
            (SettingValueInput::Switch(on), SettingKind::Switch) => key.validate_switch(*on)?,
            (SettingValueInput::Days(WholeNumber(days)), SettingKind::Days) => key.validate_days(*days)?,
            (SettingValueInput::Word(word), SettingKind::ChildTokenPolicy) => key.validate_word(word)?,
            (SettingValueInput::DayList(days), SettingKind::DayList) => {
                key.validate_day_list(&days.iter().map(|WholeNumber(days)| *days).collect::<Vec<_>>())?
            }
            (SettingValueInput::ScopeCatalog(scopes), SettingKind::ScopeCatalog) => {
                let scope = |JsonObject(scope): &JsonObject<ScopeInput>| CatalogScope {
                    name: scope.name.clone(),
                    description: scope.description.clone(),
                };
                key.validate_scopes(scopes.iter().map(scope).collect())?
            }
            // An empty array is a list of anything.
            (SettingValueInput::DayList(days), SettingKind::ScopeCatalog) if days.is_empty() => {
                key.validate_scopes(Vec::new())?
            }
            _ => return Err(ApiError::BadRequest(format!("{}.", key.invalid_value()))),
        };
        Ok((key, Some(value)))
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples(json!({"settings": ["feature.apiAccessTokens.enabled"]})))]
struct ResetSettings {
    #[schema(value_type = Vec<SettingKeyName>)]
    settings: Vec<String>,
}

impl JsonFields for ResetSettings {}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SettingsReset)]
struct Reset {
    /// The number of settings that had a value.
    number_of_rows_deleted: u64,
}

/// List settings
///
/// For administrators of the workspace.
#[utoipa::path(get, path = "/v4/workspaces/{id}/configuration", operation_id = "getWorkspaceConfiguration", tag = "workspaces",
    params(("id" = String, Path, description = "The workspace's ID, or `current`", pattern = "^(current|[1-9][0-9]{0,17})$"), KeyQuery),
    responses((status = 200, description = "The settings", body = Vec<SettingView>)))]
async fn get(
    workspace: OwnWorkspace,
    State(workspaces): State<Workspaces>,
    StrictQuery(query): StrictQuery<KeyQuery>,
) -> ApiResult<Json<Vec<SettingView>>> {
    let settings = workspaces.list_settings(workspace.id, query.key.as_deref()).await?;
    let defaults = workspaces.defaults();
    let view = |(key, value): (SettingKey, Option<SettingValue>)| SettingView {
        key: key.as_str(),
        source: defaults.source(key, value.as_ref()).as_str(),
        effective_value: value.clone().unwrap_or_else(|| defaults.get(key)).into(),
        value: value.map(ValueView::from),
        default: defaults.get(key).into(),
    };
    Ok(Json(settings.into_iter().map(view).collect()))
}

/// Update settings
///
/// For administrators of the workspace. The value null resets a setting to its default. Either all
/// sent settings are changed, or none. When the response is sent, the changes are in effect on all
/// nodes.
#[utoipa::path(patch, path = "/v4/workspaces/{id}/configuration", operation_id = "patchWorkspaceConfiguration", tag = "workspaces",
    params(("id" = String, Path, description = "The workspace's ID, or `current`", pattern = "^(current|[1-9][0-9]{0,17})$")), request_body = PatchSettings,
    responses((status = 200, description = "Updated", body = Updated)))]
async fn update(
    workspace: OwnWorkspace,
    State(workspaces): State<Workspaces>,
    JsonBody(body): JsonBody<PatchSettings>,
) -> ApiResult<Json<Updated>> {
    let settings = body.configuration.iter().map(|JsonObject(setting)| setting.validate());
    let settings = settings.collect::<Result<Vec<_>, _>>()?;
    let updated_at = workspaces.update_settings(&workspace.administrator, workspace.id, &settings).await?;
    Ok(Json(Updated { id: workspace.id.get(), updated_at }))
}

/// Reset settings
///
/// For administrators of the workspace: resets settings to their defaults.
#[utoipa::path(post, path = "/v4/workspaces/{id}/delete-configuration", operation_id = "deleteWorkspaceConfiguration", tag = "workspaces",
    params(("id" = String, Path, description = "The workspace's ID, or `current`", pattern = "^(current|[1-9][0-9]{0,17})$")), request_body = ResetSettings,
    responses((status = 200, description = "The defaults are in effect", body = Reset)))]
async fn reset(
    workspace: OwnWorkspace,
    State(workspaces): State<Workspaces>,
    JsonBody(body): JsonBody<ResetSettings>,
) -> ApiResult<Json<Reset>> {
    let number_of_rows_deleted =
        workspaces.reset_settings(&workspace.administrator, workspace.id, &body.settings).await?;
    Ok(Json(Reset { number_of_rows_deleted }))
}

/// Get the settings schema
///
/// For administrators of the workspace.
#[utoipa::path(get, path = "/v4/workspaces/{id}/configuration-schema", operation_id = "getWorkspaceConfigurationSchema", tag = "workspaces",
    params(("id" = String, Path, description = "The workspace's ID, or `current`", pattern = "^(current|[1-9][0-9]{0,17})$")),
    responses((status = 200, description = "Type, default, label, help and bounds of each setting", body = Vec<SettingSchema>)))]
async fn schema(_: OwnWorkspace, State(workspaces): State<Workspaces>) -> Json<Vec<SettingSchema>> {
    let defaults = workspaces.defaults();
    let describe = |key: SettingKey| {
        let kind = key.kind();
        let is_days = kind == SettingKind::Days;
        let maximum = match kind {
            SettingKind::Days => Some(SettingKey::MAX_DAYS),
            SettingKind::DayList => Some(MAX_WARNING_DAYS),
            SettingKind::Switch | SettingKind::ChildTokenPolicy | SettingKind::ScopeCatalog => None,
        };
        let words = ChildTokenPolicy::ALL.map(ChildTokenPolicy::as_str);
        SettingSchema {
            key: key.as_str(),
            r#type: match kind {
                SettingKind::Switch => "boolean",
                SettingKind::Days => "integer",
                SettingKind::ChildTokenPolicy => "string",
                SettingKind::DayList | SettingKind::ScopeCatalog => "array",
            },
            default: defaults.get(key).into(),
            label: key.label(),
            help: key.help(),
            minimum: maximum.map(|_| 1),
            maximum,
            max_items: match kind {
                SettingKind::DayList => Some(MAX_WARNINGS),
                SettingKind::ScopeCatalog => Some(ScopeCatalog::MAX_SCOPES),
                SettingKind::Switch | SettingKind::Days | SettingKind::ChildTokenPolicy => None,
            },
            unlimited: is_days.then_some(-1),
            r#enum: (kind == SettingKind::ChildTokenPolicy).then_some(words),
        }
    };
    Json(SettingKey::ALL.map(describe).into())
}
