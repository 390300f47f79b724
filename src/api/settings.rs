//! `/v4/workspaces/{id}/configuration`: the settings of the administrator's own workspace.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError,
    error::ApiResult,
    extract::OwnWorkspace,
    json_object::{Fields, Object},
    serde_types::{Updated, WholeNumber},
    strict_json::JsonBody,
    strict_query::QueryOf,
};
use crate::{
    app::App,
    domain::setting::{Key, Kind, TokenMinted, Value},
    service::Workspaces,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(read, change)).routes(routes!(reset)).routes(routes!(schema))
}

/// What a setting is set to: true or false, a number of days, or a word.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum ValueView {
    Switch(bool),
    Days(i64),
    Word(&'static str),
}

impl From<Value> for ValueView {
    fn from(value: Value) -> Self {
        match value {
            Value::Switch(on) => Self::Switch(on),
            Value::Days(days) => Self::Days(days),
            Value::Minted(minted) => Self::Word(minted.as_str()),
        }
    }
}

/// A setting and what it is set to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Setting)]
struct SettingView {
    key: &'static str,
    /// Null: the default is in force.
    value: Option<ValueView>,
}

/// What there is to know about a setting.
#[derive(Debug, Serialize, ToSchema)]
struct SettingSchema {
    key: &'static str,
    /// `boolean`, `integer` or `string`.
    r#type: &'static str,
    default: ValueView,
    label: &'static str,
    help: &'static str,
    /// The least number of days; -1 beside it is unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum: Option<i64>,
    /// A number outside the bounds that means unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    unlimited: Option<i64>,
    /// The words that it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    r#enum: Option<[&'static str; 3]>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct KeyQuery {
    /// Only this setting.
    #[param(
        pattern = r"^(feature\.apiAccessTokens\.(enabled|allowUsers|maxLifetimeDays)|tokenward\.tokenMintedTokens)$"
    )]
    key: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples(json!({"configuration": [{"key": "feature.apiAccessTokens.enabled", "value": false}]})))]
struct PatchSettings {
    #[schema(value_type = Vec<SetSetting>)]
    configuration: Vec<Object<SetSetting>>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct SetSetting {
    #[schema(
        pattern = r"^(feature\.apiAccessTokens\.(enabled|allowUsers|maxLifetimeDays)|tokenward\.tokenMintedTokens)$"
    )]
    key: String,
    #[schema(value_type = ValueView)]
    value: GivenValue,
}

impl Fields for PatchSettings {}

impl Fields for SetSetting {}

/// A value as it is sent.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected true, false, a whole number or a word")]
enum GivenValue {
    Switch(bool),
    Days(WholeNumber),
    Word(String),
}

impl SetSetting {
    fn checked(&self) -> Result<(Key, Value), ApiError> {
        let key = Key::parse(&self.key)?;
        match (&self.value, key.kind()) {
            (GivenValue::Switch(on), Kind::Switch) => Ok((key, key.switch(*on)?)),
            (GivenValue::Days(WholeNumber(days)), Kind::Days) => Ok((key, key.days(*days)?)),
            (GivenValue::Word(word), Kind::Minted) => Ok((key, key.word(word)?)),
            _ => Err(ApiError::Form(format!("{}.", key.refused()))),
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples(json!({"settings": ["feature.apiAccessTokens.enabled"]})))]
struct ResetSettings {
    settings: Vec<String>,
}

impl Fields for ResetSettings {}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Reset {
    /// How many of the settings had been set.
    number_of_rows_deleted: u64,
}

/// Read the settings
///
/// For administrators of the workspace.
#[utoipa::path(get, path = "/v4/workspaces/{id}/configuration", operation_id = "getWorkspaceConfiguration", tag = "workspaces",
    params(("id" = String, Path, description = "The workspace's id, or `current`", pattern = "^(current|[1-9][0-9]{0,17})$"), KeyQuery),
    responses((status = 200, description = "The settings", body = Vec<SettingView>), (status = 400), (status = 401), (status = 403), (status = 404)))]
async fn read(
    workspace: OwnWorkspace,
    State(workspaces): State<Workspaces>,
    QueryOf(query): QueryOf<KeyQuery>,
) -> ApiResult<Json<Vec<SettingView>>> {
    let settings = workspaces.settings(workspace.id, query.key.as_deref()).await?;
    let view =
        |(key, value): (Key, Option<Value>)| SettingView { key: key.as_str(), value: value.map(ValueView::from) };
    Ok(Json(settings.into_iter().map(view).collect()))
}

/// Change settings
///
/// For administrators of the workspace. All of them are set, or none; in force everywhere when this answers.
#[utoipa::path(patch, path = "/v4/workspaces/{id}/configuration", operation_id = "patchWorkspaceConfiguration", tag = "workspaces",
    params(("id" = String, Path, description = "The workspace's id, or `current`", pattern = "^(current|[1-9][0-9]{0,17})$")), request_body = PatchSettings,
    responses((status = 200, description = "Set", body = Updated), (status = 400), (status = 401), (status = 403), (status = 404),
        (status = 413), (status = 415)))]
async fn change(
    workspace: OwnWorkspace,
    State(workspaces): State<Workspaces>,
    JsonBody(body): JsonBody<PatchSettings>,
) -> ApiResult<Json<Updated>> {
    let settings = body.configuration.iter().map(|Object(setting)| setting.checked()).collect::<Result<Vec<_>, _>>()?;
    let updated_at = workspaces.set(&workspace.administrator, workspace.id, &settings).await?;
    Ok(Json(Updated { id: workspace.id, updated_at }))
}

/// Put settings back to their defaults
///
/// For administrators of the workspace.
#[utoipa::path(post, path = "/v4/workspaces/{id}/delete-configuration", operation_id = "deleteWorkspaceConfiguration", tag = "workspaces",
    params(("id" = String, Path, description = "The workspace's id, or `current`", pattern = "^(current|[1-9][0-9]{0,17})$")), request_body = ResetSettings,
    responses((status = 200, description = "Back to default", body = Reset), (status = 400), (status = 401), (status = 403), (status = 404),
        (status = 413), (status = 415)))]
async fn reset(
    workspace: OwnWorkspace,
    State(workspaces): State<Workspaces>,
    JsonBody(body): JsonBody<ResetSettings>,
) -> ApiResult<Json<Reset>> {
    let number_of_rows_deleted = workspaces.reset(&workspace.administrator, workspace.id, &body.settings).await?;
    Ok(Json(Reset { number_of_rows_deleted }))
}

/// Read what settings there are
///
/// For administrators of the workspace.
#[utoipa::path(get, path = "/v4/workspaces/{id}/configuration-schema", operation_id = "getWorkspaceConfigurationSchema", tag = "workspaces",
    params(("id" = String, Path, description = "The workspace's id, or `current`", pattern = "^(current|[1-9][0-9]{0,17})$")),
    responses((status = 200, description = "Type, default, label, help and bounds of each setting", body = Vec<SettingSchema>),
        (status = 401), (status = 403), (status = 404)))]
async fn schema(_: OwnWorkspace, State(workspaces): State<Workspaces>) -> Json<Vec<SettingSchema>> {
    let defaults = workspaces.defaults();
    let describe = |key: Key| {
        let is_days = key.kind() == Kind::Days;
        SettingSchema {
            key: key.as_str(),
            r#type: match key.kind() {
                Kind::Switch => "boolean",
                Kind::Days => "integer",
                Kind::Minted => "string",
            },
            default: defaults.get(key).into(),
            label: key.label(),
            help: key.help(),
            minimum: is_days.then_some(1),
            maximum: is_days.then_some(Key::MAX_DAYS),
            unlimited: is_days.then_some(-1),
            r#enum: (key.kind() == Kind::Minted).then_some(TokenMinted::ALL.map(TokenMinted::as_str)),
        }
    };
    Json(Key::ALL.map(describe).into())
}
