//! Consistency checks: the documented defaults match the code, and both databases have the same
//! migrations.

#![expect(clippy::unwrap_used, reason = "a failed assumption fails the test")]

use std::{collections::BTreeSet, path::Path};

use tokenward::config::{Config, ConfigDuration, DEFAULT_FILE};

#[test]
fn the_default_file_matches_the_default_config() {
    let documented: Config = parse_config(DEFAULT_FILE);
    assert_eq!(documented, Config::default());
}

/// Keys without a default value are in the file as comments.
#[test]
fn every_key_is_in_the_default_file() {
    let mut complete = Config::default();
    complete.set_public_url("https://tokens.example.com");
    complete.retention.expired_tokens = Some(ConfigDuration::from_secs(365 * 86_400));
    complete.retention.events = Some(ConfigDuration::from_secs(730 * 86_400));
    complete.tokens.max_active_per_person = Some(1_000);
    complete.listen.ext_authz = Some("127.0.0.1:3006".parse().unwrap());
    complete.listen.ext_authz_certificate = Some("/etc/tokenward/tls.crt".into());
    complete.listen.ext_authz_key = Some("/etc/tokenward/tls.key".into());
    complete.listen.metrics = Some("127.0.0.1:9465".parse().unwrap());
    let printed = toml::to_string(&complete).unwrap();
    for line in printed.lines().filter(|line| !line.is_empty()) {
        let documented = DEFAULT_FILE.lines().any(|d| d.trim_start_matches("# ") == line);
        assert!(documented, "config/default.toml has no line: {line}");
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

fn parse_config(text: &str) -> Config {
    toml::from_str(text).unwrap()
}
