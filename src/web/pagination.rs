//! Keyset pagination of long lists.

use serde::Serialize;

/// Rows per page.
pub(super) const PAGE_SIZE: usize = 50;

/// The paths of the previous and the next page of a list.
#[derive(Debug, Default)]
pub(super) struct Pager {
    pub prev: Option<String>,
    pub next: Option<String>,
}

impl Pager {
    pub(super) fn is_needed(&self) -> bool {
        self.prev.is_some() || self.next.is_some()
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
        Pager { prev, next }
    }
}

/// Returns the path of another page of a list. It keeps the non-empty `fields` of the query string.
pub(super) fn page_path(list_path: &str, fields: &impl Serialize, direction: &str, cursor: &str) -> String {
    let values = serde_json::to_value(fields).unwrap_or_default();
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in values.as_object().into_iter().flatten() {
        if let Some(text) = value.as_str().filter(|text| !text.is_empty()) {
            query.append_pair(name, text);
        }
    }
    query.append_pair(direction, cursor);
    format!("{list_path}?{}", query.finish())
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
    }
}
