//! `/v4/workspaces`: the caller's own, and for platform administrators all.

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    error::ApiResult,
    extract::{Caller, PlatformAdmin, WorkspaceId},
    json_object::{Fields, Object},
    people::{self, DEFAULT_LIMIT},
    serde_types::{Updated, moment},
    strict_json::JsonBody,
    strict_query::{Paging, QueryOf},
};
use crate::{
    app::App,
    domain::{time::Timestamp, workspace::Workspace},
    service::{
        Workspaces,
        people::{Add, By},
    },
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(current)).routes(routes!(list, create)).routes(routes!(rename, delete))
}

/// A workspace.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Workspace)]
struct WorkspaceView {
    id: i64,
    name: String,
    #[schema(schema_with = moment)]
    created_at: Timestamp,
}

impl From<Workspace> for WorkspaceView {
    fn from(workspace: Workspace) -> Self {
        Self { id: workspace.id, name: workspace.name, created_at: workspace.created_at }
    }
}

/// A workspace and how much is in it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CurrentWorkspace {
    #[serde(flatten)]
    workspace: WorkspaceView,
    person_count: i64,
    token_count: i64,
}

#[derive(Debug, Serialize, ToSchema)]
struct WorkspaceList {
    data: Vec<WorkspaceView>,
    /// How many there are in all; with `includeCount`.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<i64>,
}

#[derive(Deserialize, ToSchema)]
#[schema(examples(json!({
    "name": "Laboratory",
    "admin": {"email": "rosalind@example.org", "name": "Rosalind", "password": "correct horse battery staple"}
})))]
struct CreateWorkspace {
    #[schema(schema_with = name)]
    name: String,
    #[schema(value_type = FirstAdmin)]
    admin: Object<FirstAdmin>,
}

/// Who administers the new workspace.
#[derive(Deserialize, ToSchema)]
struct FirstAdmin {
    #[schema(schema_with = super::person_patch::email)]
    email: String,
    #[schema(max_length = 255, pattern = r"^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]*$")]
    name: String,
    /// 15 to 128 characters; common passwords are refused.
    #[schema(format = Password, min_length = 8, max_length = 128)]
    password: String,
    /// If sent, it must equal `password`.
    #[schema(format = Password)]
    password2: Option<String>,
}

impl Fields for CreateWorkspace {}

impl Fields for FirstAdmin {
    fn meant(plain: &str) -> Option<&'static str> {
        people::meant(plain)
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct CreatedWorkspace {
    #[serde(flatten)]
    workspace: WorkspaceView,
    admin: CreatedAdmin,
}

#[derive(Debug, Serialize, ToSchema)]
struct CreatedAdmin {
    id: i64,
    email: String,
}

#[derive(Deserialize, ToSchema)]
struct PatchWorkspace {
    #[schema(schema_with = name)]
    name: String,
}

impl Fields for PatchWorkspace {}

fn name() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    let schema = utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::String)
        .min_length(Some(1))
        .max_length(Some(255))
        .pattern(Some(r"^[!-~]([ -~]*[!-~])?$"))
        .examples([serde_json::json!("Data science")]);
    schema.build().into()
}

/// Read one's own workspace
#[utoipa::path(get, path = "/v4/workspaces/current", operation_id = "getCurrentWorkspace", tag = "workspaces",
    responses((status = 200, description = "The workspace", body = CurrentWorkspace), (status = 401), (status = 403), (status = 404)))]
async fn current(Caller(caller): Caller, State(workspaces): State<Workspaces>) -> ApiResult<Json<CurrentWorkspace>> {
    let overview = workspaces.overview(&caller, caller.workspace_id).await?;
    Ok(Json(CurrentWorkspace {
        workspace: overview.workspace.into(),
        person_count: overview.person_count,
        token_count: overview.token_count,
    }))
}

/// List the workspaces
///
/// For platform administrators.
#[utoipa::path(get, path = "/v4/workspaces", operation_id = "listWorkspaces", tag = "workspaces", params(Paging),
    responses((status = 200, description = "The workspaces, by id", body = WorkspaceList), (status = 400), (status = 401), (status = 403)))]
async fn list(
    PlatformAdmin(admin): PlatformAdmin,
    State(workspaces): State<Workspaces>,
    QueryOf(paging): QueryOf<Paging>,
) -> ApiResult<Json<WorkspaceList>> {
    let (limit, offset) = paging.checked(DEFAULT_LIMIT)?;
    let (rows, count) = workspaces.list(By::Person(&admin), limit, offset, paging.is_counted()).await?;
    Ok(Json(WorkspaceList { data: rows.into_iter().map(WorkspaceView::from).collect(), count }))
}

/// Make a workspace
///
/// For platform administrators; together with its first administrator.
#[utoipa::path(post, path = "/v4/workspaces", operation_id = "createWorkspace", tag = "workspaces", request_body = CreateWorkspace,
    responses((status = 201, description = "The workspace", body = CreatedWorkspace), (status = 400), (status = 401), (status = 403),
        (status = 409), (status = 413), (status = 415)))]
async fn create(
    PlatformAdmin(admin): PlatformAdmin,
    State(workspaces): State<Workspaces>,
    JsonBody(body): JsonBody<CreateWorkspace>,
) -> ApiResult<(StatusCode, Json<CreatedWorkspace>)> {
    let FirstAdmin { email, name, password, password2 } = &body.admin.0;
    people::check_repetition(password, password2.as_deref())?;
    let add = Add { email, name, password, is_admin: true, is_platform_admin: false, force_password_change: false };
    let (workspace, admin) = workspaces.create(By::Person(&admin), &body.name, add).await?;
    let admin = CreatedAdmin { id: admin.id, email: admin.email };
    Ok((StatusCode::CREATED, Json(CreatedWorkspace { workspace: workspace.into(), admin })))
}

/// Rename a workspace
///
/// For platform administrators.
#[utoipa::path(patch, path = "/v4/workspaces/{id}", operation_id = "patchWorkspace", tag = "workspaces",
    params(("id" = i64, Path, description = "The workspace's id")), request_body = PatchWorkspace,
    responses((status = 200, description = "Renamed", body = Updated), (status = 400), (status = 401), (status = 403), (status = 404),
        (status = 413), (status = 415)))]
async fn rename(
    PlatformAdmin(admin): PlatformAdmin,
    WorkspaceId(id): WorkspaceId,
    State(workspaces): State<Workspaces>,
    JsonBody(body): JsonBody<PatchWorkspace>,
) -> ApiResult<Json<Updated>> {
    let updated_at = workspaces.rename(By::Person(&admin), id, &body.name).await?;
    Ok(Json(Updated { id, updated_at }))
}

/// Remove a workspace
///
/// For platform administrators. Its people, tokens and settings go, too. Workspace 1 stays.
#[utoipa::path(delete, path = "/v4/workspaces/{id}", operation_id = "deleteWorkspace", tag = "workspaces",
    params(("id" = i64, Path, description = "The workspace's id")),
    responses((status = 204, description = "Removed"), (status = 401), (status = 403), (status = 404), (status = 409)))]
async fn delete(
    PlatformAdmin(caller): PlatformAdmin,
    WorkspaceId(id): WorkspaceId,
    State(workspaces): State<Workspaces>,
) -> ApiResult<StatusCode> {
    workspaces.remove(By::Person(&caller), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
