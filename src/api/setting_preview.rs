//! `/v4/workspaces/{id}/configuration/preview`: the effect of a setting on existing tokens.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    error::ApiResult,
    extract::OwnWorkspace,
    strict_query::{StrictQuery, check_limit, check_offset},
    tokens::TokenView,
};
use crate::{app::App, domain::setting::SettingKey, http::json::Json, service::Tokens};

/// The number of tokens without `limit`.
const DEFAULT_LIMIT: i64 = 100;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(preview))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PreviewQuery {
    /// The key of the setting.
    #[param(example = "feature.apiAccessTokens.maxLifetimeDays")]
    key: String,
    /// The value to preview.
    #[param(example = "30")]
    value: String,
    /// The maximum number of tokens in `data`; 100 by default.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
    /// The number of tokens to skip.
    #[param(minimum = 0)]
    offset: Option<i64>,
}

/// Active tokens that conflict with a value of a setting.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SettingPreview)]
struct PreviewView {
    /// The key of the setting.
    key: &'static str,
    /// The value, as text.
    value: String,
    /// The number of tokens that conflict with the value.
    token_count: i64,
    /// The number of their owners.
    person_count: i64,
    /// The tokens; those that never expire come first.
    data: Vec<TokenView>,
}

/// Preview a setting
///
/// For administrators of the workspace: the active tokens that live longer than
/// `feature.apiAccessTokens.maxLifetimeDays` or have no scopes although `tokenward.requireScopes` would
/// demand them, and those that stop working if `feature.apiAccessTokens.enabled` becomes false. Nothing
/// is changed. The first two settings leave existing tokens as they are.
#[utoipa::path(get, path = "/v4/workspaces/{id}/configuration/preview", operation_id = "previewWorkspaceConfiguration", tag = "workspaces",
    params(("id" = String, Path, description = "The workspace's ID, or `current`", pattern = "^(current|[1-9][0-9]{0,17})$"), PreviewQuery),
    responses((status = 200, description = "The tokens that conflict with the value", body = PreviewView)))]
async fn preview(
    workspace: OwnWorkspace,
    State(tokens): State<Tokens>,
    StrictQuery(query): StrictQuery<PreviewQuery>,
) -> ApiResult<Json<PreviewView>> {
    let key = SettingKey::parse(&query.key)?;
    let value = key.parse_value(&query.value).ok_or_else(|| key.invalid_value())?;
    let page = (check_limit(query.limit)?.unwrap_or(DEFAULT_LIMIT), check_offset(query.offset)?);
    let preview = tokens.preview_setting(&workspace.administrator, (key, &value), page).await?;
    Ok(Json(PreviewView {
        key: key.as_str(),
        value: value.to_text(),
        token_count: preview.tokens,
        person_count: preview.people,
        data: preview.listed.into_iter().map(TokenView::with_owner).collect(),
    }))
}
