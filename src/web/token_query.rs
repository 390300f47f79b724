//! The query string of a token list: filter, order and page.

use serde::{Deserialize, Serialize};

use super::{
    error::PageResult,
    pagination::{PageRequest, path_with_fields},
};
use crate::{
    domain::{
        time::Timestamp,
        token::TokenStatus,
        token_filter::{TimeRange, TokenFilter},
        token_query::{Cursor, Sort, SortKey},
    },
    http::cursor,
    service::tokens::TokenStatusCounts,
};

/// The query string of a token list: filter, order, cursors and notice.
#[derive(Clone, Default, Deserialize, Serialize)]
pub(super) struct TokenQuery {
    pub search: Option<String>,
    pub status: Option<String>,
    pub unused_since: Option<String>,
    /// `never`: only tokens that were never used.
    pub used: Option<String>,
    /// The number of days within which the token expires.
    pub expires_within: Option<String>,
    pub person: Option<String>,
    pub sort: Option<String>,
    #[serde(skip_serializing)]
    pub after: Option<String>,
    #[serde(skip_serializing)]
    pub before: Option<String>,
    /// The number of the first row of the page.
    #[serde(skip_serializing)]
    pub from: Option<String>,
    #[serde(skip_serializing)]
    pub done: Option<String>,
    /// The token that the notice is about.
    #[serde(skip_serializing)]
    pub token: Option<String>,
}

/// A tab of the list: the tokens of one status.
pub(super) struct StatusTab {
    pub label: &'static str,
    pub path: String,
    pub count: i64,
    pub is_current: bool,
}

/// A column by which the list can be sorted.
pub(super) struct SortColumn {
    pub label: &'static str,
    pub path: String,
    /// The value of `aria-sort` if the list is sorted by this column.
    pub direction: Option<&'static str>,
}

/// An option of the filter by expiry.
pub(super) struct ExpiryOption {
    pub days: i64,
    pub is_selected: bool,
}

/// The options of the filter by expiry, in days.
const EXPIRY_DAYS: [i64; 3] = [7, 30, 90];

/// The columns that can be sorted: name in the query string, label, key, and whether the first
/// selection sorts in descending order.
const COLUMNS: [(&str, &str, SortKey, bool); 4] = [
    ("description", "Description", SortKey::Description, false),
    ("expires", "Expires", SortKey::ExpiresAt, false),
    ("used", "Last Used", SortKey::LastUsedAt, true),
    ("created", "Created", SortKey::CreatedAt, true),
];
const NEWEST_FIRST: Sort = Sort { key: SortKey::CreatedAt, descending: true };

impl TokenQuery {
    /// Returns whether a filter beside the status is set.
    pub(super) fn is_filtered(&self) -> bool {
        let is_set = |field: &Option<String>| field.as_ref().is_some_and(|text| !text.trim().is_empty());
        is_set(&self.search) || self.unused_since().is_some() || self.never_used() || self.expires_within().is_some()
    }

    /// Returns whether the list has only a part of the tokens: a filter is set, or the status is not
    /// the default.
    pub(super) fn is_selection(&self) -> bool {
        self.is_filtered() || self.status() == TokenStatus::Expired
    }

    /// Returns whether every field that is set has a meaning. Lists ignore invalid fields; a deletion
    /// without them would delete more than was asked for.
    pub(super) fn is_exact(&self) -> bool {
        let is_empty = |field: &Option<String>| field.as_deref().unwrap_or_default().is_empty();
        let is_one_of = |field: &Option<String>, words: &[&str]| words.contains(&field.as_deref().unwrap_or_default());
        (is_empty(&self.unused_since) || self.unused_since().is_some())
            && (is_empty(&self.expires_within) || self.expires_within().is_some())
            && is_one_of(&self.used, &["", "never"])
            && is_one_of(&self.status, &["", "active", "expired"])
            && self.person.as_deref().is_none_or(|person| person.is_empty() || person.parse::<i64>().is_ok())
            && self.search().chars().count() <= 255
    }

    pub(super) fn never_used(&self) -> bool {
        self.used.as_deref() == Some("never")
    }

    fn expires_within(&self) -> Option<i64> {
        let days = self.expires_within.as_deref()?.parse().ok();
        days.filter(|days| EXPIRY_DAYS.contains(days))
    }

    pub(super) fn expiry_options(&self) -> [ExpiryOption; 3] {
        EXPIRY_DAYS.map(|days| ExpiryOption { days, is_selected: self.expires_within() == Some(days) })
    }

    pub(super) fn search(&self) -> &str {
        self.search.as_deref().unwrap_or_default()
    }

    /// Returns the date since which tokens are unused, if it is valid.
    pub(super) fn unused_since(&self) -> Option<&str> {
        self.unused_since.as_deref().filter(|text| Timestamp::parse_date(text).is_some())
    }

    /// Returns the status of the selected tab.
    pub(super) fn status(&self) -> TokenStatus {
        if self.status.as_deref() == Some("expired") { TokenStatus::Expired } else { TokenStatus::Active }
    }

    /// Returns the filter at a time, from which tokens expire soon.
    pub(super) fn filter(&self, now: Timestamp) -> TokenFilter {
        let search = self.search.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let search = search.map(|text| text.chars().take(255).collect());
        let unused_since = self.unused_since().and_then(Timestamp::parse_date);
        let expires = self.expires_within().map_or(TimeRange::default(), |days| TimeRange {
            after: Some(now),
            before: Some(now.plus_seconds(days * 86_400)),
        });
        let never_used = self.never_used().then_some(true);
        let status = Some(self.status());
        TokenFilter { status, expires, never_used, unused_since, search, ..TokenFilter::default() }
    }

    pub(super) fn sort(&self) -> Sort {
        let text = self.sort.as_deref().unwrap_or_default();
        let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        let column = COLUMNS.iter().find(|(column, ..)| *column == name);
        column.map_or(NEWEST_FIRST, |(_, _, key, _)| Sort { key: *key, descending })
    }

    pub(super) fn page_request(&self) -> PageResult<PageRequest<Cursor>> {
        let sort = self.sort();
        let parse = |encoded: &Option<String>| encoded.as_deref().map(|text| cursor::decode(text, sort)).transpose();
        Ok(PageRequest::from_cursors(parse(&self.after)?, parse(&self.before)?))
    }

    /// Returns the number of the first row that the link to this page named.
    pub(super) fn from(&self) -> Option<i64> {
        self.from.as_deref()?.parse().ok()
    }

    pub(super) fn tabs(&self, list_path: &str, counts: TokenStatusCounts) -> [StatusTab; 2] {
        let tab = |label, name, status, count| StatusTab {
            label,
            path: path_with_fields(list_path, self, &[("status", name)]),
            count,
            is_current: status == self.status(),
        };
        [
            tab("Active", "", TokenStatus::Active, counts.active),
            tab("Expired", "expired", TokenStatus::Expired, counts.expired),
        ]
    }

    pub(super) fn columns(&self, list_path: &str) -> [SortColumn; 4] {
        let sort = self.sort();
        COLUMNS.map(|(name, label, key, descends_first)| {
            let is_current = sort.key == key;
            let descending = if is_current { !sort.descending } else { descends_first };
            let value = format!("{}{name}", if descending { "-" } else { "" });
            let path = path_with_fields(list_path, self, &[("sort", &value)]);
            let direction = is_current.then_some(if sort.descending { "descending" } else { "ascending" });
            SortColumn { label, path, direction }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_sorted_in_its_usual_order_first_and_then_reversed() {
        let query = |sort: &str| TokenQuery { sort: Some(sort.to_owned()), ..TokenQuery::default() };
        let path = |sort: &str, column: usize| query(sort).columns("/t")[column].path.clone();
        assert_eq!([path("", 0), path("", 3)], ["/t?sort=description", "/t?sort=created"]);
        assert_eq!([path("description", 0), path("-description", 0)], ["/t?sort=-description", "/t?sort=description"]);
        assert_eq!(query("nonsense").sort(), NEWEST_FIRST);
        assert_eq!(query("used").columns("/t")[2].direction, Some("ascending"));
        assert_eq!(query("used").columns("/t")[3].direction, None);
    }

    #[test]
    fn tabs_keep_the_filter_and_drop_the_page() {
        let query = TokenQuery {
            search: Some("ci".to_owned()),
            status: Some("expired".to_owned()),
            after: Some("x".to_owned()),
            ..TokenQuery::default()
        };
        let [active, expired] = query.tabs("/t", TokenStatusCounts { active: 1, expired: 2 });
        assert_eq!([active.path, expired.path], ["/t?search=ci", "/t?search=ci&status=expired"]);
        assert!(!active.is_current && expired.is_current);
    }
}
