//! Which methods of the store re-read the caller, and which need not.

use std::{collections::BTreeSet, fs, path::Path};

/// Methods that write without `begin!`, each with the reason why no caller has to be re-read there.
const WITHOUT_CALLER: &[(&str, &str)] = &[
    ("set_up", "the first start has no callers"),
    ("begin_session", "its insert compares the password that was proven, under the workspace's lock"),
    ("renew_session", "the row of the session is the credential"),
    ("note_session", "notes a use"),
    ("delete_sessions_over", "retention"),
    ("note_sign_in", "notes a use"),
    ("replace_password_hash", "compares the hash that was proven"),
    ("note_uses", "notes a use"),
    ("record", "records who was denied"),
    ("prune_events", "retention"),
    ("delete_expired", "retention"),
    ("delete_dead", "removes rows that are revoked"),
    ("remove_family", "removes rows that are revoked"),
    ("remove_remains", "removes rows that are revoked"),
    ("forget_deleted", "retention"),
    ("delete_repeatable", "retention"),
    ("count_try", "counts a wrong password"),
    ("clear_tries", "follows a right password"),
    ("delete_forgotten_tries", "retention"),
    ("count_source_try", "counts a wrong password"),
    ("note_source", "follows a right password"),
    ("delete_forgotten_sources", "retention"),
    ("review_email_keys", "rewrites keys after a migration"),
    ("raise_clock_floor", "notes the time"),
    ("reset_clock_floor", "the operator's command"),
    ("accept_secret", "the operator's command"),
    ("sign_with", "the operator's command"),
    ("join", "nodes"),
    ("leave", "nodes"),
    ("renew", "nodes"),
    ("remove_silent", "nodes"),
];

/// Every public method whose text writes either begins with `begin!`, or stands in the list above.
#[test]
fn every_method_that_writes_re_reads_its_caller() {
    let mut unknown = Vec::new();
    let mut seen = BTreeSet::new();
    for text in sources(Path::new("src/store")) {
        for (name, body) in methods(&text) {
            if !writes(&text, body) {
                continue;
            }
            let is_listed = WITHOUT_CALLER.iter().any(|(listed, _)| *listed == name);
            if is_listed {
                seen.insert(name.to_owned());
            }
            if body.contains("begin!(") == is_listed {
                unknown.push(name.to_owned());
            }
        }
    }
    assert!(unknown.is_empty(), "begin these with begin!, or list them with a reason: {unknown:?}");
    let stale: Vec<_> = WITHOUT_CALLER.iter().filter(|(name, _)| !seen.contains(*name)).collect();
    assert!(stale.is_empty(), "these do not write any more: {stale:?}");
}

fn sources(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            texts.push(fs::read_to_string(path).unwrap());
        }
    }
    texts
}

/// The public methods of a file, each with its text.
fn methods(text: &str) -> Vec<(&str, &str)> {
    let mut methods = Vec::new();
    for part in text.split("    pub async fn ").skip(1) {
        let name = part.split(['(', '<']).next().unwrap();
        let end = part.find("\n    }\n").unwrap_or(part.len());
        methods.push((name, &part[..end]));
    }
    methods
}

/// Whether a method writes: by a statement of its own, or by a constant of its file that it names.
fn writes(file: &str, body: &str) -> bool {
    const WRITES: [&str; 4] = ["insert into ", "update ", "delete from ", "begin!("];
    let is_write = |text: &str| {
        let lower = text.to_lowercase();
        WRITES.iter().any(|word| lower.contains(&format!("\"{word}")) || lower.contains(&format!("({word}")))
    };
    let constants = file.split("const ").skip(1).filter_map(|part| {
        let (name, rest) = part.split_once(": &str")?;
        Some((name, rest.split(';').next()?))
    });
    is_write(body)
        || ["begin!(", "record!("].iter().any(|word| body.contains(word))
        || constants.filter(|(_, text)| is_write(text)).any(|(name, _)| body.contains(&format!("({name})")))
}
