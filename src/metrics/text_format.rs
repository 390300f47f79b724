//! The two text formats of Prometheus. The library writes OpenMetrics; the older text format is
//! derived from it.

use std::fmt::Write as _;

/// The content type of the OpenMetrics text format.
const OPENMETRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The content type of the text format of Prometheus.
const TEXT_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Renders OpenMetrics text for a client with this `Accept` header. Returns the content type and the
/// text. Clients that do not ask for OpenMetrics get the text format of Prometheus, which every
/// collector reads.
pub(super) fn negotiate(openmetrics: String, accept: &str) -> (&'static str, String) {
    if accept.contains("application/openmetrics-text") {
        (OPENMETRICS_CONTENT_TYPE, openmetrics)
    } else {
        (TEXT_CONTENT_TYPE, to_text_format(&openmetrics))
    }
}

/// Converts OpenMetrics text. The formats differ in the comments: here a counter is described under
/// its full name with `_total`, and there are neither units nor an end mark.
fn to_text_format(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    let mut help = "";
    for line in openmetrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let suffix = if kind == "counter" { "_total" } else { "" };
            // Writing to a string cannot fail.
            write!(text, "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n").ok();
        } else if !line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENMETRICS: &str = "# HELP a_seconds Time.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\na_seconds_total 1\n\
         # HELP b Things.\n# TYPE b gauge\nb{x=\"# y\"} 2\n# EOF\n";

    #[test]
    fn openmetrics_is_for_clients_that_ask_for_it() {
        let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3";
        assert_eq!(negotiate(OPENMETRICS.to_owned(), accept), (OPENMETRICS_CONTENT_TYPE, OPENMETRICS.to_owned()));
        for accept in ["", "*/*", "text/plain", "text/plain;version=0.0.4"] {
            assert_eq!(negotiate(OPENMETRICS.to_owned(), accept).0, TEXT_CONTENT_TYPE, "{accept}");
        }
    }

    #[test]
    fn a_counter_is_described_under_its_full_name() {
        let expected = "# HELP a_seconds_total Time.\n# TYPE a_seconds_total counter\na_seconds_total 1\n\
             # HELP b Things.\n# TYPE b gauge\nb{x=\"# y\"} 2\n";
        assert_eq!(to_text_format(OPENMETRICS), expected);
    }
}
