//! The people of the workspace: looking through them, adding one.

use askama::Template;
use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    domain::person::{EmailKey, Person, TokenAccess},
    service::people::{Add, By, Member, MemberFilter, Start},
    web::{
        error::{PageResult, see_other},
        extract::{Asked, Posted, is_ticked},
        format::{When, shown},
        layout::{Frame, Place, show, show_as},
        messages::Problem,
        pagination::{Pager, Part, ROWS, path},
        reauth::prove,
        session_user::AdminVisitor,
        state::Site,
    },
};

const PLACE: &str = "/admin/users";

pub(super) fn routes() -> Router<Site> {
    Router::new().route(PLACE, get(list)).route("/admin/users/new", get(ask_new).post(add))
}

/// Which people an administrator wants to see.
#[derive(Default, Deserialize, Serialize)]
struct UserQuery {
    search: Option<String>,
    status: Option<String>,
    #[serde(skip_serializing)]
    after: Option<String>,
    #[serde(skip_serializing)]
    before: Option<String>,
    #[serde(skip_serializing)]
    done: Option<String>,
}

impl UserQuery {
    fn filter(&self) -> MemberFilter {
        let (is_disabled, is_admin) = match self.status.as_deref() {
            Some("active") => (Some(false), None),
            Some("disabled") => (Some(true), None),
            Some("administrators") => (None, Some(true)),
            _ => (None, None),
        };
        let search = self.search.as_deref().map(|text| text.trim().chars().take(255).collect());
        MemberFilter { search, is_disabled, is_admin }
    }

    fn statuses(&self) -> [(&'static str, &'static str, bool); 4] {
        let chosen = self.status.as_deref().unwrap_or_default();
        [("", "All"), ("active", "Active"), ("disabled", "Disabled"), ("administrators", "Administrators")]
            .map(|(value, word)| (value, word, value == chosen))
    }
}

struct UserRow {
    id: i64,
    shown: String,
    email: String,
    is_disabled: bool,
    role: &'static str,
    token_access: &'static str,
    active_tokens: i64,
    last_login: Option<When>,
}

impl From<Member> for UserRow {
    fn from(Member { person, active_tokens }: Member) -> Self {
        Self {
            id: person.id,
            shown: shown(&person.name, &person.email).to_owned(),
            is_disabled: person.is_disabled,
            role: role(&person),
            token_access: access(person.token_access),
            active_tokens,
            last_login: person.last_login_at.map(When),
            email: person.email,
        }
    }
}

/// What a person is in the workspace.
fn role(person: &Person) -> &'static str {
    match (person.is_admin, person.manages_workspaces()) {
        (_, true) => "Platform administrator",
        (true, false) => "Administrator",
        (false, false) => "User",
    }
}

fn access(access: TokenAccess) -> &'static str {
    match access {
        TokenAccess::Default => "Default",
        TokenAccess::Enabled => "Enabled",
        TokenAccess::Disabled => "Disabled",
    }
}

#[derive(Template)]
#[template(path = "admin/users.html")]
struct UsersPage<'a> {
    frame: Frame,
    workspace: &'a str,
    rows: Vec<UserRow>,
    pager: Pager,
    search: &'a str,
    statuses: [(&'static str, &'static str, bool); 4],
}

async fn list(visitor: AdminVisitor, State(site): State<Site>, Asked(query): Asked<UserQuery>) -> PageResult<Response> {
    let part = Part::of(query.after.as_deref().map(EmailKey::of), query.before.as_deref().map(EmailKey::of));
    let start = match &part {
        Part::First => Start::default(),
        Part::After(key) => Start::After(key.clone()),
        Part::Before(key) => Start::Before(key.clone()),
    };
    let limit = i64::try_from(ROWS + 1).unwrap_or(i64::MAX);
    let mut members = site.people.members(&visitor.actor(), &query.filter(), &start, limit).await?;
    let mark = |member: &Member| EmailKey::of(&member.person.email).as_str().to_owned();
    let pager = part.cut(&mut members, mark, |direction, mark| path(PLACE, &query, direction, &mark));
    show(&UsersPage {
        frame: visitor.frame(Place::Users).after(query.done.as_deref()),
        workspace: &visitor.workspace_name,
        rows: members.into_iter().map(UserRow::from).collect(),
        pager,
        search: query.search.as_deref().unwrap_or_default(),
        statuses: query.statuses(),
    })
}

#[derive(Template)]
#[template(path = "admin/new_user.html")]
struct NewUserPage<'a> {
    frame: Frame,
    problem: Option<&'a str>,
    email: &'a str,
    name: &'a str,
    must_change: bool,
    is_admin: bool,
    min_chars: usize,
    needs_proof: bool,
}

#[derive(Deserialize)]
struct NewUserForm {
    #[serde(default)]
    email: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: Zeroizing<String>,
    must_change: Option<String>,
    is_admin: Option<String>,
    own_password: Option<Zeroizing<String>>,
}

fn new_page<'a>(visitor: &AdminVisitor, site: &Site) -> NewUserPage<'a> {
    NewUserPage {
        frame: visitor.frame(Place::Users),
        problem: None,
        email: "",
        name: "",
        must_change: true,
        is_admin: false,
        min_chars: site.passwords.0,
        needs_proof: visitor.needs_proof(),
    }
}

async fn ask_new(visitor: AdminVisitor, State(site): State<Site>) -> PageResult<Response> {
    show(&new_page(&visitor, &site))
}

async fn add(
    visitor: AdminVisitor,
    State(site): State<Site>,
    headers: HeaderMap,
    Posted(form): Posted<NewUserForm>,
) -> PageResult<Response> {
    let add = Add {
        email: &form.email,
        name: &form.name,
        password: &form.password,
        is_admin: is_ticked(form.is_admin.as_ref()),
        is_platform_admin: false,
        force_password_change: is_ticked(form.must_change.as_ref()),
    };
    let own_password = form.own_password.as_ref().map(|password| password.as_str());
    let problem = match prove(&site, &visitor, &headers, own_password).await? {
        Ok(()) => match site.people.add(By::Person(&visitor.actor()), visitor.person.workspace_id, add).await {
            Ok(_) => return Ok(see_other("/admin/users?done=added")),
            Err(refusal) => Problem::of(refusal)?,
        },
        Err(problem) => problem,
    };
    let page = NewUserPage {
        problem: Some(&problem.text),
        email: &form.email,
        name: &form.name,
        must_change: is_ticked(form.must_change.as_ref()),
        is_admin: is_ticked(form.is_admin.as_ref()),
        ..new_page(&visitor, &site)
    };
    show_as(problem.status, &page)
}
