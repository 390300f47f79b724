//! The configuration of the program: sources, errors, and the commands that print it.

use super::commands::{run_failing, run_ok};
use crate::support::binary::{run_with_stdin, tokenward_command};

#[test]
fn global_options_stand_before_or_after_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    std::fs::write(&file, "[listen]\nhttp = 3199\n").unwrap();
    let file = file.to_str().unwrap();
    for arguments in [["--config", file, "config", "print"], ["config", "print", "--config", file]] {
        let printed = run_ok("sqlite:x", &arguments, "");
        assert!(printed.contains(&format!("http = \"127.0.0.1:3199\"  # {file}, line 2")), "{printed}");
    }
    for arguments in
        [["--database-url", "sqlite:y", "config", "print"], ["config", "print", "--database-url", "sqlite:y"]]
    {
        let printed = run_ok("sqlite:x", &arguments, "");
        assert!(printed.contains("url = \"sqlite:y\"  # option --database-url"), "{printed}");
    }
}

#[test]
fn the_configuration_is_checked_and_printed_with_its_sources() {
    let printed = run_ok("sqlite:x", &["config", "print"], "");
    for line in [
        "url = \"sqlite:x\"  # environment variable TOKENWARD_DATABASE__URL",
        "# metrics is unset",
        "max_connections = 8  # default",
    ] {
        assert!(printed.contains(line), "{line} in {printed}");
    }
    let checked = run_ok("sqlite:x", &["config", "check"], "");
    assert!(checked.contains("TOKENWARD_DATABASE__URL") && checked.contains("the configuration is valid"), "{checked}");
    assert!(run_failing("mysql:x", &["config", "check"], "", 1).contains("database.url is invalid"));
}

#[test]
fn configuration_sources_are_ordered_and_secrets_are_hidden() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokenward.toml");
    std::fs::write(
        &file,
        "[listen]\nhttp = \"127.0.0.1:1\"\n[tokens]\nprefix = \"file\"\n[http]\nrequest_timeout = \"5s\"\n",
    )
    .unwrap();
    let mut print = tokenward_command("postgres://tokenward:s3cret@db.example/tokens");
    print
        .args(["config", "print", "--config"])
        .arg(&file)
        .env("TOKENWARD_TOKENS__PREFIX", "env")
        .env("DATABASE_URL", "sqlite:x");
    let printed = String::from_utf8(run_with_stdin(print, "").stdout).unwrap();
    for line in [
        "http = \"127.0.0.1:1\"",
        "prefix = \"env\"",
        "request_timeout = \"5s\"",
        "header_timeout = \"5s\"",
        "url = \"postgres://tokenward@db.example:5432/tokens\"  # environment variable TOKENWARD_DATABASE__URL",
    ] {
        assert!(printed.contains(line), "{line} in {printed}");
    }
    assert!(!printed.contains("s3cret"));
    let mut print = tokenward_command("x");
    print.env_remove("TOKENWARD_DATABASE__URL").env("DATABASE_URL", "sqlite:from-env");
    print.args(["config", "print"]);
    assert!(String::from_utf8(run_with_stdin(print, "").stdout).unwrap().contains("sqlite:from-env"));
    assert_eq!(run_ok("sqlite:x", &["config", "default"], ""), tokenward::config::DEFAULT_FILE);
}

#[test]
fn unknown_and_invalid_keys_are_named_with_a_suggestion() {
    for (name, value, expected) in [
        (
            "TOKENWARD_LISTEN_HTTP",
            "127.0.0.1:1",
            "environment variable TOKENWARD_LISTEN_HTTP: did you mean TOKENWARD_LISTEN__HTTP (two underscores)?",
        ),
        ("TOKENWARD_DATABASE__MAX_CONECTIONS", "1", "did you mean TOKENWARD_DATABASE__MAX_CONNECTIONS?"),
        ("TOKENWARD_DATABSE__URL", "sqlite:x", "did you mean TOKENWARD_DATABASE__URL?"),
        (
            "TOKENWARD_LOG__FORMAT",
            "yaml",
            "TOKENWARD_LOG__FORMAT: log.format must be \"auto\", \"text\" or \"json\", not \"yaml\"",
        ),
        ("TOKENWARD_TOKENS__PREFIX", "Twd", "tokens.prefix is invalid"),
        ("TOKENWARD_PASSWORDS__MIN_LENGTH", "7", "passwords.min_length must be from 8 to 128"),
        ("TOKENWARD_PASSWORDS__MIN_LENGTH", "ten", "must be a whole number from 8 to 128, not \"ten\""),
        ("TOKENWARD_HTTP__MAX_CONNECTIONS", "-5", "must be a whole number from 0 to 4294967295, not -5"),
        ("TOKENWARD_PROCESS__CORE_DUMPS", "yes", "process.core_dumps must be true or false, not \"yes\""),
        ("TOKENWARD_LISTEN__HTTP", "example.com", "listen.http must be ADDRESS:PORT, for example"),
        ("TOKENWARD_RETENTION__EXPIRED_TOKENS", "100000d", "retention.expired_tokens is 100000d; it must be from 1d"),
        ("TOKENWARD_HTTP__REQUEST_TIMEOUT", "3000", "must be a duration with a unit"),
        ("TOKENWARD_DATABASE__ACQUIRE_TIMEOUT", "0s", "database.acquire_timeout"),
        ("TOKENWARD_LISTEN__TRUSTED_PROXIES", "[\"0.0.0.0/0\"]", "0.0.0.0/0 matches all addresses"),
        ("TOKENWARD_LISTEN__TRUSTED_PROXIES", "[\"*\"]", "matches all addresses"),
        (
            "TOKENWARD_DATABASE__URL",
            "mysql://u:s3cret@h/d",
            "environment variable TOKENWARD_DATABASE__URL: database.url is invalid: not a database URL",
        ),
    ] {
        let mut print = tokenward_command("sqlite:x");
        print.args(["config", "print"]).env(name, value);
        let output = run_with_stdin(print, "");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(1) && stderr.contains(expected) && !stderr.contains("s3cret"),
            "{name}: {stderr}"
        );
    }
}

#[test]
fn an_invalid_file_is_reported_without_its_values() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.toml");
    for (text, expected) in [
        ("database = \"postgres://u:s3cret@h/d\"", "wrong.toml, line 1: database must be a section: [database]"),
        ("[database]\nurl = postgres://u:s3cret@h/d", "wrong.toml, line 2"),
        ("[database]\nurl = [\"s3cret\"]", "wrong.toml, line 2: database.url must be a text in quotes"),
        ("[leaks]\nwebhook_url = 3", "wrong.toml, line 2: leaks.webhook_url must be a text in quotes"),
        ("[leaks]\nwebhook_url = \"s3cret\"", "leaks.webhook_url must be an http or https URL"),
        (
            "[database]\nmax_connections = \"postgres://u:s3cret@h/d\"",
            "database.max_connections must be a whole number",
        ),
        (
            "\n[sessions]\nidle_timeout = 30",
            "wrong.toml, line 3: sessions.idle_timeout must be a duration with a unit, such as",
        ),
        (
            "[listen]\n\nhtpp = 1",
            "wrong.toml, line 3: unknown configuration key listen.htpp: did you mean listen.http?",
        ),
    ] {
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let mut print = tokenward_command("");
        print.env_remove("TOKENWARD_DATABASE__URL").args(["config", "print", "--config"]).arg(&file);
        let output = run_with_stdin(print, "");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && stderr.contains(expected), "{text}: {stderr}");
        assert!(!stderr.contains("s3cret"), "{stderr}");
    }
}

#[test]
fn an_invalid_log_filter_is_named() {
    let mut serve = tokenward_command("sqlite:unused");
    serve.env("RUST_LOG", "info,sqlx=loud");
    let output = run_with_stdin(serve, "");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(1) && stderr.contains("RUST_LOG: \"sqlx=loud\" is not a directive"),
        "{stderr}"
    );
}
