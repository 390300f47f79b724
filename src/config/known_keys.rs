//! The keys of the configuration, read from the documented defaults, and their environment
//! variables.

use super::{DEFAULT_FILE, FIRST_START_VARIABLES};

/// The prefix of the environment variables.
pub(super) const PREFIX: &str = "TOKENWARD_";

/// Returns every key with its section, such as `listen.http`, in the order of `config/default.toml`.
pub fn known_keys() -> impl Iterator<Item = String> {
    let mut section = String::new();
    DEFAULT_FILE.lines().filter_map(move |line| {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = format!("{name}.");
            return None;
        }
        // A key without a default is a comment.
        let (key, _) = line.strip_prefix("# ").unwrap_or(line).split_once(" = ")?;
        let is_key = !key.is_empty() && key.bytes().all(|c| c.is_ascii_lowercase() || c == b'_' || c.is_ascii_digit());
        is_key.then(|| format!("{section}{key}"))
    })
}

/// Returns the environment variable of a key.
pub(super) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}

/// Returns the key of an environment variable without its prefix.
pub(super) fn key_of(variable: &str) -> String {
    variable.to_ascii_lowercase().replace("__", ".")
}

/// Returns the error text of a variable that names no key, with the nearest variable.
pub(super) fn unknown_variable(name: &str) -> String {
    let without_prefix = name.get(PREFIX.len()..).unwrap_or_default().to_ascii_lowercase();
    // The most frequent mistake: one underscore between section and key.
    if let Some(key) = known_keys().find(|key| key.replace('.', "_") == without_prefix) {
        return format!("environment variable {name}: did you mean {} (two underscores)?", variable_of(&key));
    }
    let variables = known_keys().map(|key| variable_of(&key)).chain(FIRST_START_VARIABLES.map(str::to_owned));
    match nearest(&name.to_ascii_uppercase(), variables) {
        Some(nearest) => format!("environment variable {name} is unknown: did you mean {nearest}?"),
        None => format!("environment variable {name} is unknown"),
    }
}

/// Returns the candidate that is most similar to a text.
pub(super) fn nearest(text: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    candidates.max_by(|a, b| strsim::jaro_winkler(text, a).total_cmp(&strsim::jaro_winkler(text, b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_defaults_contain_all_keys() {
        let keys: Vec<String> = known_keys().collect();
        for key in ["public_url", "listen.http", "listen.metrics", "passwords.argon2.memory_kib", "leaks.webhook_url"] {
            assert!(keys.iter().any(|known| known == key), "{key}");
        }
        let config = toml::Value::try_from(super::super::Config::default()).unwrap();
        for key in &keys {
            let section = key.rsplit_once('.').map_or("", |(section, _)| section);
            let found =
                section.split('.').filter(|part| !part.is_empty()).try_fold(&config, |value, part| value.get(part));
            assert!(found.is_some(), "{key}");
        }
    }

    #[test]
    fn a_misspelled_variable_is_answered_with_the_nearest_one() {
        assert_eq!(
            unknown_variable("TOKENWARD_LISTEN_HTTP"),
            "environment variable TOKENWARD_LISTEN_HTTP: did you mean TOKENWARD_LISTEN__HTTP (two underscores)?"
        );
        let text = unknown_variable("TOKENWARD_DATABSE__URL");
        assert!(text.ends_with("is unknown: did you mean TOKENWARD_DATABASE__URL?"), "{text}");
    }
}
