//! The workspaces of the service, for the platform administrator.

use askama::Template;
use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{
    domain::workspace,
    service::{
        people::{Add, By},
        workspaces::Overview,
    },
    web::{
        error::{PageResult, see_other},
        extract::{Asked, Numbered, Posted},
        format::When,
        layout::{Frame, Place, show, show_as},
        messages::Problem,
        pagination::{Pager, ROWS},
        reauth::prove,
        session_user::PlatformVisitor,
        state::Site,
    },
};

const PLACE: &str = "/admin/workspaces";

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route(PLACE, get(list))
        .route("/admin/workspaces/new", get(ask_new).post(add))
        .route("/admin/workspaces/{id}", get(look).post(rename))
        .route("/admin/workspaces/{id}/remove", get(back).post(remove))
}

struct WorkspaceRow {
    id: i64,
    name: String,
    people: i64,
    tokens: i64,
    created: When,
}

impl From<Overview> for WorkspaceRow {
    fn from(overview: Overview) -> Self {
        Self {
            id: overview.workspace.id,
            name: overview.workspace.name,
            people: overview.person_count,
            tokens: overview.token_count,
            created: When(overview.workspace.created_at),
        }
    }
}

#[derive(Template)]
#[template(path = "admin/workspaces.html")]
struct WorkspacesPage {
    frame: Frame,
    rows: Vec<WorkspaceRow>,
    pager: Pager,
}

#[derive(Default, Deserialize)]
struct Ask {
    from: Option<u32>,
    done: Option<String>,
}

async fn list(visitor: PlatformVisitor, State(site): State<Site>, Asked(ask): Asked<Ask>) -> PageResult<Response> {
    let (from, rows) = (i64::from(ask.from.unwrap_or(0)), i64::try_from(ROWS).unwrap_or(i64::MAX));
    let (workspaces, count) = site.workspaces.overviews(&visitor.actor(), rows, from).await?;
    let path = |from: i64| format!("{PLACE}?from={from}");
    let pager = Pager {
        back: (from > 0).then(|| path((from - rows).max(0))),
        on: (from + rows < count).then(|| path(from + rows)),
    };
    show(&WorkspacesPage {
        frame: visitor.frame(Place::Workspaces).after(ask.done.as_deref()),
        rows: workspaces.into_iter().map(WorkspaceRow::from).collect(),
        pager,
    })
}

#[derive(Template)]
#[template(path = "admin/new_workspace.html")]
struct NewWorkspacePage<'a> {
    frame: Frame,
    problem: Option<&'a str>,
    name: &'a str,
    admin_email: &'a str,
    admin_name: &'a str,
    min_chars: usize,
    needs_proof: bool,
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
    visitor: &PlatformVisitor,
    site: &Site,
    form: &'a NewWorkspaceForm,
    problem: Option<&'a str>,
) -> NewWorkspacePage<'a> {
    NewWorkspacePage {
        frame: visitor.frame(Place::Workspaces),
        problem,
        name: &form.name,
        admin_email: &form.admin_email,
        admin_name: &form.admin_name,
        min_chars: site.passwords.0,
        needs_proof: visitor.needs_proof(),
    }
}

async fn ask_new(visitor: PlatformVisitor, State(site): State<Site>) -> PageResult<Response> {
    show(&new_page(&visitor, &site, &NewWorkspaceForm::default(), None))
}

async fn add(
    visitor: PlatformVisitor,
    State(site): State<Site>,
    headers: HeaderMap,
    Posted(form): Posted<NewWorkspaceForm>,
) -> PageResult<Response> {
    let admin = Add {
        email: &form.admin_email,
        name: &form.admin_name,
        password: &form.password,
        is_admin: true,
        is_platform_admin: false,
        force_password_change: true,
    };
    let own_password = form.own_password.as_ref().map(|password| password.as_str());
    let problem = match prove(&site, &visitor, &headers, own_password).await? {
        Ok(()) => match site.workspaces.create(By::Person(&visitor.actor()), &form.name, admin).await {
            Ok(_) => return Ok(see_other("/admin/workspaces?done=workspace-added")),
            Err(refusal) => Problem::of(refusal)?,
        },
        Err(problem) => problem,
    };
    show_as(problem.status, &new_page(&visitor, &site, &form, Some(&problem.text)))
}

#[derive(Template)]
#[template(path = "admin/workspace.html")]
struct WorkspacePage<'a> {
    frame: Frame,
    problem: Option<&'a str>,
    id: i64,
    name: String,
    new_name: String,
    people: i64,
    tokens: i64,
    is_first: bool,
    needs_proof: bool,
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
    visitor: &PlatformVisitor,
    site: &Site,
    id: i64,
    problem: Option<&'a str>,
) -> PageResult<WorkspacePage<'a>> {
    let overview = site.workspaces.overview(&visitor.actor(), id).await?;
    Ok(WorkspacePage {
        frame: visitor.frame(Place::Workspaces),
        problem,
        id,
        new_name: overview.workspace.name.clone(),
        name: overview.workspace.name,
        people: overview.person_count,
        tokens: overview.token_count,
        is_first: id == workspace::FIRST,
        needs_proof: visitor.needs_proof(),
    })
}

async fn look(
    visitor: PlatformVisitor,
    State(site): State<Site>,
    Numbered(id): Numbered,
    Asked(ask): Asked<Ask>,
) -> PageResult<Response> {
    let page = page(&visitor, &site, id, None).await?;
    show(&WorkspacePage { frame: page.frame.after(ask.done.as_deref()), ..page })
}

async fn rename(
    visitor: PlatformVisitor,
    State(site): State<Site>,
    Numbered(id): Numbered,
    Posted(form): Posted<RenameForm>,
) -> PageResult<Response> {
    match site.workspaces.rename(By::Person(&visitor.actor()), id, &form.name).await {
        Ok(_) => Ok(see_other(&format!("{PLACE}/{id}?done=saved"))),
        Err(refusal) => {
            let problem = Problem::of(refusal)?;
            let page = page(&visitor, &site, id, Some(&problem.text)).await?;
            show_as(problem.status, &WorkspacePage { new_name: form.name, ..page })
        }
    }
}

/// Whoever reloads what was refused is shown the workspace again.
async fn back(_: PlatformVisitor, Numbered(id): Numbered) -> Response {
    see_other(&format!("{PLACE}/{id}"))
}

async fn remove(
    visitor: PlatformVisitor,
    State(site): State<Site>,
    headers: HeaderMap,
    Numbered(id): Numbered,
    Posted(form): Posted<RemoveForm>,
) -> PageResult<Response> {
    let overview = site.workspaces.overview(&visitor.actor(), id).await?;
    let own_password = form.own_password.as_ref().map(|password| password.as_str());
    let problem = if form.confirm.trim() == overview.workspace.name {
        match prove(&site, &visitor, &headers, own_password).await? {
            Ok(()) => match site.workspaces.remove(By::Person(&visitor.actor()), id).await {
                Ok(()) => return Ok(see_other("/admin/workspaces?done=workspace-removed")),
                Err(refusal) => Problem::of(refusal)?,
            },
            Err(problem) => problem,
        }
    } else {
        Problem::new("That is not the workspace’s name. Nothing was removed.")
    };
    show_as(problem.status, &page(&visitor, &site, id, Some(&problem.text)).await?)
}
