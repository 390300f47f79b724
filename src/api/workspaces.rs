//! `/v4/workspaces`: the caller's workspace, and all workspaces for platform administrators.

use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    error::ApiResult,
    extract::{AnyCaller, PlatformAdminCaller, WorkspaceIdPath},
    json_object::{JsonFields, JsonObject},
    people::{self, DEFAULT_LIMIT},
    serde_types::{Created, Updated, timestamp_schema},
    spelling,
    strict_json::JsonBody,
    strict_query::{Paging, StrictQuery},
};
use crate::{
    app::App,
    domain::{id::WorkspaceId, time::Timestamp, workspace::Workspace},
    http::json::Json,
    service::{
        Workspaces,
        people::{ActorKind, CreatePerson},
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
    #[schema(schema_with = timestamp_schema)]
    created_at: Timestamp,
}

impl From<Workspace> for WorkspaceView {
    fn from(workspace: Workspace) -> Self {
        Self { id: workspace.id.get(), name: workspace.name, created_at: workspace.created_at }
    }
}

/// A workspace and the numbers of its people and tokens.
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
    /// The total number of workspaces; with `includeCount`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    count: Option<i64>,
}

#[derive(Deserialize, ToSchema)]
#[schema(examples(json!({
    "name": "Laboratory",
    "admin": {"email": "rosalind@example.org", "name": "Rosalind", "password": "correct horse battery staple"}
})))]
struct CreateWorkspace {
    #[schema(schema_with = name_schema)]
    name: String,
    #[schema(value_type = FirstAdmin)]
    admin: JsonObject<FirstAdmin>,
}

/// The first administrator of a new workspace.
#[derive(Deserialize, ToSchema)]
struct FirstAdmin {
    #[schema(schema_with = super::person_patch::email_schema)]
    email: String,
    #[schema(max_length = 255, pattern = r"^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]*$")]
    name: String,
    /// 15 to 128 characters; common passwords are rejected.
    #[schema(format = Password, min_length = 8, max_length = 128)]
    password: String,
    /// If sent, it must equal `password`.
    #[schema(format = Password)]
    password2: Option<String>,
}

impl JsonFields for CreateWorkspace {}

impl JsonFields for FirstAdmin {
    fn find_alias(normalized: &str) -> Option<&'static str> {
        spelling::find_person_field_alias(normalized)
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
    #[schema(schema_with = name_schema)]
    name: String,
}

impl JsonFields for PatchWorkspace {}

fn name_schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    let schema = utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::String)
        .min_length(Some(1))
        .max_length(Some(255))
        .pattern(Some(r"^[!-~]([ -~]*[!-~])?$"))
        .examples([serde_json::json!("Data science")]);
    schema.build().into()
}

/// Get the current workspace
///
/// The caller's workspace, with the numbers of its people and tokens.
#[utoipa::path(get, path = "/v4/workspaces/current", operation_id = "getCurrentWorkspace", tag = "workspaces",
    responses((status = 200, description = "The workspace", body = CurrentWorkspace)))]
async fn current(
    AnyCaller(caller): AnyCaller,
    State(workspaces): State<Workspaces>,
) -> ApiResult<Json<CurrentWorkspace>> {
    let summary = workspaces.find_summary(&caller, WorkspaceId::of(&caller)).await?;
    Ok(Json(CurrentWorkspace {
        workspace: summary.workspace.into(),
        person_count: summary.person_count,
        token_count: summary.token_count,
    }))
}

/// List workspaces
///
/// For platform administrators.
#[utoipa::path(get, path = "/v4/workspaces", operation_id = "listWorkspaces", tag = "workspaces", params(Paging),
    responses((status = 200, description = "The workspaces, by ID", body = WorkspaceList)))]
async fn list(
    PlatformAdminCaller(admin): PlatformAdminCaller,
    State(workspaces): State<Workspaces>,
    StrictQuery(paging): StrictQuery<Paging>,
) -> ApiResult<Json<WorkspaceList>> {
    let (limit, offset) = paging.validate(DEFAULT_LIMIT)?;
    let (rows, count) = workspaces.list(ActorKind::Person(&admin), limit, offset, paging.wants_count()).await?;
    Ok(Json(WorkspaceList { data: rows.into_iter().map(WorkspaceView::from).collect(), count }))
}

/// Create a workspace
///
/// For platform administrators: creates a workspace together with its first administrator.
#[utoipa::path(post, path = "/v4/workspaces", operation_id = "createWorkspace", tag = "workspaces", request_body = CreateWorkspace,
    responses((status = 201, description = "The workspace", body = CreatedWorkspace,
            headers(("Location" = String, description = "The path of the workspace: `/v4/workspaces/{id}`")))))]
async fn create(
    PlatformAdminCaller(admin): PlatformAdminCaller,
    State(workspaces): State<Workspaces>,
    JsonBody(body): JsonBody<CreateWorkspace>,
) -> ApiResult<Created<CreatedWorkspace>> {
    let FirstAdmin { email, name, password, password2 } = &body.admin.0;
    people::check_password_confirmation(password, password2.as_deref())?;
    let request =
        CreatePerson { email, name, password, is_admin: true, is_platform_admin: false, force_password_change: false };
    let (workspace, admin) = workspaces.create(ActorKind::Person(&admin), &body.name, request).await?;
    let admin = CreatedAdmin { id: admin.id.get(), email: admin.email };
    let location = format!("/v4/workspaces/{}", workspace.id);
    Ok(Created { location, body: CreatedWorkspace { workspace: workspace.into(), admin } })
}

/// Rename a workspace
///
/// For platform administrators.
#[utoipa::path(patch, path = "/v4/workspaces/{id}", operation_id = "patchWorkspace", tag = "workspaces",
    params(("id" = i64, Path, description = "The workspace's ID")), request_body = PatchWorkspace,
    responses((status = 200, description = "Renamed", body = Updated)))]
async fn rename(
    PlatformAdminCaller(admin): PlatformAdminCaller,
    WorkspaceIdPath(id): WorkspaceIdPath,
    State(workspaces): State<Workspaces>,
    JsonBody(body): JsonBody<PatchWorkspace>,
) -> ApiResult<Json<Updated>> {
    let updated_at = workspaces.rename(ActorKind::Person(&admin), id, &body.name).await?;
    Ok(Json(Updated { id: id.get(), updated_at }))
}

/// Delete a workspace
///
/// For platform administrators. The people, tokens and settings of the workspace are deleted as
/// well. Workspace 1 cannot be deleted.
#[utoipa::path(delete, path = "/v4/workspaces/{id}", operation_id = "deleteWorkspace", tag = "workspaces",
    params(("id" = i64, Path, description = "The workspace's ID")),
    responses((status = 204, description = "Deleted")))]
async fn delete(
    PlatformAdminCaller(caller): PlatformAdminCaller,
    WorkspaceIdPath(id): WorkspaceIdPath,
    State(workspaces): State<Workspaces>,
) -> ApiResult<StatusCode> {
    workspaces.remove(ActorKind::Person(&caller), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
