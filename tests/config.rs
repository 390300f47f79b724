//! What stands twice must be equal: the documented defaults and the code's, the migrations of the two databases.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{collections::BTreeSet, path::Path};

use tokenward::config::{Config, DEFAULT_FILE};

#[test]
fn the_documented_defaults_are_the_codes() {
    let documented: Config = toml_of(DEFAULT_FILE);
    assert_eq!(documented, Config::default());
}

/// Every key of every section is named in the file, also those that have no value by default.
#[test]
fn every_key_is_documented() {
    let mut complete = Config::default();
    complete.retention.expired_tokens_days = Some(365);
    complete.listen.ext_authz = Some("127.0.0.1:3006".parse().unwrap());
    complete.listen.ext_authz_certificate = Some("/etc/tokenward/tls.crt".into());
    complete.listen.ext_authz_key = Some("/etc/tokenward/tls.key".into());
    complete.listen.metrics = Some("127.0.0.1:9465".parse().unwrap());
    let printed = toml::to_string(&complete).unwrap();
    for line in printed.lines().filter(|line| !line.is_empty()) {
        let documented = DEFAULT_FILE.lines().any(|d| d.trim_start_matches("# ") == line);
        assert!(documented, "config/default.toml lacks: {line}");
    }
}

#[test]
fn both_databases_have_the_same_migrations() {
    let names = |folder: &str| -> BTreeSet<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
        std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(names("postgres"), names("sqlite"));
    assert!(!names("postgres").is_empty());
}

fn toml_of(text: &str) -> Config {
    toml::from_str(text).unwrap()
}
