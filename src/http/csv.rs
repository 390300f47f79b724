//! CSV (RFC 4180) for spreadsheets.

use axum::http::{
    HeaderMap, HeaderValue,
    header::{ACCEPT, CONTENT_DISPOSITION, CONTENT_TYPE},
};

/// The media type of CSV responses.
pub(crate) const MEDIA_TYPE: &str = "text/csv; charset=utf-8";

/// Appends a row. All cells are quoted.
pub(crate) fn append_row<'a>(buffer: &mut Vec<u8>, cells: impl IntoIterator<Item = &'a str>) {
    for (number, cell) in cells.into_iter().enumerate() {
        if number > 0 {
            buffer.push(b',');
        }
        append_cell(buffer, cell);
    }
    buffer.extend_from_slice(b"\r\n");
}

/// Appends a quoted cell. An apostrophe in front keeps spreadsheets from evaluating a formula.
fn append_cell(buffer: &mut Vec<u8>, cell: &str) {
    buffer.push(b'"');
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        buffer.push(b'\'');
    }
    buffer.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
    buffer.push(b'"');
}

/// Sets the headers of a CSV file that a browser saves under `file_name`.
pub(crate) fn set_download_headers(headers: &mut HeaderMap, file_name: &str) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{file_name}\""));
    headers.extend(disposition.ok().map(|value| (CONTENT_DISPOSITION, value)));
}

/// Returns whether the client asks for CSV: `Accept` names `text/csv`, and no `application/json` with
/// an equal or greater weight before it (RFC 9110, section 12.5.1). Wildcards mean JSON.
pub(crate) fn is_requested(headers: &HeaderMap) -> bool {
    let ranges = headers.get_all(ACCEPT).into_iter().filter_map(|field| field.to_str().ok());
    let ranges = ranges.flat_map(|field| field.split(',')).filter_map(parse_media_range);
    let mut best: Option<(bool, f32)> = None;
    for (is_csv, weight) in ranges {
        if weight > best.map_or(0.0, |(_, weight)| weight) {
            best = Some((is_csv, weight));
        }
    }
    best.is_some_and(|(is_csv, _)| is_csv)
}

/// Parses a media range. Returns whether it is CSV, and its weight; `None` if it is neither CSV nor
/// JSON.
fn parse_media_range(range: &str) -> Option<(bool, f32)> {
    let mut parts = range.split(';').map(str::trim);
    let media_type = parts.next()?;
    let is_csv = media_type.eq_ignore_ascii_case("text/csv");
    if !is_csv && !media_type.eq_ignore_ascii_case("application/json") {
        return None;
    }
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    Some((is_csv, weight.map_or(Some(1.0), |text| text.parse().ok())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_are_no_formulas() {
        let row = |cells: &[&str]| {
            let mut buffer = Vec::new();
            append_row(&mut buffer, cells.iter().copied());
            String::from_utf8(buffer).unwrap()
        };
        assert_eq!(row(&["a,\"b\"\n", ""]), "\"a,\"\"b\"\"\n\",\"\"\r\n");
        for formula in ["=1+1", "+1", "-1", "@x", "\tx", "\rx"] {
            assert_eq!(row(&[formula]), format!("\"'{formula}\"\r\n"));
        }
    }

    #[test]
    fn csv_is_sent_only_where_it_is_preferred() {
        let is_requested = |accept: &str| {
            let accept = HeaderValue::from_str(accept).unwrap();
            super::is_requested(&HeaderMap::from_iter([(ACCEPT, accept)]))
        };
        for accept in [
            "text/csv",
            "TEXT/CSV; charset=utf-8",
            "text/csv, */*",
            "text/csv,application/json",
            "application/json;q=0.5, text/csv;q=0.9",
        ] {
            assert!(is_requested(accept), "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/*",
            "application/json",
            "application/json, text/csv",
            "text/csv;q=0",
            "text/csv;q=x",
            "text/csv;q=0.1, application/json",
            "text/html,application/xhtml+xml,*/*;q=0.8",
        ] {
            assert!(!is_requested(accept), "{accept}");
        }
        assert!(!super::is_requested(&HeaderMap::new()));
    }
}
