//! What stands around every page.

use askama::Template;
use axum::{
    http::StatusCode,
    response::{Html, IntoResponse as _, Response},
};

use super::{error::PageResult, format, messages::Problem, session_user::Visitor};
use crate::service::sessions::Visit;

/// What stands around a page: the bar, the list of places, and word of what was just done.
pub(super) struct Frame {
    pub who: Who,
    pub place: Place,
    pub done: Option<&'static str>,
}

/// Who is signed in.
pub(super) struct Who {
    pub name: String,
    pub email: String,
    pub workspace: String,
    pub is_admin: bool,
    pub is_platform_admin: bool,
}

impl Who {
    pub(super) fn shown(&self) -> &str {
        format::shown(&self.name, &self.email)
    }

    pub(super) fn initial(&self) -> String {
        self.shown().chars().next().map(|c| c.to_uppercase().to_string()).unwrap_or_default()
    }
}

/// Where a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Tokens,
    Profile,
    Activity,
    Users,
    Settings,
    AllTokens,
    AllActivity,
    Workspaces,
}

/// A place that can be gone to.
pub(super) struct Link {
    pub path: &'static str,
    pub word: &'static str,
    pub is_here: bool,
}

impl Place {
    const PREFERENCES: [Self; 3] = [Self::Tokens, Self::Profile, Self::Activity];
    const ADMIN: [Self; 5] = [Self::Users, Self::Settings, Self::AllTokens, Self::AllActivity, Self::Workspaces];

    pub(super) fn title(&self) -> &'static str {
        if Self::ADMIN.contains(self) { "Admin console" } else { "Preferences" }
    }

    fn link(self) -> (&'static str, &'static str) {
        match self {
            Self::Tokens => ("/preferences/access-tokens", "Access Tokens"),
            Self::Profile => ("/preferences/profile", "Profile"),
            Self::Activity => ("/preferences/activity", "Activity"),
            Self::Users => ("/admin/users", "Users"),
            Self::Settings => ("/admin/settings", "Workspace settings"),
            Self::AllTokens => ("/admin/tokens", "All tokens"),
            Self::AllActivity => ("/admin/activity", "Activity"),
            Self::Workspaces => ("/admin/workspaces", "Workspaces"),
        }
    }
}

impl Frame {
    /// Around a page for somebody who is signed in.
    pub(super) fn new(visit: &Visit, place: Place) -> Self {
        let person = &visit.person;
        let who = Who {
            name: person.name.clone(),
            email: person.email.clone(),
            workspace: visit.workspace_name.clone(),
            is_admin: person.is_admin,
            is_platform_admin: person.manages_workspaces(),
        };
        Self { who, place, done: None }
    }

    /// With word of what was just done, by the name that the path has for it.
    pub(super) fn after(self, done: Option<&str>) -> Self {
        let done = match done {
            Some("deleted") => Some("The token is deleted. It no longer works anywhere."),
            Some("all-deleted") => Some("All tokens are deleted. None of them works any more."),
            Some("saved") => Some("Saved."),
            Some("setting") => Some("Saved. It is in force everywhere."),
            Some("ended") => Some("The web session is ended."),
            Some("others-ended") => Some("The other web sessions are ended."),
            Some("added") => Some("The user is added."),
            Some("removed") => Some("The user is removed."),
            Some("disabled") => Some("The account is disabled. Neither password nor tokens work."),
            Some("enabled") => Some("The account is enabled."),
            Some("forced") => Some("The password must be changed at the next sign-in."),
            Some("sessions-ended") => Some("The web sessions are ended."),
            Some("workspace-added") => Some("The workspace is added."),
            Some("workspace-removed") => Some("The workspace is removed."),
            _ => None,
        };
        Self { done, ..self }
    }

    pub(super) fn links(&self) -> Vec<Link> {
        let places: &[Place] = if Place::ADMIN.contains(&self.place) { &Place::ADMIN } else { &Place::PREFERENCES };
        let manages = self.who.is_platform_admin;
        let shown = places.iter().filter(|place| **place != Place::Workspaces || manages);
        let link = |place: &Place| {
            let (path, word) = place.link();
            Link { path, word, is_here: *place == self.place }
        };
        shown.map(link).collect()
    }
}

impl Visitor {
    /// What stands around a page for this visitor.
    pub(super) fn frame(&self, place: Place) -> Frame {
        Frame::new(self, place)
    }
}

/// Writes a page.
pub(super) fn show(page: &impl Template) -> PageResult<Response> {
    show_as(StatusCode::OK, page)
}

/// Writes a page that asks for something: under the status of what was wrong, if something was.
pub(super) fn ask(page: &impl Template, problem: Option<&Problem>) -> PageResult<Response> {
    show_as(problem.map_or(StatusCode::OK, |problem| problem.status), page)
}

/// Writes a page under another status than 200.
pub(super) fn show_as(status: StatusCode, page: &impl Template) -> PageResult<Response> {
    Ok((status, Html(page.render()?)).into_response())
}
