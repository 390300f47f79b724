//! Words that the project does not use. The texts of the whole repository are searched: documentation, comments, messages, pages.

use super::{pages, texts};

/// Each word or sequence of words. They are composed, so that this file does not contain them.
const BANNED: &[&[&str]] = &[
    &[concat!("who", "ever")],
    &[concat!("when", "ce")],
    &[concat!("some", "body")],
    &[concat!("no", "body")],
    &[concat!("an", "ew")],
    &[concat!("mend", "ed")],
    &["is", concat!("to", "ld")],
    &["are", concat!("to", "ld")],
    &["was", concat!("to", "ld")],
    &["were", concat!("to", "ld")],
    &["at", "the", concat!("mo", "st")],
    &["at", "the", concat!("lea", "st")],
];

/// The folders that are searched, beside the documentation.
const FOLDERS: [&str; 15] = [
    ".github",
    "benches",
    "config",
    "deploy",
    "examples",
    "fuzz",
    "guard",
    "migrations",
    "oidc",
    "saml",
    "scripts",
    "src",
    "static",
    "templates",
    "tests",
];

/// Files that may contain the words: lists of words, and what other programs write.
const EXCLUDED: [&str; 5] =
    ["docs/glossary.md", "src/domain/common-passwords.txt", "fuzz/Cargo.lock", "package-lock.json", "Cargo.lock"];

#[test]
fn no_banned_word_is_used() {
    let mut found = Vec::new();
    let below = FOLDERS.into_iter().flat_map(texts);
    for (path, text) in pages().into_iter().chain(below) {
        if EXCLUDED.iter().any(|excluded| path.ends_with(excluded)) {
            continue;
        }
        for (line, words) in banned(&text) {
            found.push(format!("{}:{line}: {words}", path.display()));
        }
    }
    // The pages of `guard` and `saml` are searched twice.
    found.sort();
    found.dedup();
    assert!(found.is_empty(), "{} banned words:\n{}", found.len(), found.join("\n"));
}

/// A word of a text.
struct Word<'t> {
    text: &'t str,
    line: usize,
    /// Only white space and marks of comments are between the word before and this one.
    is_joined: bool,
}

/// Returns the banned words of a text with their lines.
fn banned(text: &str) -> Vec<(usize, String)> {
    let words = words(text);
    let mut found = Vec::new();
    for start in 0..words.len() {
        for sequence in BANNED {
            let Some(part) = words.get(start..start + sequence.len()) else { continue };
            let is_equal = part.iter().zip(*sequence).all(|(word, banned)| word.text.eq_ignore_ascii_case(banned));
            if is_equal && part.iter().skip(1).all(|word| word.is_joined) {
                found.push((part[0].line, sequence.join(" ")));
            }
        }
    }
    found
}

/// Splits a text into words. Names in code, whose parts are joined by underscores, are one word.
fn words(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut line = 1;
    let mut start = None;
    let mut is_joined = false;
    for (at, c) in text.char_indices().chain([(text.len(), '\n')]) {
        if c.is_alphanumeric() || c == '_' {
            start = start.or(Some(at));
            continue;
        }
        if let Some(start) = start.take() {
            words.push(Word { text: &text[start..at], line, is_joined });
            is_joined = true;
        }
        if c == '\n' {
            line += 1;
        }
        is_joined &= c.is_whitespace() || "/!#*-".contains(c);
    }
    words
}

#[test]
fn words_are_found_in_any_case_and_across_lines() {
    let one = concat!("No", "body");
    let two = concat!("was\n/// to", "ld");
    let text = format!("a {one}'s x\n// {two} x_{one}_y was. {}", concat!("to", "ld"));
    let found: Vec<String> = banned(&text).into_iter().map(|(line, words)| format!("{line} {words}")).collect();
    assert_eq!(found, [concat!("1 no", "body"), concat!("2 was to", "ld")]);
}
