//! The commands other than `serve`, their exit codes and output.

use rstest::rstest;
use rstest_reuse::apply;
use std::process::Output;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};

use crate::support::{
    Database, Engine,
    binary::{ServerProcess, run_with_stdin, tokenward_command},
    both_databases_multi_thread,
};

fn run_tokenward(url: &str, arguments: &[&str], input: &str) -> Output {
    let mut command = tokenward_command(url);
    command.args(arguments);
    run_with_stdin(command, input)
}

#[track_caller]
fn run_ok(url: &str, arguments: &[&str], input: &str) -> String {
    let output = run_tokenward(url, arguments, input);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn run_failing(url: &str, arguments: &[&str], input: &str, code: i32) -> String {
    let output = run_tokenward(url, arguments, input);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    stderr
}

#[apply(both_databases_multi_thread)]
async fn people_and_workspaces_can_be_managed_on_the_command_line(engine: Engine) {
    let database = Database::empty(engine).await;
    let url = database.url.as_str();
    drop(ServerProcess::start(url));
    let password = "a password for the command line\n";
    let added =
        run_ok(url, &["person", "add", "ada@example.com", "--name", "Ada", "--admin", "--password-stdin"], password);
    assert_eq!(added, "2\tada@example.com\n");
    let list = run_ok(url, &["person", "list"], "");
    assert!(list.contains("1\tadmin@example.com\tAdministrator\tplatform administrator\tenabled\tdefault"), "{list}");
    assert!(list.contains("2\tada@example.com\tAda\tadministrator\tenabled\tdefault"), "{list}");
    run_ok(url, &["person", "set-password", "ADA@example.com", "--password-stdin"], "another password altogether\n");
    run_ok(url, &["person", "disable", "ada@example.com"], "");
    assert!(run_ok(url, &["person", "list"], "").contains("ada@example.com\tAda\tadministrator\tdisabled"));
    run_ok(url, &["person", "enable", "ada@example.com"], "");
    let add = ["workspace", "add", "Lab", "--admin-email", "eve@example.com", "--password-stdin"];
    assert_eq!(run_ok(url, &add, password), "2\tLab\teve@example.com\n");
    assert!(run_ok(url, &["workspace", "list"], "").contains("2\tLab\t20"));

    let stderr = run_failing(url, &["person", "add", "ADA@example.com", "--password-stdin"], password, 1);
    assert!(stderr.contains("this e-mail address is already in use"), "{stderr}");
    assert!(run_failing(url, &["person", "add", "x@example.com", "--password-stdin"], "short\n", 1).contains("15"));
    assert!(run_failing(url, &["person", "add", "x@example.com"], "", 1).contains("--password-stdin"));
    assert!(run_failing(url, &["person", "disable", "unknown@example.com"], "", 1).contains("unknown@example.com"));
    assert!(run_failing(url, &["person", "disable", "eve@example.com"], "", 1).contains("last enabled administrator"));
    assert!(run_failing(url, &["person", "add", "x@example.com", "--password", "x"], "", 2).contains("--password"));
    run_failing(url, &["nonsense"], "", 2);
}

#[apply(both_databases_multi_thread)]
async fn a_database_of_a_newer_version_is_left_unchanged(engine: Engine) {
    let database = Database::empty(engine).await;
    let url = database.url.as_str();
    run_ok(url, &["migrate"], "");
    run_ok(url, &["migrate"], "");
    let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
                 select 9999, 'from the future', success, checksum, 0 from _sqlx_migrations where version = 1";
    match engine {
        Engine::Postgres => {
            let mut connection = PgConnection::connect(url).await.unwrap();
            connection.execute(AssertSqlSafe(newer)).await.unwrap();
        }
        Engine::Sqlite => {
            let mut connection = SqliteConnection::connect(url).await.unwrap();
            connection.execute(AssertSqlSafe(newer)).await.unwrap();
        }
    }
    for arguments in [&["migrate"][..], &["serve"], &["person", "list"]] {
        let stderr = run_failing(url, arguments, "", 1);
        let migrations = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite")).unwrap().count();
        assert!(stderr.contains("version 9999") && stderr.contains(&format!("version {migrations}")), "{stderr}");
    }
}

#[tokio::test]
async fn an_old_schema_is_rejected_without_migrate_on_start() {
    let database = Database::empty(Engine::Sqlite).await;
    let mut serve = tokenward_command(&database.url);
    serve.env("TOKENWARD_DATABASE__MIGRATE_ON_START", "false");
    let output = run_with_stdin(serve, "");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && stderr.contains("tokenward migrate"), "{stderr}");
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
        "url = \"postgres://tokenward@db.example:5432/tokens\"",
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
        ("TOKENWARD_DATABASE__MAX_CONECTIONS", "1", "did you mean database.max_connections?"),
        ("TOKENWARD_DATABSE__URL", "sqlite:x", "did you mean database?"),
        ("TOKENWARD_LOG__FORMAT", "yaml", "log.format"),
        ("TOKENWARD_TOKENS__PREFIX", "Twd", "tokens.prefix"),
        ("TOKENWARD_PASSWORDS__MIN_LENGTH", "7", "passwords.min_length"),
        ("TOKENWARD_RETENTION__EXPIRED_TOKENS", "100000d", "retention.expired_tokens"),
        ("TOKENWARD_HTTP__REQUEST_TIMEOUT", "3000", "a duration with a unit"),
        ("TOKENWARD_DATABASE__ACQUIRE_TIMEOUT", "0s", "database.acquire_timeout"),
        ("TOKENWARD_LISTEN__TRUSTED_PROXIES", "[\"0.0.0.0/0\"]", "0.0.0.0/0 matches all addresses"),
        ("TOKENWARD_LISTEN__TRUSTED_PROXIES", "[\"*\"]", "matches all addresses"),
        ("TOKENWARD_DATABASE__URL", "mysql://u:s3cret@h/d", "database.url: not a database URL"),
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
        ("database = \"postgres://u:s3cret@h/d\"", "configuration key database"),
        ("[database]\nurl = postgres://u:s3cret@h/d", "wrong.toml, line 2"),
        ("[database]\nmax_connections = \"s3cret\"", "database.max_connections"),
    ] {
        std::fs::write(&file, text).unwrap();
        let mut print = tokenward_command("");
        print.env_remove("TOKENWARD_DATABASE__URL").args(["config", "print", "--config"]).arg(&file);
        let output = run_with_stdin(print, "");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && stderr.contains(expected) && !stderr.contains("s3cret"), "{stderr}");
    }
}

#[test]
fn openapi_version_completions_and_help_are_printed() {
    assert_eq!(run_ok("sqlite:x", &["openapi"], "").trim_end(), tokenward::api::openapi::document_json());
    assert!(run_ok("sqlite:x", &["--version"], "").starts_with("tokenward 0."));
    assert!(run_ok("sqlite:x", &["completions", "bash"], "").contains("_tokenward"));
    let help = run_ok("sqlite:x", &["--help"], "");
    for word in ["serve", "migrate", "person", "workspace", "config", "openapi", "completions"] {
        assert!(help.contains(word), "{word}");
    }
}

#[test]
fn an_unreachable_store_is_reported_with_its_cause() {
    let stderr = run_failing("sqlite:/nowhere/at/all.db", &["serve"], "", 1);
    assert!(
        stderr.contains("cannot open the store at sqlite:/nowhere/at/all.db") && stderr.contains("No such file"),
        "{stderr}"
    );
    let stderr = run_failing("postgres://u:s3cret@127.0.0.1:1/d", &["serve"], "", 1);
    assert!(stderr.contains("refused") && !stderr.contains("s3cret"), "{stderr}");
}
