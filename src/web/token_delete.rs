//! Deleting one token: the confirmation page, and the way back to the list with its filter.

use askama::Template;
use axum::{http::HeaderMap, response::Response};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    error::{PageResult, see_other},
    format::{TokenRow, TokenState},
    layout::{Layout, NavItem, render},
    session_user::{SessionUser, referring_page},
    state::WebState,
    token_query::TokenQuery,
};
use crate::{
    domain::event::Action,
    service::events::{EventCriteria, EventPageStart, EventScope},
};
use tokenward_guard::Principal;

/// The confirmation page for deleting a token.
#[derive(Template)]
#[template(path = "delete_token.html")]
pub(super) struct DeleteTokenPage {
    pub layout: Layout,
    pub row: TokenRow,
    /// The name of the owner, if it is not the user.
    pub owner: Option<String>,
    /// The page that linked to this one, with its filter.
    pub back_path: String,
    pub back_label: String,
    /// The path to which the form is sent.
    pub action: String,
    /// The name and the value of the hidden field.
    pub field: (&'static str, String),
}

impl DeleteTokenPage {
    fn is_expired(&self) -> bool {
        self.row.state == TokenState::Expired
    }
}

/// The form of the confirmation page.
#[derive(Deserialize)]
pub(super) struct DeleteForm {
    #[serde(default)]
    back: String,
}

impl DeleteForm {
    /// Returns the path of the list with its filter and the notice of the deletion.
    fn list_with_notice(&self, list_path: &str, id: Uuid) -> String {
        let list = filtered_list(&self.back, list_path);
        let separator = if list.contains('?') { '&' } else { '?' };
        format!("{list}{separator}done=deleted&token={id}")
    }
}

/// Shows the confirmation page for a token of the list at `list_path`.
pub(super) fn show_confirmation(
    user: &SessionUser,
    headers: &HeaderMap,
    row: TokenRow,
    (nav_item, list_path): (NavItem, &str),
) -> PageResult<Response> {
    let back_label = if nav_item == NavItem::Tokens { "Access Tokens" } else { "All tokens" }.to_owned();
    let page = referring_page(headers);
    let back_path = filtered_list(page.as_ref().map_or("", |page| page.as_str()), list_path);
    render(&DeleteTokenPage {
        layout: user.layout(nav_item),
        owner: row.owner.as_ref().map(|owner| owner.email.clone()),
        action: format!("{}/delete", row.path),
        field: ("back", back_path.clone()),
        row,
        back_path,
        back_label,
    })
}

/// Deletes a token and returns to its list.
pub(super) async fn delete_token(
    user: &SessionUser,
    state: &WebState,
    id: Uuid,
    form: &DeleteForm,
    list_path: &str,
) -> PageResult<Response> {
    state.tokens.delete(&user.actor(), id).await?;
    Ok(see_other(&form.list_with_notice(list_path, id)))
}

/// Returns the path of the list with the query string of `path`, except for its notice. Ignores the
/// path of any other page.
fn filtered_list(path: &str, list_path: &str) -> String {
    let query = path.strip_prefix(list_path).and_then(|rest| rest.strip_prefix('?')).unwrap_or_default();
    let mut kept = form_urlencoded::Serializer::new(String::new());
    let is_filter = |name: &str| !matches!(name, "done" | "token");
    kept.extend_pairs(form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| is_filter(name)));
    match kept.finish() {
        query if query.is_empty() => list_path.to_owned(),
        query => format!("{list_path}?{query}"),
    }
}

/// Returns the notice that names a deleted token. The names come from the audit log, because the
/// token does not exist any more and an address could contain any text.
pub(super) async fn deletion_notice(
    state: &WebState,
    caller: &Principal,
    scope: EventScope,
    query: &TokenQuery,
) -> PageResult<Option<String>> {
    let id = query.token.as_deref().and_then(|text| Uuid::try_parse(text).ok());
    let Some(id) = id.filter(|_| query.done.as_deref() == Some("deleted")) else { return Ok(None) };
    let criteria = EventCriteria { action: Some(Action::TokenDeleted), token_id: Some(id), ..EventCriteria::default() };
    let events = state.events.list(caller, scope, criteria, EventPageStart::default(), 1).await?;
    Ok(events.first().filter(|event| event.target == id.to_string()).map(|event| {
        let description = event.details.0.get("description").and_then(|text| text.as_str()).unwrap_or_default();
        match description {
            "" => format!("Deleted {}…. It no longer works.", event.label),
            description => format!("Deleted “{description}” ({}…). It no longer works.", event.label),
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deletion_returns_to_the_same_list_only() {
        for (path, list) in [
            ("/admin/tokens?search=a%20b&done=saved", "/admin/tokens?search=a+b"),
            ("/admin/tokens?done=deleted&token=x", "/admin/tokens"),
            ("/admin/tokens", "/admin/tokens"),
            ("/admin/tokensx?search=a", "/admin/tokens"),
            ("//evil.example/admin/tokens?x=1", "/admin/tokens"),
            ("", "/admin/tokens"),
        ] {
            assert_eq!(filtered_list(path, "/admin/tokens"), list, "{path}");
        }
        let form = DeleteForm { back: "/admin/tokens?search=a\r\nx".to_owned() };
        let list = form.list_with_notice("/admin/tokens", Uuid::nil());
        assert_eq!(list, format!("/admin/tokens?search=a%0D%0Ax&done=deleted&token={}", Uuid::nil()));
    }
}
