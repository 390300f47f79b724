//! The list of people in the workspace, and the page that adds a person.

use askama::Template;
use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{role::role_label, user_invite::show_link};
use crate::{
    domain::{
        id::PersonId,
        person::{EmailKey, Person, TokenAccess},
    },
    service::{
        self, Invites,
        invites::{InviteLink, InvitePerson},
        people::{ActorKind, CreatePerson, PageStart, PersonSearch, PersonWithTokenCount},
    },
    web::{
        draft::Draft,
        error::{PageResult, see_other},
        extract::{LenientQuery, PageForm, is_checked},
        form_error::FormError,
        format::{DisplayTime, InviteStatus, display_name},
        layout::{Layout, NavItem, render, render_with_status},
        pagination::{PAGE_SIZE, PageRange, PageRequest, Pager, page_path},
        reauth::{Reauth, require_recent_password},
        session_user::AdminUser,
        state::WebState,
    },
};

const LIST_PATH: &str = "/admin/users";

pub(super) fn routes() -> Router<WebState> {
    Router::new().route(LIST_PATH, get(list)).route("/admin/users/new", get(show_form).post(add))
}

/// The query string of the list: filters, cursors and notice.
#[derive(Default, Deserialize, Serialize)]
struct UserQuery {
    search: Option<String>,
    status: Option<String>,
    #[serde(skip_serializing)]
    after: Option<String>,
    #[serde(skip_serializing)]
    before: Option<String>,
    #[serde(skip_serializing)]
    from: Option<String>,
    #[serde(skip_serializing)]
    done: Option<String>,
}

impl UserQuery {
    fn filter(&self) -> PersonSearch {
        let (is_disabled, is_admin) = match self.status.as_deref() {
            Some("active") => (Some(false), None),
            Some("disabled") => (Some(true), None),
            Some("administrators") => (None, Some(true)),
            _ => (None, None),
        };
        let search = self.search.as_deref().map(|text| text.trim().chars().take(255).collect());
        PersonSearch { search, is_disabled, is_admin, ..PersonSearch::default() }
    }

    fn statuses(&self) -> [(&'static str, &'static str, bool); 4] {
        let selected = self.status.as_deref().unwrap_or_default();
        [("", "All"), ("active", "Active"), ("disabled", "Disabled"), ("administrators", "Administrators")]
            .map(|(value, label)| (value, label, value == selected))
    }
}

struct UserRow {
    id: PersonId,
    display_name: String,
    email: String,
    is_disabled: bool,
    has_password: bool,
    /// The identity provider through which the person signs in.
    provider: Option<String>,
    /// The party outside the service that disabled the account.
    disabled_by: Option<&'static str>,
    invite: InviteStatus,
    role: &'static str,
    token_access: &'static str,
    active_tokens: i64,
    last_login: Option<DisplayTime>,
}

impl UserRow {
    fn new(invites: &Invites, listed: PersonWithTokenCount) -> Self {
        let PersonWithTokenCount { person, active_tokens, invite_expires_at } = listed;
        Self {
            invite: invites.state(&person, invite_expires_at).into(),
            has_password: person.has_password,
            provider: person.provider.clone(),
            disabled_by: person.disabled_by.outside_party(),
            id: person.id,
            display_name: display_name(&person.name, &person.email).to_owned(),
            is_disabled: person.is_disabled,
            role: role_label(person.role()),
            token_access: token_access_label(person.token_access),
            active_tokens,
            last_login: person.last_login_at.map(DisplayTime),
            email: person.email,
        }
    }
}

/// Returns the label of a token access.
pub(super) fn token_access_label(access: TokenAccess) -> &'static str {
    match access {
        TokenAccess::Default => "Default",
        TokenAccess::Enabled => "Enabled",
        TokenAccess::Disabled => "Disabled",
    }
}

#[derive(Template)]
#[template(path = "admin/users.html")]
struct UsersPage<'a> {
    layout: Layout,
    workspace: &'a str,
    rows: Vec<UserRow>,
    pager: Pager,
    search: &'a str,
    statuses: [(&'static str, &'static str, bool); 4],
}

async fn list(
    user: AdminUser,
    State(state): State<WebState>,
    LenientQuery(query): LenientQuery<UserQuery>,
) -> PageResult<Response> {
    let page_request = PageRequest::from_cursors(
        query.after.as_deref().map(EmailKey::from_text),
        query.before.as_deref().map(EmailKey::from_text),
    );
    let start = match &page_request {
        PageRequest::First => PageStart::default(),
        PageRequest::After(key) => PageStart::After(key.clone()),
        PageRequest::Before(key) => PageStart::Before(key.clone()),
    };
    let limit = i64::try_from(PAGE_SIZE + 1).unwrap_or(i64::MAX);
    let mut people = state.people.list_with_token_counts(&user.actor(), &query.filter(), &start, limit).await?;
    let to_cursor = |entry: &PersonWithTokenCount| EmailKey::from_text(&entry.person.email).as_str().to_owned();
    let pager = page_request
        .split(&mut people, to_cursor, |direction, cursor| page_path(LIST_PATH, &query, direction, &cursor));
    let count = state.people.count(&user.actor(), &query.filter()).await?;
    let from = query.from.as_deref().and_then(|text| text.parse().ok());
    let pager = pager.with_range(PageRange::new(from, people.len(), count));
    render(&UsersPage {
        layout: user.layout(NavItem::Users).with_notice(query.done.as_deref()),
        workspace: &user.workspace_name,
        rows: people.into_iter().map(|listed| UserRow::new(&state.invites, listed)).collect(),
        pager,
        search: query.search.as_deref().unwrap_or_default(),
        statuses: query.statuses(),
    })
}

#[derive(Template)]
#[template(path = "admin/new_user.html")]
struct NewUserPage<'a> {
    layout: Layout,
    error: Option<&'a FormError>,
    email: &'a str,
    name: &'a str,
    is_invite: bool,
    must_change_password: bool,
    is_admin: bool,
    min_chars: usize,
    reauth: Reauth,
}

#[derive(Deserialize)]
struct NewUserForm {
    #[serde(default)]
    email: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: Zeroizing<String>,
    /// `invite` or `password`.
    #[serde(default)]
    credential: String,
    must_change: Option<String>,
    is_admin: Option<String>,
    own_password: Option<Zeroizing<String>>,
}

fn new_page<'a>(user: &AdminUser, state: &WebState) -> NewUserPage<'a> {
    NewUserPage {
        layout: user.layout(NavItem::Users),
        error: None,
        email: "",
        name: "",
        is_invite: true,
        must_change_password: true,
        is_admin: false,
        min_chars: state.min_password_length,
        reauth: user.reauth(),
    }
}

async fn show_form(user: AdminUser, State(state): State<WebState>, draft: Draft) -> PageResult<Response> {
    let page = new_page(&user, &state);
    match draft.form::<NewUserForm>() {
        Some(form) => {
            let layout = user.layout(NavItem::Users).with_restored_text(true);
            render(&NewUserPage { layout, ..form.fill(page) })
        }
        None => render(&page),
    }
}

impl NewUserForm {
    fn is_invite(&self) -> bool {
        self.credential == "invite"
    }

    /// Adds the person. Returns the invite link, if one was requested. A password that was entered
    /// before is then ignored.
    async fn submit(&self, state: &WebState, user: &AdminUser) -> service::Result<Option<(Person, InviteLink)>> {
        let actor = user.actor();
        let (initiator, workspace_id) = (ActorKind::Person(&actor), user.person.workspace_id);
        let (email, name) = (&self.email, &self.name);
        let (is_admin, is_platform_admin) = (is_checked(self.is_admin.as_ref()), false);
        if self.is_invite() {
            let request = InvitePerson { email, name, is_admin, is_platform_admin };
            return state.invites.add_person(initiator, workspace_id, request).await.map(Some);
        }
        let (password, force_password_change) = (&self.password, is_checked(self.must_change.as_ref()));
        let request = CreatePerson { email, name, password, is_admin, is_platform_admin, force_password_change };
        state.people.add(initiator, workspace_id, request).await.map(|_| None)
    }

    /// Fills the page with the entered text.
    fn fill<'a>(&'a self, page: NewUserPage<'a>) -> NewUserPage<'a> {
        NewUserPage {
            email: &self.email,
            name: &self.name,
            is_invite: self.is_invite(),
            must_change_password: is_checked(self.must_change.as_ref()),
            is_admin: is_checked(self.is_admin.as_ref()),
            ..page
        }
    }
}

async fn add(
    user: AdminUser,
    State(state): State<WebState>,
    headers: HeaderMap,
    PageForm(form): PageForm<NewUserForm>,
) -> PageResult<Response> {
    let own_password = form.own_password.as_ref().map(|password| password.as_str());
    let error = match require_recent_password(&state, &user, &headers, own_password).await? {
        Ok(()) => match form.submit(&state, &user).await {
            Ok(None) => return Ok(see_other("/admin/users?done=added")),
            Ok(Some(invited)) => return show_link(&user, &state, &invited),
            Err(error) => FormError::from_error(error)?,
        },
        Err(error) => error,
    };
    let page = NewUserPage { error: Some(&error), ..new_page(&user, &state) };
    render_with_status(error.status, &form.fill(page))
}
