//! The tokens of everybody in the workspace.

use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};

use crate::{
    service::tokens::Reach,
    web::{
        error::{PageResult, see_other},
        extract::{Asked, Named},
        format::{Owner, State as TokenState, TokenRow},
        layout::{Frame, Place, show},
        pagination::Pager,
        session_user::AdminVisitor,
        state::Site,
        tokens::{DeletePage, TokenQuery, is_off, page_of},
    },
};

const PLACE: &str = "/admin/tokens";

pub(super) fn routes() -> Router<Site> {
    Router::new().route(PLACE, get(list)).route("/admin/tokens/{id}/delete", get(ask_delete).post(delete))
}

#[derive(Template)]
#[template(path = "admin/tokens.html")]
struct AllTokensPage<'a> {
    frame: Frame,
    workspace: &'a str,
    person: Option<Owner>,
    is_off: bool,
    rows: Vec<TokenRow>,
    pager: Pager,
    is_filtered: bool,
    search: &'a str,
    statuses: [(&'static str, &'static str, bool); 4],
    unused_since: &'a str,
}

async fn list(
    visitor: AdminVisitor,
    State(site): State<Site>,
    Asked(query): Asked<TokenQuery>,
) -> PageResult<Response> {
    let administrator = visitor.actor();
    let person = match query.person.as_deref().and_then(|text| text.parse().ok()) {
        Some(id) => Some(site.people.find(&administrator, id).await?),
        None => None,
    };
    let reach = Reach::Workspace { person_id: person.as_ref().map(|person| person.id) };
    let (rows, pager) = page_of(&site, &administrator, reach, &query, PLACE).await?;
    show(&AllTokensPage {
        frame: visitor.frame(Place::AllTokens).after(query.done.as_deref()),
        workspace: &visitor.workspace_name,
        person: person.map(|person| Owner { id: person.id, email: person.email }),
        is_off: is_off(&site, &administrator).await?,
        rows,
        pager,
        is_filtered: query.is_filtered(),
        search: query.search(),
        statuses: query.statuses(),
        unused_since: query.unused_since().unwrap_or_default(),
    })
}

async fn ask_delete(visitor: AdminVisitor, State(site): State<Site>, Named(id): Named) -> PageResult<Response> {
    let administrator = visitor.actor();
    let (token, status) = site.tokens.find(&administrator, id).await?;
    let owner = site.people.find(&administrator, token.person_id).await?;
    let is_blocked = !owner.may_use_tokens() || is_off(&site, &administrator).await?;
    let state = TokenState::of(&token, status, is_blocked, site.tokens.now());
    let row = TokenRow::new(token, state, Some(Owner { id: owner.id, email: owner.email }), PLACE);
    let frame = visitor.frame(Place::AllTokens);
    show(&DeletePage { frame, row, back: PLACE, back_word: "All tokens" })
}

async fn delete(visitor: AdminVisitor, State(site): State<Site>, Named(id): Named) -> PageResult<Response> {
    site.tokens.delete(&visitor.actor(), id).await?;
    Ok(see_other("/admin/tokens?done=deleted"))
}
