//! Keyset pagination of long lists.

use serde::Serialize;

/// Rows per page.
pub(super) const PAGE_SIZE: usize = 50;

/// The paths of the previous and the next page of a list, and the position of this page.
#[derive(Debug, Default)]
pub(super) struct Pager {
    pub prev: Option<String>,
    pub next: Option<String>,
    /// Set if the length of the list is known.
    pub range: Option<PageRange>,
}

/// The position of a page in its list: the numbers of the first and the last row, starting from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageRange {
    pub first: i64,
    pub last: i64,
    pub count: i64,
}

impl PageRange {
    /// Creates the range of a page with `rows` rows. `first` comes from the link to the page. It is
    /// only displayed, and therefore only made plausible.
    pub(super) fn new(first: Option<i64>, rows: usize, count: i64) -> Option<Self> {
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let first = first.unwrap_or(1).clamp(1, (count - rows + 1).max(1));
        (rows > 0).then(|| Self { first, last: first + rows - 1, count: count.max(first + rows - 1) })
    }
}

impl Pager {
    pub(super) fn is_needed(&self) -> bool {
        self.prev.is_some() || self.next.is_some() || self.range.is_some()
    }

    /// Adds the position of the page, also to the links to the adjacent pages.
    pub(super) fn with_range(self, range: Option<PageRange>) -> Self {
        let Some(PageRange { first, last, .. }) = range else { return self };
        let page_rows = i64::try_from(PAGE_SIZE).unwrap_or(i64::MAX);
        let add = |path: String, from: i64| format!("{path}&from={from}");
        Self {
            prev: self.prev.map(|path| add(path, (first - page_rows).max(1))),
            next: self.next.map(|path| add(path, last + 1)),
            range,
        }
    }
}

/// The requested page of a list: the first, or the one after or before a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PageRequest<T> {
    First,
    After(T),
    Before(T),
}

impl<T> PageRequest<T> {
    /// Returns the page that the cursors of a query string request.
    pub(super) fn from_cursors(after: Option<T>, before: Option<T>) -> Self {
        match (after, before) {
            (Some(cursor), _) => Self::After(cursor),
            (None, Some(cursor)) => Self::Before(cursor),
            (None, None) => Self::First,
        }
    }

    /// Truncates `rows` to one page and returns the paths of the adjacent pages.
    ///
    /// The caller reads one row more than a page, and passes the rows in display order. `to_cursor`
    /// returns the cursor of a row, and `path` the path for a direction and a cursor.
    pub(super) fn split<R>(
        &self,
        rows: &mut Vec<R>,
        to_cursor: impl Fn(&R) -> String,
        path: impl Fn(&'static str, String) -> String,
    ) -> Pager {
        let has_more = rows.len() > PAGE_SIZE;
        if has_more && matches!(self, Self::Before(_)) {
            rows.drain(..rows.len() - PAGE_SIZE);
        } else {
            rows.truncate(PAGE_SIZE);
        }
        let (has_prev, has_next) = match self {
            Self::First => (false, has_more),
            Self::After(_) => (true, has_more),
            Self::Before(_) => (has_more, true),
        };
        let prev = rows.first().filter(|_| has_prev).map(|row| path("before", to_cursor(row)));
        let next = rows.last().filter(|_| has_next).map(|row| path("after", to_cursor(row)));
        Pager { prev, next, range: None }
    }
}

/// Returns the path of another page of a list. It keeps the non-empty `fields` of the query string.
pub(super) fn page_path(list_path: &str, fields: &impl Serialize, direction: &str, cursor: &str) -> String {
    path_with_fields(list_path, fields, &[(direction, cursor)])
}

/// Returns the path of a list with the non-empty `fields` of the query string. `changed` replaces
/// fields; an empty value removes the field.
pub(super) fn path_with_fields(list_path: &str, fields: &impl Serialize, changed: &[(&str, &str)]) -> String {
    let values = serde_json::to_value(fields).unwrap_or_default();
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in values.as_object().into_iter().flatten() {
        let is_changed = changed.iter().any(|(changed, _)| changed == name);
        if let Some(text) = value.as_str().filter(|text| !text.is_empty() && !is_changed) {
            query.append_pair(name, text);
        }
    }
    query.extend_pairs(changed.iter().filter(|(_, value)| !value.is_empty()));
    let query = query.finish();
    if query.is_empty() { list_path.to_owned() } else { format!("{list_path}?{query}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(request: &PageRequest<()>, rows: usize) -> (usize, Option<String>, Option<String>) {
        let mut rows: Vec<usize> = (0..rows).collect();
        let pager = request.split(&mut rows, ToString::to_string, |direction, cursor| format!("{direction}={cursor}"));
        (rows.len(), pager.prev, pager.next)
    }

    #[test]
    fn page_links_exist_only_where_there_are_more_rows() {
        let (before, after) = (|n: usize| Some(format!("before={n}")), |n: usize| Some(format!("after={n}")));
        assert_eq!(split(&PageRequest::First, 50), (50, None, None));
        assert_eq!(split(&PageRequest::First, 51), (50, None, after(49)));
        assert_eq!(split(&PageRequest::After(()), 51), (50, before(0), after(49)));
        assert_eq!(split(&PageRequest::After(()), 3), (3, before(0), None));
        assert_eq!(split(&PageRequest::Before(()), 51), (50, before(1), after(50)));
        assert_eq!(split(&PageRequest::Before(()), 50), (50, None, after(49)));
        assert_eq!(split(&PageRequest::After(()), 0), (0, None, None));
    }

    #[test]
    fn page_paths_keep_the_filters() {
        #[derive(Serialize)]
        struct Fields {
            search: Option<String>,
            status: Option<String>,
        }
        let fields = Fields { search: Some("a&b=c".into()), status: Some(String::new()) };
        assert_eq!(page_path("/x", &fields, "after", "m"), "/x?search=a%26b%3Dc&after=m");
        assert_eq!(path_with_fields("/x", &fields, &[("search", ""), ("status", "")]), "/x");
        assert_eq!(path_with_fields("/x", &fields, &[("search", "b")]), "/x?search=b");
    }

    #[test]
    fn a_range_is_plausible_whatever_the_link_says() {
        let range = |first, rows, count| PageRange::new(first, rows, count).map(|r| (r.first, r.last, r.count));
        assert_eq!(range(None, 50, 206), Some((1, 50, 206)));
        assert_eq!(range(Some(201), 6, 206), Some((201, 206, 206)));
        assert_eq!(range(Some(-5), 6, 6), Some((1, 6, 6)));
        assert_eq!(range(Some(900), 6, 206), Some((201, 206, 206)));
        // Rows were deleted after the page was read.
        assert_eq!(range(None, 6, 2), Some((1, 6, 6)));
        assert_eq!(range(None, 0, 0), None);
        let pager = Pager { prev: Some("/x?before=a".to_owned()), next: Some("/x?after=b".to_owned()), range: None };
        let pager = pager.with_range(PageRange::new(Some(51), 50, 206));
        assert_eq!(pager.prev.as_deref(), Some("/x?before=a&from=1"));
        assert_eq!(pager.next.as_deref(), Some("/x?after=b&from=101"));
    }
}
