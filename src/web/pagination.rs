//! Going through long lists, fifty at a time, forwards and back.

use serde::Serialize;

/// How many rows a page shows.
pub(super) const ROWS: usize = 50;

/// The paths of what comes before and behind a page of a list.
#[derive(Debug, Default)]
pub(super) struct Pager {
    pub back: Option<String>,
    pub on: Option<String>,
}

impl Pager {
    pub(super) fn is_needed(&self) -> bool {
        self.back.is_some() || self.on.is_some()
    }
}

/// Which part of a list is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part<T> {
    First,
    After(T),
    Before(T),
}

impl<T> Part<T> {
    /// The part that a path asks for.
    pub(super) fn of(after: Option<T>, before: Option<T>) -> Self {
        match (after, before) {
            (Some(mark), _) => Self::After(mark),
            (None, Some(mark)) => Self::Before(mark),
            (None, None) => Self::First,
        }
    }

    /// Cuts rows, of which one more than a page was read, to a page, and says what lies before and behind it. `path` makes a
    /// path of a mark; the rows are in their order already.
    pub(super) fn cut<R>(
        &self,
        rows: &mut Vec<R>,
        mark: impl Fn(&R) -> String,
        path: impl Fn(&'static str, String) -> String,
    ) -> Pager {
        let is_more = rows.len() > ROWS;
        if is_more && matches!(self, Self::Before(_)) {
            rows.drain(..rows.len() - ROWS);
        } else {
            rows.truncate(ROWS);
        }
        let (has_back, has_on) = match self {
            Self::First => (false, is_more),
            Self::After(_) => (true, is_more),
            Self::Before(_) => (is_more, true),
        };
        let back = rows.first().filter(|_| has_back).map(|row| path("before", mark(row)));
        let on = rows.last().filter(|_| has_on).map(|row| path("after", mark(row)));
        Pager { back, on }
    }
}

/// A path with what is set of some fields behind the question mark, and a mark.
pub(super) fn path(place: &str, fields: &impl Serialize, direction: &str, mark: &str) -> String {
    let kept = serde_json::to_value(fields).unwrap_or_default();
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in kept.as_object().into_iter().flatten() {
        if let Some(text) = value.as_str().filter(|text| !text.is_empty()) {
            query.append_pair(name, text);
        }
    }
    query.append_pair(direction, mark);
    format!("{place}?{}", query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(part: &Part<()>, rows: usize) -> (usize, Option<String>, Option<String>) {
        let mut rows: Vec<usize> = (0..rows).collect();
        let pager = part.cut(&mut rows, ToString::to_string, |direction, mark| format!("{direction}={mark}"));
        (rows.len(), pager.back, pager.on)
    }

    #[test]
    fn a_list_goes_on_and_back_where_there_is_more() {
        let (before, after) = (|n: usize| Some(format!("before={n}")), |n: usize| Some(format!("after={n}")));
        assert_eq!(cut(&Part::First, 50), (50, None, None));
        assert_eq!(cut(&Part::First, 51), (50, None, after(49)));
        assert_eq!(cut(&Part::After(()), 51), (50, before(0), after(49)));
        assert_eq!(cut(&Part::After(()), 3), (3, before(0), None));
        assert_eq!(cut(&Part::Before(()), 51), (50, before(1), after(50)));
        assert_eq!(cut(&Part::Before(()), 50), (50, None, after(49)));
        assert_eq!(cut(&Part::After(()), 0), (0, None, None));
    }

    #[test]
    fn a_path_keeps_what_was_asked_for() {
        #[derive(Serialize)]
        struct Fields {
            search: Option<String>,
            status: Option<String>,
        }
        let fields = Fields { search: Some("a&b=c".into()), status: Some(String::new()) };
        assert_eq!(path("/x", &fields, "after", "m"), "/x?search=a%26b%3Dc&after=m");
    }
}
