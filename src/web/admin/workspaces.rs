//! The workspaces of the service, for platform administrators.

use askama::Template;
use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{
    domain::id::WorkspaceId,
    service::{
        people::{ActorKind, CreatePerson},
        workspaces::WorkspaceSummary,
    },
    web::{
        draft::Draft,
        error::{PageResult, see_other},
        extract::{IdPath, LenientQuery, PageForm},
        form_error::FormError,
        format::DisplayTime,
        layout::{Layout, NavItem, render, render_with_status},
        pagination::{PAGE_SIZE, PageRange, Pager},
        reauth::{Reauth, require_recent_password},
        session_user::PlatformAdminUser,
        state::WebState,
    },
};

const LIST_PATH: &str = "/admin/workspaces";

pub(super) fn routes() -> Router<WebState> {
    Router::new()
        .route(LIST_PATH, get(list))
        .route("/admin/workspaces/new", get(show_form).post(add))
        .route("/admin/workspaces/{id}", get(show).post(rename))
        .route("/admin/workspaces/{id}/remove", get(redirect_to_workspace).post(remove))
}

struct WorkspaceRow {
    id: WorkspaceId,
    name: String,
    people: i64,
    tokens: i64,
    created: DisplayTime,
}

impl From<WorkspaceSummary> for WorkspaceRow {
    fn from(summary: WorkspaceSummary) -> Self {
        Self {
            id: summary.workspace.id,
            name: summary.workspace.name,
            people: summary.person_count,
            tokens: summary.token_count,
            created: DisplayTime(summary.workspace.created_at),
        }
    }
}

#[derive(Template)]
#[template(path = "admin/workspaces.html")]
struct WorkspacesPage {
    layout: Layout,
    rows: Vec<WorkspaceRow>,
    pager: Pager,
}

#[derive(Default, Deserialize)]
struct WorkspacesQuery {
    from: Option<u32>,
    done: Option<String>,
}

async fn list(
    user: PlatformAdminUser,
    State(state): State<WebState>,
    LenientQuery(query): LenientQuery<WorkspacesQuery>,
) -> PageResult<Response> {
    let offset = i64::from(query.from.unwrap_or(0));
    let limit = i64::try_from(PAGE_SIZE).unwrap_or(i64::MAX);
    let (workspaces, count) = state.workspaces.list_summaries(&user.actor(), limit, offset).await?;
    let path = |offset: i64| format!("{LIST_PATH}?from={offset}");
    let pager = Pager {
        prev: (offset > 0).then(|| path((offset - limit).max(0))),
        next: (offset + limit < count).then(|| path(offset + limit)),
        range: PageRange::new(Some(offset + 1), workspaces.len(), count),
    };
    render(&WorkspacesPage {
        layout: user.layout(NavItem::Workspaces).with_notice(query.done.as_deref()),
        rows: workspaces.into_iter().map(WorkspaceRow::from).collect(),
        pager,
    })
}

#[derive(Template)]
#[template(path = "admin/new_workspace.html")]
struct NewWorkspacePage<'a> {
    layout: Layout,
    error: Option<&'a FormError>,
    name: &'a str,
    admin_email: &'a str,
    admin_name: &'a str,
    min_chars: usize,
    reauth: Reauth,
}

#[derive(Default, Deserialize)]
struct NewWorkspaceForm {
    #[serde(default)]
    name: String,
    #[serde(default)]
    admin_email: String,
    #[serde(default)]
    admin_name: String,
    #[serde(default)]
    password: Zeroizing<String>,
    own_password: Option<Zeroizing<String>>,
}

fn new_page<'a>(
    user: &PlatformAdminUser,
    state: &WebState,
    form: &'a NewWorkspaceForm,
    error: Option<&'a FormError>,
) -> NewWorkspacePage<'a> {
    NewWorkspacePage {
        layout: user.layout(NavItem::Workspaces),
        error,
        name: &form.name,
        admin_email: &form.admin_email,
        admin_name: &form.admin_name,
        min_chars: state.min_password_length,
        reauth: user.reauth(),
    }
}

async fn show_form(user: PlatformAdminUser, State(state): State<WebState>, draft: Draft) -> PageResult<Response> {
    let restored = draft.form::<NewWorkspaceForm>();
    let is_restored = restored.is_some();
    let form = restored.unwrap_or_default();
    let page = new_page(&user, &state, &form, None);
    render(&NewWorkspacePage { layout: page.layout.with_restored_text(is_restored), ..page })
}

async fn add(
    user: PlatformAdminUser,
    State(state): State<WebState>,
    headers: HeaderMap,
    PageForm(form): PageForm<NewWorkspaceForm>,
) -> PageResult<Response> {
    let admin = CreatePerson {
        email: &form.admin_email,
        name: &form.admin_name,
        password: &form.password,
        is_admin: true,
        is_platform_admin: false,
        force_password_change: true,
    };
    let own_password = form.own_password.as_ref().map(|password| password.as_str());
    let error = match require_recent_password(&state, &user, &headers, own_password).await? {
        Ok(()) => match state.workspaces.create(ActorKind::Person(&user.actor()), &form.name, admin).await {
            Ok(_) => return Ok(see_other("/admin/workspaces?done=workspace-added")),
            Err(error) => FormError::from_error(error)?,
        },
        Err(error) => error,
    };
    render_with_status(error.status, &new_page(&user, &state, &form, Some(&error)))
}

#[derive(Template)]
#[template(path = "admin/workspace.html")]
struct WorkspacePage<'a> {
    layout: Layout,
    error: Option<&'a FormError>,
    id: WorkspaceId,
    name: String,
    new_name: String,
    people: i64,
    tokens: i64,
    is_first: bool,
    reauth: Reauth,
}

#[derive(Deserialize)]
struct RenameForm {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct RemoveForm {
    #[serde(default)]
    confirm: String,
    own_password: Option<Zeroizing<String>>,
}

async fn page<'a>(
    user: &PlatformAdminUser,
    state: &WebState,
    id: WorkspaceId,
    error: Option<&'a FormError>,
) -> PageResult<WorkspacePage<'a>> {
    let summary = state.workspaces.find_summary(&user.actor(), id).await?;
    Ok(WorkspacePage {
        layout: user.layout(NavItem::Workspaces),
        error,
        id,
        new_name: summary.workspace.name.clone(),
        name: summary.workspace.name,
        people: summary.person_count,
        tokens: summary.token_count,
        is_first: id == WorkspaceId::FIRST,
        reauth: user.reauth(),
    })
}

async fn show(
    user: PlatformAdminUser,
    State(state): State<WebState>,
    IdPath(id): IdPath<WorkspaceId>,
    LenientQuery(query): LenientQuery<WorkspacesQuery>,
) -> PageResult<Response> {
    let page = page(&user, &state, id, None).await?;
    render(&WorkspacePage { layout: page.layout.with_notice(query.done.as_deref()), ..page })
}

async fn rename(
    user: PlatformAdminUser,
    State(state): State<WebState>,
    IdPath(id): IdPath<WorkspaceId>,
    PageForm(form): PageForm<RenameForm>,
) -> PageResult<Response> {
    match state.workspaces.rename(ActorKind::Person(&user.actor()), id, &form.name).await {
        Ok(_) => Ok(see_other(&format!("{LIST_PATH}/{id}?done=saved"))),
        Err(error) => {
            let error = FormError::from_error(error)?;
            let page = page(&user, &state, id, Some(&error)).await?;
            render_with_status(error.status, &WorkspacePage { new_name: form.name, ..page })
        }
    }
}

/// Shows the workspace's page if the user reloads the page of a rejected removal.
async fn redirect_to_workspace(_: PlatformAdminUser, IdPath(id): IdPath<WorkspaceId>) -> Response {
    see_other(&format!("{LIST_PATH}/{id}"))
}

async fn remove(
    user: PlatformAdminUser,
    State(state): State<WebState>,
    headers: HeaderMap,
    IdPath(id): IdPath<WorkspaceId>,
    PageForm(form): PageForm<RemoveForm>,
) -> PageResult<Response> {
    let summary = state.workspaces.find_summary(&user.actor(), id).await?;
    let own_password = form.own_password.as_ref().map(|password| password.as_str());
    let error = if form.confirm.trim() == summary.workspace.name {
        match require_recent_password(&state, &user, &headers, own_password).await? {
            Ok(()) => match state.workspaces.remove(ActorKind::Person(&user.actor()), id).await {
                Ok(()) => return Ok(see_other("/admin/workspaces?done=workspace-removed")),
                Err(error) => FormError::from_error(error)?,
            },
            Err(error) => error,
        }
    } else {
        FormError::new("This is not the name of the workspace. Nothing was removed.")
    };
    render_with_status(error.status, &page(&user, &state, id, Some(&error)).await?)
}
