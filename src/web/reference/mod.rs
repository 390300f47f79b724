//! The API reference: pages that render the OpenAPI document of this service.
//!
//! `model` converts the typed document, `schema` its schemas, `example` its requests and `markdown`
//! its descriptions. The pages need no script.

mod example;
mod markdown;
pub(super) mod model;
mod operation;
mod schema;

use std::borrow::Cow;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};

use super::{
    error::{PageError, PageResult},
    layout::{Layout, NavItem, NavLink, render},
    session_user::SessionUser,
    state::WebState,
};
use model::{ApiReference, Group, Model};

const PATH: &str = "/api-reference";

pub(super) fn routes() -> Router<WebState> {
    Router::new().route(PATH, get(show_overview)).route("/api-reference/{tag}", get(show_group))
}

#[derive(Template)]
#[template(path = "reference/overview.html")]
struct OverviewPage<'a> {
    layout: Layout,
    model: &'a Model,
}

#[derive(Template)]
#[template(path = "reference/group.html")]
struct GroupPage<'a> {
    layout: Layout,
    group: &'a Group,
}

/// Returns the layout with a link to each group. `current` is the tag of the page.
fn layout(user: &SessionUser, model: &Model, current: Option<&str>) -> Layout {
    let overview = NavLink { path: Cow::Borrowed(PATH), label: "Overview", is_current: current.is_none() };
    let groups = model.groups.iter().map(|group| NavLink {
        path: Cow::Owned(group.path()),
        label: group.title,
        is_current: current == Some(group.tag),
    });
    user.layout(NavItem::Reference).with_reference_links(std::iter::once(overview).chain(groups).collect())
}

async fn show_overview(user: SessionUser, State(reference): State<ApiReference>) -> PageResult<Response> {
    let model = reference.model();
    render(&OverviewPage { layout: layout(&user, model, None), model })
}

async fn show_group(
    user: SessionUser,
    State(reference): State<ApiReference>,
    Path(tag): Path<String>,
) -> PageResult<Response> {
    let model = reference.model();
    let group = model.groups.iter().find(|group| group.tag == tag).ok_or_else(PageError::not_found)?;
    render(&GroupPage { layout: layout(&user, model, Some(group.tag)), group })
}
