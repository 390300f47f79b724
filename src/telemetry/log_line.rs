//! The format of log lines: one flat line per event, as text or as JSON.
//!
//! The fields of the spans around an event are fields of its line. A field of the event replaces one
//! of a span.

use std::{
    fmt::{self, Write as _},
    sync::OnceLock,
};

use chrono::{Local, TimeZone as _};
use serde_json::{Map, Value};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormattedFields, format::JsonFields, format::Writer},
    registry::LookupSpan,
};

use crate::domain::time::{Clock, Timestamp};

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogLine {
    Json,
    Text(TextStyle),
}

/// The style of text lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TextStyle {
    /// Writes the local time of day only, for a reader at a terminal.
    pub(super) is_terminal: bool,
    pub(super) has_colors: bool,
}

impl<S> FormatEvent<S, JsonFields> for LogLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        for span in context.event_scope().into_iter().flat_map(tracing_subscriber::registry::Scope::from_root) {
            if let Some(formatted) = span.extensions().get::<FormattedFields<JsonFields>>() {
                fields.add_span(&formatted.fields);
            }
        }
        event.record(&mut fields);
        let metadata = event.metadata();
        match self {
            Self::Json => writeln!(writer, "{}", fields.to_json(*metadata.level(), metadata.target())),
            Self::Text(style) => writeln!(writer, "{}", fields.to_text(*metadata.level(), *style)),
        }
    }
}

/// The fields that are first in a text line.
const TEXT_ORDER: [&str; 4] = ["person.id", "token.id", "client.address", "request.id"];

/// The message and the fields of a line, in order.
#[derive(Debug, Default)]
struct Fields {
    message: String,
    fields: Vec<(String, Value)>,
}

impl Fields {
    fn set(&mut self, name: &str, value: Value) {
        match self.fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.fields.push((name.to_owned(), value)),
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Adds the fields of a span, which are formatted as a JSON object.
    fn add_span(&mut self, formatted: &str) {
        if let Ok(fields) = serde_json::from_str::<Map<String, Value>>(formatted) {
            for (name, value) in fields {
                self.set(&name, value);
            }
        }
    }

    /// Returns a JSON object. The message precedes the fields, so that patterns can rely on the
    /// order.
    fn to_json(&self, level: Level, target: &str) -> String {
        let head = [
            ("timestamp", now().to_string().into()),
            ("level", level.as_str().into()),
            ("message", self.message.as_str().into()),
            ("target", target.into()),
        ];
        let fields = self.fields.iter().filter(|(name, _)| head.iter().all(|(reserved, _)| name != reserved));
        let members = head.iter().map(|(name, value)| (*name, value));
        let members = members.chain(fields.map(|(name, value)| (name.as_str(), value)));
        let members: Vec<String> = members.map(|(name, value)| format!("{}:{value}", Value::from(name))).collect();
        format!("{{{}}}", members.join(","))
    }

    fn to_text(&self, level: Level, style: TextStyle) -> String {
        let mut line = String::new();
        push_styled(&mut line, &time_text(style), style, "2");
        line.push(' ');
        push_styled(&mut line, level.as_str(), style, level_color(level));
        line.push(' ');
        match self.response_text() {
            Some(response) => line.push_str(&response),
            None => push_escaped(&mut line, &self.message),
        }
        let mut fields: Vec<&(String, Value)> = self.fields.iter().collect();
        fields.sort_by_key(|(name, _)| TEXT_ORDER.iter().position(|first| name == first).unwrap_or(TEXT_ORDER.len()));
        for (name, value) in fields {
            if self.is_shown(name) {
                let name = if name == "client.address" { "from" } else { name.strip_suffix(".id").unwrap_or(name) };
                let _ = write!(line, " {name}=");
                push_value(&mut line, value);
            }
        }
        line
    }

    /// Returns the start of an access log line: method, route, status and duration.
    fn response_text(&self) -> Option<String> {
        let status = self.get("http.status")?.as_u64()?;
        let millis = self.get("duration_ms")?.as_f64()?;
        let (method, route) = (self.get("http.method")?.as_str()?, self.get("http.route")?.as_str()?);
        let duration = if millis < 1_000.0 { format!("{millis:.1}ms") } else { format!("{:.1}s", millis / 1_000.0) };
        Some(format!("{method} {route} {status} {duration}"))
    }

    /// Returns whether a field is written after the message. Successful requests need no ID.
    fn is_shown(&self, name: &str) -> bool {
        let status = self.get("http.status").and_then(Value::as_u64);
        match name {
            "http.method" | "http.route" => false,
            "http.status" | "duration_ms" => self.response_text().is_none(),
            "request.id" => status.is_none_or(|status| status >= 400),
            _ => true,
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" { self.message = text } else { self.set(field.name(), text.into()) }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.set(field.name(), value.into());
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field.name(), value.into());
    }
}

/// Returns the time of a line.
fn now() -> Timestamp {
    static CLOCK: OnceLock<Clock> = OnceLock::new();
    CLOCK.get_or_init(Clock::system).now()
}

/// Returns the time of a text line: the local time of day on a terminal, otherwise UTC.
fn time_text(style: TextStyle) -> String {
    let now = now();
    let local = Local.timestamp_millis_opt(now.as_millis()).single().filter(|_| style.is_terminal);
    local.map_or_else(|| now.to_string(), |local| local.format("%H:%M:%S").to_string())
}

/// Appends a text with an SGR color, if the style has colors.
fn push_styled(line: &mut String, text: &str, style: TextStyle, color: &str) {
    let _ = if style.has_colors { write!(line, "\u{1b}[{color}m{text}\u{1b}[0m") } else { write!(line, "{text}") };
}

fn level_color(level: Level) -> &'static str {
    match level {
        Level::ERROR => "31",
        Level::WARN => "33",
        Level::INFO => "32",
        Level::DEBUG => "34",
        Level::TRACE => "35",
    }
}

/// Appends a text, with control characters escaped: they could change what a terminal shows.
fn push_escaped(line: &mut String, text: &str) {
    for c in text.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
}

/// Appends a value; texts that are not one word are quoted.
fn push_value(line: &mut String, value: &Value) {
    let _ = match value {
        Value::String(text) => {
            let is_word = !text.is_empty() && text.chars().all(|c| !c.is_control() && !c.is_whitespace() && c != '"');
            if is_word { write!(line, "{text}") } else { write!(line, "{text:?}") }
        }
        other => write!(line, "{other}"),
    };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(values: &[(&str, Value)]) -> Fields {
        let mut fields = Fields { message: "responded".to_owned(), fields: Vec::new() };
        for (name, value) in values {
            fields.set(name, value.clone());
        }
        fields
    }

    fn text(fields: &Fields) -> String {
        let style = TextStyle { is_terminal: false, has_colors: false };
        fields.to_text(Level::INFO, style).split_once(' ').unwrap().1.to_owned()
    }

    #[test]
    fn a_response_is_one_short_line() {
        let mut line = fields(&[
            ("http.method", json!("POST")),
            ("http.route", json!("/v4/apiAccessTokens")),
            ("request.id", json!("64d1")),
            ("person.id", json!(1)),
            ("client.address", json!("192.0.2.7")),
            ("http.status", json!(201)),
            ("duration_ms", json!(1.21)),
        ]);
        assert_eq!(text(&line), "INFO POST /v4/apiAccessTokens 201 1.2ms person=1 from=192.0.2.7");
        line.set("http.status", json!(503));
        line.set("duration_ms", json!(1500.0));
        line.set("cause", json!("the database is unavailable"));
        assert_eq!(
            text(&line),
            "INFO POST /v4/apiAccessTokens 503 1.5s person=1 from=192.0.2.7 request=64d1 cause=\"the database is \
             unavailable\""
        );
    }

    #[test]
    fn control_characters_are_escaped() {
        let mut line = fields(&[("cause", json!("a\u{1b}[31m\nb"))]);
        line.message = "failed\u{7}".to_owned();
        assert_eq!(text(&line), "INFO failed\\u{7} cause=\"a\\u{1b}[31m\\nb\"");
    }

    #[test]
    fn json_lines_are_flat() {
        let mut line = fields(&[("http.status", json!(200))]);
        line.add_span(r#"{"person.id":7,"http.status":0}"#);
        line.set("http.status", json!(204));
        let text = line.to_json(Level::INFO, "tokenward");
        assert!(text.contains("\"message\":\"responded\",\"target\":\"tokenward\",\"http.status\":204"), "{text}");
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["person.id"], &line["http.status"]), (&json!(7), &json!(204)));
        assert_eq!((&line["level"], &line["message"]), (&json!("INFO"), &json!("responded")));
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }
}
