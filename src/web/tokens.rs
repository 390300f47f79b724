//! A person's own tokens: looking at them, deleting one, deleting all.

use askama::Template;
use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    error::{PageResult, see_other},
    extract::{Asked, Named, Posted},
    format::{Owner, SOON_SECONDS, State as TokenState, TokenRow},
    layout::{Frame, Place, show, show_as},
    messages::{Problem, of_refusal},
    pagination::{Pager, Part, ROWS, path},
    reauth::prove,
    session_user::Visitor,
    state::Site,
};
use crate::{
    domain::{
        time::Timestamp,
        token::{Status, Token},
        token_query::{Cursor, Page, Sort, SortKey, Which},
    },
    http::cursor,
    service::{
        Refusal,
        tokens::{Listed, Reach},
    },
};
use tokenward_guard::Principal;

/// Where this list is.
pub(super) const PLACE: &str = "/preferences/access-tokens";
const NEWEST_FIRST: Sort = Sort { key: SortKey::CreatedAt, descending: true };
const OLDEST_FIRST: Sort = Sort { key: SortKey::CreatedAt, descending: false };

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route(PLACE, get(list))
        .route("/preferences", get(async || see_other(PLACE)))
        .route("/preferences/access-tokens/{id}/delete", get(ask_delete).post(delete))
        .route("/preferences/access-tokens/delete-all", get(ask_delete_all).post(delete_all))
}

/// Which tokens somebody wants to see, as it stands behind the question mark.
#[derive(Clone, Default, Deserialize, Serialize)]
pub(super) struct TokenQuery {
    pub search: Option<String>,
    pub status: Option<String>,
    pub unused_since: Option<String>,
    pub person: Option<String>,
    #[serde(skip_serializing)]
    pub after: Option<String>,
    #[serde(skip_serializing)]
    pub before: Option<String>,
    #[serde(skip_serializing)]
    pub done: Option<String>,
}

impl TokenQuery {
    /// Whether anything narrows the list.
    pub(super) fn is_filtered(&self) -> bool {
        [&self.search, &self.status, &self.unused_since]
            .into_iter()
            .any(|field| field.as_ref().is_some_and(|f| !f.is_empty()))
    }

    pub(super) fn search(&self) -> &str {
        self.search.as_deref().unwrap_or_default()
    }

    /// The day since which a token was not used, if it is one.
    pub(super) fn unused_since(&self) -> Option<&str> {
        self.unused_since.as_deref().filter(|text| Timestamp::of_day(text).is_some())
    }

    /// The choices of status: value, word, and whether it is the one chosen.
    pub(super) fn statuses(&self) -> [(&'static str, &'static str, bool); 4] {
        let chosen = self.status.as_deref().unwrap_or_default();
        [("", "All"), ("active", "Active"), ("soon", "Expires soon"), ("expired", "Expired")]
            .map(|(value, word)| (value, word, value == chosen))
    }

    pub(super) fn which(&self, now: Timestamp) -> Which {
        let (status, expires_by) = match self.status.as_deref() {
            Some("active") => (Some(Status::Active), None),
            Some("soon") => (Some(Status::Active), Some(now.plus_seconds(SOON_SECONDS))),
            Some("expired") => (Some(Status::Expired), None),
            _ => (None, None),
        };
        let search = self.search.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let search = search.map(|text| text.chars().take(255).collect());
        Which { status, expires_by, unused_since: self.unused_since().and_then(Timestamp::of_day), search }
    }

    fn part(&self) -> PageResult<Part<Cursor>> {
        let read = |mark: &Option<String>, sort| mark.as_deref().map(|text| cursor::read(text, sort)).transpose();
        Ok(Part::of(read(&self.after, NEWEST_FIRST)?, read(&self.before, NEWEST_FIRST)?))
    }
}

/// Whether the workspace has tokens switched off.
pub(super) async fn is_off(site: &Site, caller: &Principal) -> PageResult<bool> {
    match site.tokens.ensure_enabled(caller).await {
        Ok(()) => Ok(false),
        Err(Refusal::FeatureOff) => Ok(true),
        Err(refusal) => Err(refusal.into()),
    }
}

/// A page of a list of tokens, newest first.
pub(super) async fn page_of(
    site: &Site,
    caller: &Principal,
    reach: Reach,
    query: &TokenQuery,
    place: &str,
) -> PageResult<(Vec<TokenRow>, Pager)> {
    let part = query.part()?;
    let (sort, after) = match &part {
        Part::First => (NEWEST_FIRST, None),
        Part::After(mark) => (NEWEST_FIRST, Some(mark.clone())),
        Part::Before(mark) => (OLDEST_FIRST, Some(mark.clone())),
    };
    let page = Page { sort, limit: i64::try_from(ROWS + 1).ok(), offset: 0, after };
    let now = site.tokens.now();
    let is_off = is_off(site, caller).await?;
    let mut rows = site.tokens.list(caller, reach, query.which(now), &page).await?;
    if !page.sort.descending {
        rows.reverse();
    }
    let mark = |listed: &Listed| cursor::write(&Cursor::of(&listed.token, SortKey::CreatedAt), NEWEST_FIRST);
    let pager = part.cut(&mut rows, mark, |direction, mark| path(place, query, direction, &mark));
    let row = |listed: Listed| {
        let state = TokenState::of(&listed.token, listed.status, is_off || listed.is_blocked, now);
        let owner = Owner { id: listed.token.person_id, email: listed.email };
        TokenRow::new(listed.token, state, matches!(reach, Reach::Workspace { .. }).then_some(owner), place)
    };
    Ok((rows.into_iter().map(row).collect(), pager))
}

#[derive(Template)]
#[template(path = "tokens.html")]
struct ListPage<'a> {
    frame: Frame,
    is_off: bool,
    /// Why the visitor cannot generate.
    may_generate: Option<String>,
    /// Whom to ask for it.
    ask: String,
    rows: Vec<TokenRow>,
    pager: Pager,
    is_filtered: bool,
    search: &'a str,
    statuses: [(&'static str, &'static str, bool); 4],
}

async fn list(visitor: Visitor, State(site): State<Site>, Asked(query): Asked<TokenQuery>) -> PageResult<Response> {
    let refusal = site.tokens.may_issue(&visitor.person).await.err();
    let is_off = matches!(refusal, Some(Refusal::FeatureOff));
    let may_generate = match refusal {
        None => None,
        Some(refusal @ (Refusal::Unavailable(_) | Refusal::Bug(_) | Refusal::CallerGone)) => return Err(refusal.into()),
        Some(refusal) => Some(of_refusal(&refusal)),
    };
    let (rows, pager) =
        if is_off { Default::default() } else { page_of(&site, &visitor.actor(), Reach::Own, &query, PLACE).await? };
    let ask = match may_generate {
        None => String::new(),
        Some(_) => site.people.whom_to_ask(visitor.person.workspace_id).await?.join(" or "),
    };
    show(&ListPage {
        frame: visitor.frame(Place::Tokens).after(query.done.as_deref()),
        is_off,
        may_generate,
        ask,
        rows,
        pager,
        is_filtered: query.is_filtered(),
        search: query.search(),
        statuses: query.statuses(),
    })
}

/// The page that asks before a token is deleted.
#[derive(Template)]
#[template(path = "delete_token.html")]
pub(super) struct DeletePage {
    pub frame: Frame,
    pub row: TokenRow,
    pub back: &'static str,
    pub back_word: &'static str,
}

async fn ask_delete(visitor: Visitor, State(site): State<Site>, Named(id): Named) -> PageResult<Response> {
    let (token, status) = own(site.tokens.find(&visitor.actor(), id).await?, &visitor)?;
    let is_blocked = is_off(&site, &visitor.actor()).await? || !visitor.person.may_use_tokens();
    let state = TokenState::of(&token, status, is_blocked, site.tokens.now());
    let row = TokenRow::new(token, state, None, PLACE);
    let frame = visitor.frame(Place::Tokens);
    show(&DeletePage { frame, row, back: PLACE, back_word: "Access Tokens" })
}

/// An administrator reaches other people's tokens, but not among the own.
fn own((token, status): (Token, Status), visitor: &Visitor) -> PageResult<(Token, Status)> {
    if token.person_id == visitor.person.id { Ok((token, status)) } else { Err(Refusal::TokenNotFound.into()) }
}

async fn delete(visitor: Visitor, State(site): State<Site>, Named(id): Named) -> PageResult<Response> {
    let caller = visitor.actor();
    own(site.tokens.find(&caller, id).await?, &visitor)?;
    site.tokens.delete(&caller, id).await?;
    Ok(see_other("/preferences/access-tokens?done=deleted"))
}

/// The page that asks before all tokens of somebody are deleted.
#[derive(Template)]
#[template(path = "delete_all.html")]
pub(super) struct DeleteAllPage<'a> {
    pub frame: Frame,
    pub problem: Option<&'a str>,
    pub question: String,
    pub active: i64,
    pub action: String,
    pub back: String,
    pub back_word: &'a str,
    pub needs_proof: bool,
}

/// The password, where it is asked for again.
#[derive(Deserialize)]
pub(super) struct ProofForm {
    pub own_password: Option<Zeroizing<String>>,
}

impl ProofForm {
    pub(super) fn password(&self) -> Option<&str> {
        self.own_password.as_ref().map(|password| password.as_str())
    }
}

async fn delete_all_page<'a>(
    visitor: &'a Visitor,
    site: &Site,
    problem: Option<&'a str>,
) -> PageResult<DeleteAllPage<'a>> {
    let holders = site.tokens.holders(&visitor.actor(), Some(visitor.person.id)).await?;
    Ok(DeleteAllPage {
        frame: visitor.frame(Place::Tokens),
        problem,
        question: "Delete all your tokens?".to_owned(),
        active: holders.tokens,
        action: "/preferences/access-tokens/delete-all".to_owned(),
        back: PLACE.to_owned(),
        back_word: "Access Tokens",
        needs_proof: visitor.needs_proof(),
    })
}

async fn ask_delete_all(visitor: Visitor, State(site): State<Site>) -> PageResult<Response> {
    show(&delete_all_page(&visitor, &site, None).await?)
}

async fn delete_all(
    visitor: Visitor,
    State(site): State<Site>,
    headers: HeaderMap,
    Posted(form): Posted<ProofForm>,
) -> PageResult<Response> {
    match prove(&site, &visitor, &headers, form.password()).await? {
        Ok(()) => {
            site.tokens.delete_all(&visitor.actor(), visitor.person.id).await?;
            Ok(see_other("/preferences/access-tokens?done=all-deleted"))
        }
        Err(Problem { status, text }) => show_as(status, &delete_all_page(&visitor, &site, Some(&text)).await?),
    }
}
