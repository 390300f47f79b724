//! The layout of the pages for signed-in users: top bar, navigation and notice.

use std::borrow::Cow;

use askama::Template;
use axum::{
    http::StatusCode,
    response::{Html, IntoResponse as _, Response},
};

use super::{
    error::PageResult,
    form_error::FormError,
    format::{self, DisplayTime},
    session_user::SessionUser,
};
use crate::service::{sessions::ActiveSession, tokens::NextExpiry};

/// The top bar, the navigation and the notice around a page.
pub(super) struct Layout {
    pub user: CurrentUser,
    pub nav_item: NavItem,
    pub notice: Option<String>,
    /// The user's token that expires next, if it does so soon.
    pub next_expiry: Option<NextExpiryNotice>,
    /// The entries of the API reference; empty on other pages.
    reference_links: Vec<NavLink>,
    /// The time of the response. Scripts display times relative to it.
    pub now: DisplayTime,
}

/// The notice about tokens of the user that expire soon.
pub(super) struct NextExpiryNotice {
    pub path: String,
    /// The description, or the display prefix.
    pub name: String,
    pub expires: DisplayTime,
    /// The number of other tokens that expire soon.
    pub others: i64,
}

impl From<&NextExpiry> for NextExpiryNotice {
    fn from(next: &NextExpiry) -> Self {
        let name =
            if next.description.is_empty() { format!("{}…", next.display_prefix) } else { next.description.clone() };
        let path = format!("{}/{}", NavItem::Tokens.link().0, next.id);
        Self { path, name, expires: DisplayTime(next.expires_at), others: next.count - 1 }
    }
}

/// The signed-in user in the top bar.
pub(super) struct CurrentUser {
    pub name: String,
    pub email: String,
    pub workspace: String,
    pub is_admin: bool,
    pub is_platform_admin: bool,
}

impl CurrentUser {
    pub(super) fn display_name(&self) -> &str {
        format::display_name(&self.name, &self.email)
    }

    pub(super) fn initial(&self) -> String {
        self.display_name().chars().next().map(|c| c.to_uppercase().to_string()).unwrap_or_default()
    }
}

/// An entry of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NavItem {
    Tokens,
    Profile,
    Activity,
    Users,
    ServiceAccounts,
    Settings,
    AllTokens,
    Webhooks,
    AllActivity,
    Workspaces,
    /// A page of the API reference.
    Reference,
    /// An error page, which is no entry itself.
    Error {
        in_admin: bool,
    },
}

/// A link in the navigation.
#[derive(Clone)]
pub(super) struct NavLink {
    pub path: Cow<'static, str>,
    pub label: &'static str,
    pub is_current: bool,
}

impl NavItem {
    const PREFERENCES: [Self; 3] = [Self::Tokens, Self::Profile, Self::Activity];
    const ADMIN: [Self; 7] = [
        Self::Users,
        Self::ServiceAccounts,
        Self::Settings,
        Self::AllTokens,
        Self::Webhooks,
        Self::AllActivity,
        Self::Workspaces,
    ];

    /// Returns whether the entry belongs to the Admin console.
    fn is_admin(self) -> bool {
        Self::ADMIN.contains(&self) || matches!(self, Self::Error { in_admin: true })
    }

    pub(super) fn title(&self) -> &'static str {
        match self {
            Self::Reference => "API reference",
            _ if self.is_admin() => "Admin console",
            _ => "Preferences",
        }
    }

    fn link(self) -> (&'static str, &'static str) {
        match self {
            Self::Tokens => ("/preferences/access-tokens", "Access Tokens"),
            Self::Profile => ("/preferences/profile", "Profile"),
            Self::Activity => ("/preferences/activity", "Activity"),
            Self::Users => ("/admin/users", "Users"),
            Self::ServiceAccounts => ("/admin/service-accounts", "Service accounts"),
            Self::Settings => ("/admin/settings", "Workspace settings"),
            Self::AllTokens => ("/admin/tokens", "All tokens"),
            Self::Webhooks => ("/admin/webhooks", "Webhooks"),
            Self::AllActivity => ("/admin/activity", "Activity"),
            Self::Workspaces => ("/admin/workspaces", "Workspaces"),
            Self::Reference => ("/api-reference", "API reference"),
            Self::Error { .. } => ("/", "Start"),
        }
    }
}

impl Layout {
    /// Creates the layout of a page for a signed-in user.
    pub(super) fn new(session: &ActiveSession, nav_item: NavItem) -> Self {
        let person = &session.person;
        let user = CurrentUser {
            name: person.name.clone(),
            email: person.email.clone(),
            workspace: session.workspace_name.clone(),
            is_admin: person.is_admin,
            is_platform_admin: person.can_manage_workspaces(),
        };
        let now = DisplayTime(session.validated_at);
        Self { user, nav_item, notice: None, next_expiry: None, reference_links: Vec::new(), now }
    }

    /// Adds the entries of the API reference to the navigation.
    pub(super) fn with_reference_links(self, reference_links: Vec<NavLink>) -> Self {
        Self { reference_links, ..self }
    }

    /// Adds the notice that a form contains text from before the sign-in.
    pub(super) fn with_restored_text(self, is_restored: bool) -> Self {
        let text = "You were signed out before the form was submitted. Check what you entered, and submit it again.";
        Self { notice: is_restored.then(|| text.to_owned()).or(self.notice), ..self }
    }

    /// Adds the notice for a completed operation. `operation` is its name in the query string.
    pub(super) fn with_notice(self, operation: Option<&str>) -> Self {
        let notice = match operation {
            Some("deleted") => Some("The token was deleted. It no longer works."),
            Some("all-deleted") => Some("All tokens were deleted. They no longer work."),
            Some("saved") => Some("Saved."),
            Some("setting") => Some("Saved. The setting takes effect everywhere immediately."),
            Some("linked") => Some("Your account is linked. Your password here ended, and your tokens keep working."),
            Some("ended") => Some("The browser was signed out."),
            Some("others-ended") => Some("All other browsers were signed out."),
            Some("added") => Some("The user was added."),
            Some("removed") => Some("The user was removed."),
            Some("disabled") => Some("The account was disabled. Its password and tokens no longer work."),
            Some("enabled") => Some("The account was enabled."),
            Some("account-added") => Some("The service account was added. Generate a token for it."),
            Some("account-disabled") => Some("The service account was disabled. Its tokens no longer work."),
            Some("account-removed") => Some("The service account was removed with its tokens."),
            Some("forced") => Some("The user must change the password at the next sign-in."),
            Some("password-set") => {
                Some("The temporary password was set. The user must change it at the next sign-in.")
            }
            Some("sessions-ended") => Some("The user was signed out everywhere."),
            Some("webhook-deleted") => Some("The webhook was deleted."),
            Some("webhook-tested") => Some("The test event is queued. Reload the page to see its delivery."),
            Some("workspace-added") => Some("The workspace was added."),
            Some("workspace-removed") => Some("The workspace was removed."),
            _ => None,
        };
        Self { notice: notice.map(str::to_owned), ..self }
    }

    /// Replaces the notice if there is a more specific text.
    pub(super) fn with_text(self, text: Option<String>) -> Self {
        Self { notice: text.or(self.notice), ..self }
    }

    pub(super) fn is_in_admin(&self) -> bool {
        self.nav_item.is_admin()
    }

    pub(super) fn links(&self) -> Vec<NavLink> {
        if self.nav_item == NavItem::Reference {
            return self.reference_links.clone();
        }
        let items: &[NavItem] = if self.nav_item.is_admin() { &NavItem::ADMIN } else { &NavItem::PREFERENCES };
        let is_platform_admin = self.user.is_platform_admin;
        let visible = items.iter().filter(|nav_item| **nav_item != NavItem::Workspaces || is_platform_admin);
        let link = |nav_item: &NavItem| {
            let (path, label) = nav_item.link();
            NavLink { path: Cow::Borrowed(path), label, is_current: *nav_item == self.nav_item }
        };
        visible.map(link).collect()
    }
}

impl SessionUser {
    /// Returns the layout of a page for this user.
    pub(super) fn layout(&self, nav_item: NavItem) -> Layout {
        let next_expiry = self.next_expiry.as_ref().map(NextExpiryNotice::from);
        Layout { next_expiry, ..Layout::new(self, nav_item) }
    }
}

/// Renders a page.
pub(super) fn render(page: &impl Template) -> PageResult<Response> {
    render_with_status(StatusCode::OK, page)
}

/// Renders a form. If there is an error, the response has its status.
pub(super) fn render_form(page: &impl Template, error: Option<&FormError>) -> PageResult<Response> {
    render_with_status(error.map_or(StatusCode::OK, |error| error.status), page)
}

/// Renders a page with a status other than 200.
pub(super) fn render_with_status(status: StatusCode, page: &impl Template) -> PageResult<Response> {
    Ok((status, Html(page.render()?)).into_response())
}
