//! The settings of the workspace, by the labels of the original.

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
    routing::get,
};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{
    domain::setting::{Key, Kind, TokenMinted, Value},
    service::Refusal,
    web::{
        error::{PageError, PageResult, see_other},
        extract::{Asked, Posted},
        format::When,
        layout::{Frame, Place, show, show_as},
        messages::{self, Problem},
        reauth::prove,
        session_user::AdminVisitor,
        state::Site,
    },
};

pub(super) fn routes() -> Router<Site> {
    Router::new().route("/admin/settings", get(list)).route("/admin/settings/{key}", get(ask).post(save))
}

struct SettingChange {
    at: When,
    by: String,
}

struct SettingRow {
    key: &'static str,
    label: &'static str,
    help: &'static str,
    value: String,
    is_default: bool,
    change: Option<SettingChange>,
}

#[derive(Template)]
#[template(path = "admin/settings.html")]
struct SettingsPage<'a> {
    frame: Frame,
    workspace: &'a str,
    rows: Vec<SettingRow>,
}

#[derive(Default, Deserialize)]
struct Ask {
    done: Option<String>,
}

async fn list(visitor: AdminVisitor, State(site): State<Site>, Asked(ask): Asked<Ask>) -> PageResult<Response> {
    let set = site.workspaces.settings(visitor.person.workspace_id, None).await?;
    let administrator = visitor.actor();
    let mut rows = Vec::with_capacity(set.len());
    for (key, value) in set {
        let change = site.events.last_change(&administrator, key).await?;
        rows.push(SettingRow {
            key: key.as_str(),
            label: key.label(),
            help: key.help(),
            value: in_words(value.unwrap_or_else(|| site.workspaces.defaults().get(key))),
            is_default: value.is_none(),
            change: change.map(|event| SettingChange { at: When(event.act.at), by: event.act.name }),
        });
    }
    show(&SettingsPage {
        frame: visitor.frame(Place::Settings).after(ask.done.as_deref()),
        workspace: &visitor.workspace_name,
        rows,
    })
}

/// A value as people say it.
fn in_words(value: Value) -> String {
    match value {
        Value::Switch(true) => "Enabled".to_owned(),
        Value::Switch(false) => "Disabled".to_owned(),
        Value::Days(-1) => "Unlimited".to_owned(),
        Value::Days(1) => "1 day".to_owned(),
        Value::Days(days) => format!("{days} days"),
        Value::Minted(TokenMinted::Allowed) => "Allowed".to_owned(),
        Value::Minted(TokenMinted::Bounded) => "No longer than the token that makes them".to_owned(),
        Value::Minted(TokenMinted::Forbidden) => "Forbidden".to_owned(),
    }
}

fn choices(kind: Kind) -> Vec<(String, String)> {
    let values = match kind {
        Kind::Switch => [true, false].map(Value::Switch).to_vec(),
        Kind::Minted => TokenMinted::ALL.map(Value::Minted).to_vec(),
        Kind::Days => Vec::new(),
    };
    values.into_iter().map(|value| (value.to_text(), in_words(value))).collect()
}

#[derive(Template)]
#[template(path = "admin/setting.html")]
struct SettingPage<'a> {
    frame: Frame,
    problem: Option<&'a str>,
    key: &'static str,
    label: &'static str,
    help: &'static str,
    kind: Kind,
    /// The values to choose from, as they are stored and as people say them.
    choices: Vec<(String, String)>,
    default: String,
    chosen: &'a str,
    days: &'a str,
    shown_days: &'a str,
    warning: Option<String>,
    needs_proof: bool,
}

#[derive(Deserialize)]
struct SettingForm {
    #[serde(default)]
    value: String,
    #[serde(default)]
    days: String,
    /// What the field held when the page was shown.
    #[serde(default)]
    shown_days: String,
    own_password: Option<Zeroizing<String>>,
}

/// A setting named in the path.
fn key_of(text: &str) -> PageResult<Key> {
    Key::parse(text).map_err(|_| PageError::not_found())
}

async fn page<'a>(
    visitor: &AdminVisitor,
    site: &Site,
    key: Key,
    form: &'a SettingForm,
    problem: Option<&'a str>,
) -> PageResult<SettingPage<'a>> {
    Ok(SettingPage {
        frame: visitor.frame(Place::Settings),
        problem,
        key: key.as_str(),
        label: key.label(),
        help: key.help(),
        kind: key.kind(),
        choices: choices(key.kind()),
        default: in_words(site.workspaces.defaults().get(key)),
        chosen: &form.value,
        days: &form.days,
        shown_days: &form.shown_days,
        warning: warning(visitor, site, key).await?,
        needs_proof: visitor.needs_proof(),
    })
}

/// What happens at once where the feature is switched off.
async fn warning(visitor: &AdminVisitor, site: &Site, key: Key) -> PageResult<Option<String>> {
    if key != Key::Enabled {
        return Ok(None);
    }
    let holders = site.tokens.holders(&visitor.actor(), None).await?;
    Ok(match (holders.people, holders.tokens) {
        (_, 0) => Some("If you disable it: nobody has an active token now, so nothing stops.".to_owned()),
        (1, 1) => Some("If you disable it, 1 person’s token stops now.".to_owned()),
        (1, tokens) => Some(format!("If you disable it, 1 person’s {tokens} tokens stop now.")),
        (people, tokens) => Some(format!("If you disable it, {people} people’s tokens stop now, {tokens} in all.")),
    })
}

async fn ask(visitor: AdminVisitor, State(site): State<Site>, Path(key): Path<String>) -> PageResult<Response> {
    let key = key_of(&key)?;
    let set = site.workspaces.settings(visitor.person.workspace_id, Some(key.as_str())).await?;
    let value = set.into_iter().find_map(|(_, value)| value);
    let (value, days) = match value {
        None => ("default".to_owned(), String::new()),
        Some(Value::Days(days)) => ("custom".to_owned(), days.to_string()),
        Some(value) => (value.to_text(), String::new()),
    };
    let form = SettingForm { value, shown_days: days.clone(), days, own_password: None };
    show(&page(&visitor, &site, key, &form, None).await?)
}

impl SettingForm {
    /// What the setting is to be; none puts it back to its default.
    fn value(&self, key: Key) -> Result<Option<Value>, Problem> {
        let days = self.days.trim();
        let is_touched = !days.is_empty() && days != self.shown_days;
        let checked = match (self.value.as_str(), key.kind()) {
            ("default", Kind::Days) if is_touched => {
                return Err(Problem::new(format!("You wrote {days} days, but chose Default. Choose one of the two.")));
            }
            ("default", _) => return Ok(None),
            ("true", Kind::Switch) => key.switch(true),
            ("false", Kind::Switch) => key.switch(false),
            (word, Kind::Minted) => key.word(word),
            ("custom", Kind::Days) => days.parse().map_err(|_| key.refused()).and_then(|days| key.days(days)),
            _ => Err(key.refused()),
        };
        checked.map(Some).map_err(|invalid| Problem::new(messages::of_invalid(&invalid)))
    }
}

async fn save(
    visitor: AdminVisitor,
    State(site): State<Site>,
    headers: HeaderMap,
    Path(key): Path<String>,
    Posted(form): Posted<SettingForm>,
) -> PageResult<Response> {
    let key = key_of(&key)?;
    let own_password = form.own_password.as_ref().map(|password| password.as_str());
    let problem = match prove(&site, &visitor, &headers, own_password).await? {
        Ok(()) => match form.value(key) {
            Ok(value) => match set(&visitor, &site, key, value).await {
                Ok(()) => return Ok(see_other("/admin/settings?done=setting")),
                Err(refusal) => Problem::of(refusal)?,
            },
            Err(problem) => problem,
        },
        Err(problem) => problem,
    };
    show_as(problem.status, &page(&visitor, &site, key, &form, Some(&problem.text)).await?)
}

async fn set(visitor: &AdminVisitor, site: &Site, key: Key, value: Option<Value>) -> Result<(), Refusal> {
    let (by, workspace_id) = (visitor.actor(), visitor.person.workspace_id);
    match value {
        Some(value) => site.workspaces.set(&by, workspace_id, &[(key, value)]).await.map(|_| ()),
        None => site.workspaces.reset(&by, workspace_id, &[key.as_str().to_owned()]).await.map(|_| ()),
    }
}
