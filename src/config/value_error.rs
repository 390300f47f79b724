//! Texts of invalid values: what the key accepts, in the terms of the configuration file.

use figment::error::{Actual, Kind};

use super::{
    known_keys::{known_keys, nearest, unknown_variable, variable_of},
    sources::Sources,
    sso,
};

/// Keys whose values may contain a secret.
const SECRET_KEYS: [&str; 3] = ["database.url", "leaks.webhook_url", "mail.password"];
/// The maximum length of a value that is repeated.
const MAX_REPEATED_CHARS: usize = 40;

/// Returns the text of an error of deserialization, with the place of the value.
pub(super) fn describe(error: &figment::Error, sources: &Sources) -> String {
    let path = error.path.join(".");
    let location = sources.location(&path);
    let key = if is_sso(&path) { sso::without_index(&path) } else { path };
    match &error.kind {
        Kind::UnknownField(name, expected) => unknown_key(&error.path, (name, expected), sources),
        Kind::MissingField(name) => format!("{location}{key} requires {name}"),
        Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
            let value = repeatable(&key, actual).map(|value| format!(", not {value}")).unwrap_or_default();
            format!("{location}{key} must be {}{value}", accepted(&key, expected))
        }
        Kind::UnknownVariant(value, variants) => {
            let variants: Vec<String> = variants.iter().map(|variant| format!("{variant:?}")).collect();
            let value = repeatable(&key, &Actual::Str(value.clone())).map(|value| format!(", not {value}"));
            let accepted = enumerate(&variants);
            format!("{location}{key} must be {accepted}{}", value.unwrap_or_default())
        }
        Kind::Message(text) if key.is_empty() => text.clone(),
        kind => format!("{location}{key}: {kind}"),
    }
}

/// Describes an unknown key, with the nearest known one.
fn unknown_key(path: &[String], (name, expected): (&str, &[&str]), sources: &Sources) -> String {
    let sections = path.iter().take_while(|part| *part != name);
    let section: String = sections.map(|part| format!("{part}.")).collect();
    let key = format!("{section}{name}");
    let is_sso = is_sso(&key);
    let nearest = if is_sso { sso::nearest_key(&key, expected) } else { nearest_key(&key) };
    let hint =
        |nearest: Option<String>| nearest.map(|nearest| format!(": did you mean {nearest}?")).unwrap_or_default();
    match sources.variable_below(&key) {
        Some(variable) if is_sso => {
            format!("environment variable {variable} is unknown{}", hint(nearest.map(|nearest| variable_of(&nearest))))
        }
        Some(variable) => unknown_variable(variable),
        None => {
            let name = if is_sso { sso::without_index(&key) } else { key.clone() };
            format!("{}unknown configuration key {name}{}", sources.location(&key), hint(nearest))
        }
    }
}

/// Returns `true` for a key of an identity provider.
fn is_sso(key: &str) -> bool {
    key.starts_with("sso.")
}

/// Returns the nearest known key or section.
fn nearest_key(key: &str) -> Option<String> {
    let sections = known_keys().filter_map(|known| known.rsplit_once('.').map(|(section, _)| section.to_owned()));
    nearest(key, known_keys().chain(sections).chain(["sso".to_owned()]))
}

/// Returns a value for the message. `None` if it may be a secret, or is long or no simple value.
fn repeatable(key: &str, actual: &Actual) -> Option<String> {
    let is_secret = SECRET_KEYS.iter().any(|secret| key == *secret || secret.strip_suffix(".url") == Some(key));
    // A section of a provider may contain a password.
    let is_provider = is_sso(key)
        && ([".bind_password", ".client_secret"].iter().any(|secret| key.ends_with(secret))
            || key.matches('.').count() == 1);
    if is_secret || is_provider {
        return None;
    }
    match actual {
        Actual::Bool(value) => Some(value.to_string()),
        Actual::Unsigned(value) => Some(value.to_string()),
        Actual::Signed(value) => Some(value.to_string()),
        Actual::Float(value) => Some(value.to_string()),
        // A URL may contain a password.
        Actual::Str(value) => {
            let is_short = value.chars().count() <= MAX_REPEATED_CHARS;
            (is_short && !value.contains("://") && !value.contains('@')).then(|| format!("{value:?}"))
        }
        Actual::Seq => Some("a list".to_owned()),
        Actual::Map => Some("a section".to_owned()),
        _ => None,
    }
}

/// Returns what a key accepts. `expected` is the text of the deserializer, which names a type of
/// this program.
fn accepted(key: &str, expected: &str) -> String {
    match expected {
        "a sequence" if key.ends_with(".allow") => format!("one or more sections [[{key}]]"),
        "a sequence" if is_sso(key) => "a list, such as [\"ad.example.org\"]".to_owned(),
        "a map" if key == "sso" => "sections such as [sso.company]".to_owned(),
        _ if expected.starts_with("struct ") && key.ends_with(".allow") => format!("one or more sections [[{key}]]"),
        "u8" | "u16" | "u32" | "u64" | "usize" | "i64" => number_range(key),
        "bool" | "a boolean" => "true or false".to_owned(),
        "a string" | "string" | "path string" => "a text in quotes".to_owned(),
        "a sequence" => "a list, such as [\"10.0.0.1\"]".to_owned(),
        _ if expected.starts_with("struct ") => format!("a section: [{key}]"),
        _ => expected.to_owned(),
    }
}

/// Returns the accepted numbers of a key.
fn number_range(key: &str) -> String {
    let (min, max) = match key {
        "passwords.min_length" => (8, 128),
        "passwords.argon2.memory_kib" => (8, 262_144),
        "passwords.argon2.iterations" => (1, 10),
        "passwords.argon2.parallelism" => (1, 8),
        "mail.port" => (1, 65_535),
        _ if is_sso(key) && key.ends_with(".lockout_guard") => (1, 10),
        _ if is_sso(key) => (1, u32::MAX),
        "database.max_connections" | "cache.max_tokens" => (1, u32::MAX),
        _ => (0, u32::MAX),
    };
    format!("a whole number from {min} to {max}")
}

/// Joins alternatives with commas and "or".
fn enumerate(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
