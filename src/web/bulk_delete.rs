//! Deleting the tokens that a filtered list shows: the confirmation page, which asks for their number.

use askama::Template;
use axum::{http::HeaderMap, response::Response};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    error::{PageResult, see_other},
    form_error::FormError,
    layout::{Layout, NavItem, render, render_with_status},
    pagination::path_with_fields,
    reauth::{Reauth, require_recent_password},
    session_user::SessionUser,
    state::WebState,
    token_query::TokenQuery,
};
use crate::service::tokens::{BulkDeletion, MAX_BULK_DELETIONS, TokenScope};

/// The list whose rows are deleted: the navigation, its path and its label.
pub(super) struct BulkDeleteSection {
    pub nav_item: NavItem,
    pub list_path: &'static str,
    pub label: &'static str,
}

/// The confirmation page.
#[derive(Template)]
#[template(path = "delete_matching.html")]
struct BulkDeletePage<'a> {
    layout: Layout,
    error: Option<&'a FormError>,
    /// The number of tokens that match.
    matched: u64,
    max: i64,
    is_expired: bool,
    action: String,
    /// The filter, as hidden fields.
    fields: Vec<(&'static str, String)>,
    back_path: String,
    back_label: &'static str,
    reauth: Reauth,
}

impl BulkDeletePage<'_> {
    /// Returns whether one deletion does not delete all of them.
    fn exceeds_max(&self) -> bool {
        i64::try_from(self.matched).is_ok_and(|matched| matched > self.max)
    }
}

/// The form of the confirmation page: the filter, and the number of tokens that the user typed.
#[derive(Deserialize)]
pub(super) struct BulkDeleteForm {
    #[serde(default)]
    search: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    unused_since: String,
    #[serde(default)]
    used: String,
    #[serde(default)]
    expires_within: String,
    #[serde(default)]
    person: String,
    #[serde(default)]
    count: String,
    own_password: Option<Zeroizing<String>>,
}

impl BulkDeleteForm {
    /// Returns the filter.
    pub(super) fn query(&self) -> TokenQuery {
        let set = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        TokenQuery {
            search: set(&self.search),
            status: set(&self.status),
            unused_since: set(&self.unused_since),
            used: set(&self.used),
            expires_within: set(&self.expires_within),
            person: set(&self.person),
            ..TokenQuery::default()
        }
    }
}

/// Returns the filter as the fields of a form.
fn form_fields(query: &TokenQuery) -> Vec<(&'static str, String)> {
    let TokenQuery { search, status, unused_since, used, expires_within, person, .. } = query.clone();
    let fields = [
        ("search", search),
        ("status", status),
        ("unused_since", unused_since),
        ("used", used),
        ("expires_within", expires_within),
        ("person", person),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Shows the confirmation page. Without a filter, or with an invalid one, it returns to the list.
pub(super) async fn show_bulk_delete(
    user: &SessionUser,
    state: &WebState,
    scope: TokenScope,
    query: &TokenQuery,
    section: &BulkDeleteSection,
) -> PageResult<Response> {
    if !query.is_selection() || !query.is_exact() {
        return Ok(see_other(section.list_path));
    }
    let deletion = delete(user, state, scope, query, true).await?;
    render(&page(user, query, section, deletion.matched, None))
}

/// Deletes the rows if the number that the user typed is that of the matching tokens.
pub(super) async fn delete_rows(
    user: &SessionUser,
    state: &WebState,
    headers: &HeaderMap,
    scope: TokenScope,
    form: &BulkDeleteForm,
    section: &BulkDeleteSection,
) -> PageResult<Response> {
    let query = form.query();
    if !query.is_selection() || !query.is_exact() {
        return Ok(see_other(section.list_path));
    }
    let matched = delete(user, state, scope, &query, true).await?.matched;
    let own_password = form.own_password.as_ref().map(|password| password.as_str());
    let error = match require_recent_password(state, user, headers, own_password).await? {
        Ok(()) if form.count.trim().parse() == Ok(matched) => {
            let BulkDeletion { deleted, .. } = delete(user, state, scope, &query, false).await?;
            return Ok(see_other(&list_with_notice(section.list_path, &query, deleted)));
        }
        Ok(()) => FormError::of_field("count", format!("Type {matched}, the number of tokens, to delete them.")),
        Err(error) => error,
    };
    render_with_status(error.status, &page(user, &query, section, matched, Some(&error)))
}

async fn delete(
    user: &SessionUser,
    state: &WebState,
    scope: TokenScope,
    query: &TokenQuery,
    is_dry_run: bool,
) -> PageResult<BulkDeletion> {
    let filter = query.filter(state.tokens.now());
    Ok(state.tokens.delete_matching(&user.actor(), scope, filter, false, is_dry_run).await?)
}

fn page<'a>(
    user: &SessionUser,
    query: &TokenQuery,
    section: &BulkDeleteSection,
    matched: u64,
    error: Option<&'a FormError>,
) -> BulkDeletePage<'a> {
    BulkDeletePage {
        layout: user.layout(section.nav_item),
        error,
        matched,
        max: MAX_BULK_DELETIONS,
        is_expired: query.status.as_deref() == Some("expired"),
        action: format!("{}/delete-matching", section.list_path),
        fields: form_fields(query),
        back_path: path_with_fields(section.list_path, query, &[]),
        back_label: section.label,
        reauth: user.reauth(),
    }
}

/// Returns the path of the list with its filter and the notice.
fn list_with_notice(list_path: &str, query: &TokenQuery, deleted: u64) -> String {
    let done = format!("deleted-{deleted}");
    path_with_fields(list_path, query, &[("done", done.as_str())])
}

/// Returns the notice of a bulk deletion.
pub(super) fn deletion_count_notice(query: &TokenQuery) -> Option<String> {
    let count: u64 = query.done.as_deref()?.strip_prefix("deleted-")?.parse().ok()?;
    Some(match count {
        0 => "No token was deleted.".to_owned(),
        1 => "1 token was deleted. It no longer works.".to_owned(),
        count => format!("{count} tokens were deleted. They no longer work."),
    })
}
