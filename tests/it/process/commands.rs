//! The commands besides `serve`, their exit codes and what they print.

use std::process::Output;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};

use crate::support::{
    Database, Engine,
    binary::{Running, command, run},
};

on_both_databases!(people_and_workspaces_are_managed_on_the_command_line, a_store_of_a_newer_program_is_left_alone);

fn tokenward(url: &str, arguments: &[&str], input: &str) -> Output {
    let mut command = command(url);
    command.args(arguments);
    run(command, input)
}

#[track_caller]
fn succeeds(url: &str, arguments: &[&str], input: &str) -> String {
    let output = tokenward(url, arguments, input);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn fails(url: &str, arguments: &[&str], input: &str, code: i32) -> String {
    let output = tokenward(url, arguments, input);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    said
}

async fn people_and_workspaces_are_managed_on_the_command_line(engine: Engine) {
    let database = Database::empty(engine).await;
    let url = database.url.as_str();
    drop(Running::start(url));
    let password = "a password for the command line\n";
    let made =
        succeeds(url, &["person", "add", "ada@example.com", "--name", "Ada", "--admin", "--password-stdin"], password);
    assert_eq!(made, "2\tada@example.com\n");
    let list = succeeds(url, &["person", "list"], "");
    assert!(list.contains("1\tadmin@example.com\tAdministrator\tplatform administrator\tenabled\tdefault"), "{list}");
    assert!(list.contains("2\tada@example.com\tAda\tadministrator\tenabled\tdefault"), "{list}");
    succeeds(url, &["person", "set-password", "ADA@example.com", "--password-stdin"], "another password altogether\n");
    succeeds(url, &["person", "disable", "ada@example.com"], "");
    assert!(succeeds(url, &["person", "list"], "").contains("ada@example.com\tAda\tadministrator\tdisabled"));
    succeeds(url, &["person", "enable", "ada@example.com"], "");
    let add = ["workspace", "add", "Lab", "--admin-email", "eve@example.com", "--password-stdin"];
    assert_eq!(succeeds(url, &add, password), "2\tLab\teve@example.com\n");
    assert!(succeeds(url, &["workspace", "list"], "").contains("2\tLab\t20"));

    let said = fails(url, &["person", "add", "ADA@example.com", "--password-stdin"], password, 1);
    assert!(said.contains("somebody has this e-mail already"), "{said}");
    assert!(fails(url, &["person", "add", "x@example.com", "--password-stdin"], "short\n", 1).contains("15"));
    assert!(fails(url, &["person", "add", "x@example.com"], "", 1).contains("--password-stdin"));
    assert!(fails(url, &["person", "disable", "nobody@example.com"], "", 1).contains("nobody@example.com"));
    assert!(fails(url, &["person", "disable", "eve@example.com"], "", 1).contains("last enabled administrator"));
    assert!(fails(url, &["person", "add", "x@example.com", "--password", "x"], "", 2).contains("--password"));
    fails(url, &["nonsense"], "", 2);
}

async fn a_store_of_a_newer_program_is_left_alone(engine: Engine) {
    let database = Database::empty(engine).await;
    let url = database.url.as_str();
    succeeds(url, &["migrate"], "");
    succeeds(url, &["migrate"], "");
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
        let said = fails(url, arguments, "", 1);
        let known = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite")).unwrap().count();
        assert!(said.contains("version 9999") && said.contains(&format!("version {known}")), "{said}");
    }
}

#[tokio::test]
async fn without_migrating_on_start_an_old_schema_is_refused() {
    let database = Database::empty(Engine::Sqlite).await;
    let mut serve = command(&database.url);
    serve.env("TOKENWARD_DATABASE__MIGRATE_ON_START", "false");
    let output = run(serve, "");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("tokenward migrate"), "{said}");
}

#[test]
fn the_configuration_comes_from_its_sources_in_order_and_hides_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokenward.toml");
    std::fs::write(
        &file,
        "[listen]\nhttp = \"127.0.0.1:1\"\n[tokens]\nprefix = \"file\"\n[http]\nrequest_timeout_ms = 5000\n",
    )
    .unwrap();
    let mut print = command("postgres://tokenward:s3cret@db.example/tokens");
    print
        .args(["config", "print", "--config"])
        .arg(&file)
        .env("TOKENWARD_TOKENS__PREFIX", "env")
        .env("DATABASE_URL", "sqlite:x");
    let printed = String::from_utf8(run(print, "").stdout).unwrap();
    for line in [
        "http = \"127.0.0.1:1\"",
        "prefix = \"env\"",
        "request_timeout_ms = 5000",
        "header_timeout_ms = 5000",
        "url = \"postgres://tokenward@db.example:5432/tokens\"",
    ] {
        assert!(printed.contains(line), "{line} in {printed}");
    }
    assert!(!printed.contains("s3cret"));
    let mut print = command("x");
    print.env_remove("TOKENWARD_DATABASE__URL").env("DATABASE_URL", "sqlite:from-env");
    print.args(["config", "print"]);
    assert!(String::from_utf8(run(print, "").stdout).unwrap().contains("sqlite:from-env"));
    assert_eq!(succeeds("sqlite:x", &["config", "default"], ""), tokenward::config::DEFAULT_FILE);
}

#[test]
fn unknown_and_wrong_keys_are_named_with_what_was_probably_meant() {
    for (name, value, said) in [
        ("TOKENWARD_DATABASE__MAX_CONECTIONS", "1", "did you mean database.max_connections?"),
        ("TOKENWARD_DATABSE__URL", "sqlite:x", "did you mean database?"),
        ("TOKENWARD_LOG__FORMAT", "yaml", "log.format"),
        ("TOKENWARD_TOKENS__PREFIX", "Twd", "tokens.prefix"),
        ("TOKENWARD_PASSWORDS__MIN_LENGTH", "7", "passwords.min_length"),
        ("TOKENWARD_RETENTION__EXPIRED_TOKENS_DAYS", "4294967295", "retention.expired_tokens_days"),
        ("TOKENWARD_DATABASE__ACQUIRE_TIMEOUT_MS", "0", "database.acquire_timeout_ms"),
        ("TOKENWARD_LISTEN__TRUSTED_PROXIES", "[\"0.0.0.0/0\"]", "0.0.0.0/0 is everybody"),
        ("TOKENWARD_LISTEN__TRUSTED_PROXIES", "[\"*\"]", "is everybody"),
        ("TOKENWARD_DATABASE__URL", "mysql://u:s3cret@h/d", "database.url: a database URL is"),
    ] {
        let mut print = command("sqlite:x");
        print.args(["config", "print"]).env(name, value);
        let output = run(print, "");
        let seen = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && seen.contains(said) && !seen.contains("s3cret"), "{name}: {seen}");
    }
}

#[test]
fn a_wrong_file_is_told_without_repeating_what_may_be_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.toml");
    for (text, expected) in [
        ("database = \"postgres://u:s3cret@h/d\"", "configuration key database"),
        ("[database]\nurl = postgres://u:s3cret@h/d", "wrong.toml, line 2"),
        ("[database]\nmax_connections = \"s3cret\"", "database.max_connections"),
    ] {
        std::fs::write(&file, text).unwrap();
        let mut print = command("");
        print.env_remove("TOKENWARD_DATABASE__URL").args(["config", "print", "--config"]).arg(&file);
        let output = run(print, "");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && said.contains(expected) && !said.contains("s3cret"), "{said}");
    }
}

#[test]
fn the_program_explains_itself() {
    assert_eq!(succeeds("sqlite:x", &["openapi"], "").trim_end(), tokenward::api::openapi::text());
    assert!(succeeds("sqlite:x", &["--version"], "").starts_with("tokenward 0."));
    assert!(succeeds("sqlite:x", &["completions", "bash"], "").contains("_tokenward"));
    let help = succeeds("sqlite:x", &["--help"], "");
    for word in ["serve", "migrate", "person", "workspace", "config", "openapi", "completions"] {
        assert!(help.contains(word), "{word}");
    }
}

#[test]
fn a_store_that_cannot_be_opened_is_told_with_its_reason() {
    let said = fails("sqlite:/nowhere/at/all.db", &["serve"], "", 1);
    assert!(
        said.contains("cannot open the store at sqlite:/nowhere/at/all.db") && said.contains("No such file"),
        "{said}"
    );
    let said = fails("postgres://u:s3cret@127.0.0.1:1/d", &["serve"], "", 1);
    assert!(said.contains("refused") && !said.contains("s3cret"), "{said}");
}
