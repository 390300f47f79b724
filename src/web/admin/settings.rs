//! The settings of the workspace, labeled as in the user manual.

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

use super::setting_preview::{Preview, has_preview, preview};
use crate::{
    domain::{
        scope_catalog::ScopeCatalog,
        setting::{ChildTokenPolicy, SettingKey, SettingKind, SettingValue},
    },
    service::Error,
    web::{
        draft::Draft,
        error::{PageError, PageResult, see_other},
        extract::{LenientQuery, PageForm},
        form_error::FormError,
        format::DisplayTime,
        layout::{Layout, NavItem, render, render_with_status},
        messages,
        reauth::{Reauth, require_recent_password},
        session_user::AdminUser,
        state::WebState,
    },
};

/// The option for no maximum.
const UNLIMITED: &str = "unlimited";

pub(super) fn routes() -> Router<WebState> {
    Router::new().route("/admin/settings", get(list)).route("/admin/settings/{key}", get(show_form).post(save))
}

struct SettingChange {
    at: DisplayTime,
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
    layout: Layout,
    workspace: &'a str,
    rows: Vec<SettingRow>,
}

#[derive(Default, Deserialize)]
struct SettingsQuery {
    done: Option<String>,
}

async fn list(
    user: AdminUser,
    State(state): State<WebState>,
    LenientQuery(query): LenientQuery<SettingsQuery>,
) -> PageResult<Response> {
    let settings = state.workspaces.list_settings(user.person.workspace_id, None).await?;
    let administrator = user.actor();
    let mut rows = Vec::with_capacity(settings.len());
    for (key, value) in settings {
        let change = state.events.last_setting_change(&administrator, key).await?;
        rows.push(SettingRow {
            key: key.as_str(),
            label: key.label(),
            help: key.help(),
            is_default: value.is_none(),
            value: display_value(value.unwrap_or_else(|| state.workspaces.defaults().get(key))),
            change: change
                .map(|event| SettingChange { at: DisplayTime(event.context.at), by: event.context.actor_name }),
        });
    }
    render(&SettingsPage {
        layout: user.layout(NavItem::Settings).with_notice(query.done.as_deref()),
        workspace: &user.workspace_name,
        rows,
    })
}

/// Returns the label of a value.
fn display_value(value: SettingValue) -> String {
    match value {
        SettingValue::Switch(true) => "Enabled".to_owned(),
        SettingValue::Switch(false) => "Disabled".to_owned(),
        SettingValue::Days(-1) => "Unlimited".to_owned(),
        SettingValue::DayList(days) => days.to_string(),
        SettingValue::ScopeCatalog(catalog) => match catalog.scopes() {
            [] => "Any".to_owned(),
            [scope] => scope.name.clone(),
            scopes => format!("{} scopes", scopes.len()),
        },
        SettingValue::Days(1) => "1 day".to_owned(),
        SettingValue::Days(days) => format!("{days} days"),
        SettingValue::ChildTokenPolicy(ChildTokenPolicy::Allowed) => "Yes".to_owned(),
        SettingValue::ChildTokenPolicy(ChildTokenPolicy::WithinParent) => "Yes, but none that outlives it".to_owned(),
        SettingValue::ChildTokenPolicy(ChildTokenPolicy::Forbidden) => {
            "No, only by password or in the browser".to_owned()
        }
    }
}

fn choices(kind: SettingKind) -> Vec<(String, String)> {
    let values = match kind {
        SettingKind::Switch => [true, false].map(SettingValue::Switch).to_vec(),
        SettingKind::ChildTokenPolicy => ChildTokenPolicy::ALL.map(SettingValue::ChildTokenPolicy).to_vec(),
        SettingKind::DayList | SettingKind::ScopeCatalog => return Vec::new(),
        SettingKind::Days => return vec![(UNLIMITED.to_owned(), "Unlimited".to_owned())],
    };
    values.into_iter().map(|value| (value.to_text(), display_value(value))).collect()
}

#[derive(Template)]
#[template(path = "admin/setting.html")]
struct SettingPage<'a> {
    layout: Layout,
    error: Option<&'a FormError>,
    key: &'static str,
    label: &'static str,
    help: &'static str,
    kind: SettingKind,
    /// The options: stored value and label.
    choices: Vec<(String, String)>,
    /// The default value, unless it is in effect.
    default: Option<String>,
    selected: &'a str,
    days: &'a str,
    shown_days: &'a str,
    warning: Option<String>,
    has_preview: bool,
    /// The effect of the entered value.
    preview: Option<Preview>,
    reauth: Reauth,
}

#[derive(Deserialize)]
struct SettingForm {
    #[serde(default)]
    value: String,
    /// Resets the setting to its default.
    reset: Option<String>,
    /// Shows the effect of the value, and changes nothing.
    preview: Option<String>,
    #[serde(default)]
    days: String,
    /// The initial content of the field `days`.
    #[serde(default)]
    shown_days: String,
    own_password: Option<Zeroizing<String>>,
}

/// Parses the key of a setting in the path.
fn parse_key(text: &str) -> PageResult<SettingKey> {
    SettingKey::parse(text).map_err(|_| PageError::not_found())
}

async fn page<'a>(
    user: &AdminUser,
    state: &WebState,
    key: SettingKey,
    form: &'a SettingForm,
    error: Option<&'a FormError>,
) -> PageResult<SettingPage<'a>> {
    let settings = state.workspaces.list_settings(user.person.workspace_id, Some(key.as_str())).await?;
    let is_set = settings.iter().any(|(_, value)| value.is_some());
    Ok(SettingPage {
        layout: user.layout(NavItem::Settings),
        error,
        key: key.as_str(),
        label: key.label(),
        help: key.help(),
        kind: key.kind(),
        choices: choices(key.kind()),
        default: is_set.then(|| display_value(state.workspaces.defaults().get(key))),
        selected: &form.value,
        days: &form.days,
        shown_days: &form.shown_days,
        warning: warning(user, state, key).await?,
        has_preview: has_preview(key),
        preview: None,
        reauth: user.reauth(),
    })
}

/// Returns the effect of switching the feature off, where it can be switched off.
async fn warning(user: &AdminUser, state: &WebState, key: SettingKey) -> PageResult<Option<String>> {
    if key != SettingKey::Enabled {
        return Ok(None);
    }
    let counts = state.tokens.count_holders(&user.actor(), None).await?;
    Ok(match (counts.people, counts.tokens) {
        (_, 0) => Some("There are no active tokens, so disabling this affects no one.".to_owned()),
        (1, 1) => Some("If you disable this, 1 token of 1 person stops working immediately.".to_owned()),
        (1, tokens) => Some(format!("If you disable this, {tokens} tokens of 1 person stop working immediately.")),
        (people, tokens) => {
            Some(format!("If you disable this, {tokens} tokens of {people} people stop working immediately."))
        }
    })
}

async fn show_form(
    user: AdminUser,
    State(state): State<WebState>,
    Path(key): Path<String>,
    draft: Draft,
) -> PageResult<Response> {
    let key = parse_key(&key)?;
    let settings = state.workspaces.list_settings(user.person.workspace_id, Some(key.as_str())).await?;
    let value = settings.into_iter().find_map(|(_, value)| value);
    let (value, days) = match value.unwrap_or_else(|| state.workspaces.defaults().get(key)) {
        SettingValue::Days(-1) => (UNLIMITED.to_owned(), String::new()),
        SettingValue::Days(days) => ("custom".to_owned(), days.to_string()),
        SettingValue::ScopeCatalog(catalog) => (catalog.to_lines(), String::new()),
        value => (value.to_text(), String::new()),
    };
    let form = SettingForm { value, reset: None, preview: None, shown_days: days.clone(), days, own_password: None };
    let restored = draft.form::<SettingForm>().map(|restored| SettingForm { shown_days: days_of(&form), ..restored });
    let page = page(&user, &state, key, restored.as_ref().unwrap_or(&form), None).await?;
    render(&SettingPage { layout: user.layout(NavItem::Settings).with_restored_text(restored.is_some()), ..page })
}

fn days_of(form: &SettingForm) -> String {
    form.days.clone()
}

impl SettingForm {
    /// Returns the new value, or `None` for the default.
    fn parse_value(&self, key: SettingKey) -> Result<Option<SettingValue>, FormError> {
        if self.reset.is_some() {
            return Ok(None);
        }
        let days = self.days.trim();
        let is_edited = !days.is_empty() && days != self.shown_days;
        let value = match (self.value.as_str(), key.kind()) {
            (UNLIMITED, SettingKind::Days) if is_edited => {
                let message = format!("You entered {days} days, but chose Unlimited. Choose one of the two.");
                return Err(FormError::of_field("days", message));
            }
            (UNLIMITED, SettingKind::Days) => key.validate_days(-1),
            ("true", SettingKind::Switch) => key.validate_switch(true),
            ("false", SettingKind::Switch) => key.validate_switch(false),
            (policy, SettingKind::ChildTokenPolicy) => key.validate_word(policy),
            (lines, SettingKind::ScopeCatalog) => ScopeCatalog::parse_lines(lines).map(SettingValue::ScopeCatalog),
            (list, SettingKind::DayList) => key.parse_value(list).ok_or(key.invalid_value()),
            ("custom", SettingKind::Days) => {
                days.parse().map_err(|_| key.invalid_value()).and_then(|days| key.validate_days(days))
            }
            _ => Err(key.invalid_value()),
        };
        value.map(Some).map_err(|invalid| FormError::of_field("days", messages::for_invalid(&invalid)))
    }
}

async fn save(
    user: AdminUser,
    State(state): State<WebState>,
    headers: HeaderMap,
    Path(key): Path<String>,
    PageForm(form): PageForm<SettingForm>,
) -> PageResult<Response> {
    let key = parse_key(&key)?;
    if form.preview.is_some() {
        return show_preview(&user, &state, key, &form).await;
    }
    let own_password = form.own_password.as_ref().map(|password| password.as_str());
    let error = match require_recent_password(&state, &user, &headers, own_password).await? {
        Ok(()) => match form.parse_value(key) {
            Ok(value) => match apply(&user, &state, key, value).await {
                Ok(()) => return Ok(see_other("/admin/settings?done=setting")),
                Err(error) => FormError::from_error(error)?,
            },
            Err(error) => error,
        },
        Err(error) => error,
    };
    render_with_status(error.status, &page(&user, &state, key, &form, Some(&error)).await?)
}

/// Shows the form with the effect of the entered value.
async fn show_preview(user: &AdminUser, state: &WebState, key: SettingKey, form: &SettingForm) -> PageResult<Response> {
    match form.parse_value(key) {
        Ok(Some(value)) if has_preview(key) => {
            let preview = Some(preview(user, state, key, &value).await?);
            render(&SettingPage { preview, ..page(user, state, key, form, None).await? })
        }
        Ok(_) => render(&page(user, state, key, form, None).await?),
        Err(error) => render_with_status(error.status, &page(user, state, key, form, Some(&error)).await?),
    }
}

async fn apply(user: &AdminUser, state: &WebState, key: SettingKey, value: Option<SettingValue>) -> Result<(), Error> {
    let actor = user.actor();
    let workspace_id = user.person.workspace_id;
    match value {
        Some(value) => state.workspaces.update_settings(&actor, workspace_id, &[(key, value)]).await.map(|_| ()),
        None => state.workspaces.reset_settings(&actor, workspace_id, &[key.as_str().to_owned()]).await.map(|_| ()),
    }
}
