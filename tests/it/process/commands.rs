//! The commands other than `serve`, their exit codes and output.

use rstest::rstest;
use rstest_reuse::apply;
use std::{
    ffi::OsStr,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    process::Output,
};

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
pub fn run_ok(url: &str, arguments: &[&str], input: &str) -> String {
    let output = run_tokenward(url, arguments, input);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
pub fn run_failing(url: &str, arguments: &[&str], input: &str, code: i32) -> String {
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
    let add =
        ["person", "add", "--service", "ci", "--custodian", "ada@example.com", "--custodian", "admin@example.com"];
    assert_eq!(run_ok(url, &add, ""), "3\tservice:ci\n");
    assert!(run_ok(url, &["person", "list"], "").contains("3\tservice:ci\tci\tuser\tenabled\tdefault"));
    run_ok(url, &["person", "disable", "service:ci"], "");
    run_ok(url, &["person", "enable", "service:ci"], "");
    assert!(run_ok(url, &["person", "show", "service:ci", "--json"], "").contains(r#""custodians": "1, 2""#));
    for arguments in
        [&["person", "invite", "service:ci"][..], &["person", "set-password", "service:ci", "--password-stdin"]]
    {
        assert!(run_failing(url, arguments, password, 1).contains("service:ci"), "{arguments:?}");
    }
    run_ok(url, &["person", "remove", "service:ci"], "");
    run_ok(url, &["person", "set-password", "ADA@example.com", "--password-stdin"], "another password altogether\n");
    run_ok(url, &["person", "disable", "ada@example.com"], "");
    assert!(run_ok(url, &["person", "list"], "").contains("ada@example.com\tAda\tadministrator\tdisabled"));
    run_ok(url, &["person", "enable", "ada@example.com"], "");
    let add = ["workspace", "add", "Lab", "--admin-email", "eve@example.com", "--password-stdin"];
    assert_eq!(run_ok(url, &add, password), "2\tLab\teve@example.com\n");
    assert!(run_ok(url, &["workspace", "list"], "").contains("2\tLab\t20"));
    assert!(list.starts_with("id\temail\tname\trole\tstate\ttokenAccess\n"), "{list}");
    let json: serde_json::Value = serde_json::from_str(&run_ok(url, &["person", "list", "--json"], "")).unwrap();
    assert_eq!((&json[1]["id"], &json[1]["email"]), (&2.into(), &"ada@example.com".into()));
    let shown = run_ok(url, &["person", "show", "ADA@example.com"], "");
    assert!(shown.contains("tokenAccess") && shown.contains("administrator"), "{shown}");
    run_ok(url, &["person", "remove", "ada@example.com"], "");
    assert!(!run_ok(url, &["person", "list"], "").contains("ada@example.com"));
    let events = run_ok(url, &["audit", "export"], "");
    assert!(events.contains("person.removed"), "{events}");
    run_ok(url, &["person", "add", "ada@example.com", "--password-stdin"], password);

    let stderr = run_failing(url, &["person", "add", "ADA@example.com", "--password-stdin"], password, 1);
    assert!(stderr.contains("this e-mail address is already in use"), "{stderr}");
    assert!(run_failing(url, &["person", "add", "x@example.com", "--password-stdin"], "short\n", 1).contains("15"));
    assert!(run_failing(url, &["person", "add", "x@example.com"], "", 1).contains("--password-stdin"));
    assert!(run_failing(url, &["person", "disable", "unknown@example.com"], "", 1).contains("unknown@example.com"));
    assert!(run_failing(url, &["person", "disable", "eve@example.com"], "", 1).contains("last enabled administrator"));
    assert!(run_failing(url, &["person", "add", "x@example.com", "--password", "x"], "", 2).contains("--password"));
    for arguments in [
        &["person", "list", "--workspace", "7"][..],
        &["person", "add", "x@example.com", "--password-stdin", "--workspace", "7"],
        &["token", "list", "--workspace", "7"],
        &["audit", "export", "--workspace", "7"],
    ] {
        let stderr = run_failing(url, arguments, password, 1);
        assert!(stderr.starts_with("tokenward: there is no workspace 7;"), "{arguments:?}: {stderr}");
    }
}

#[apply(both_databases_multi_thread)]
async fn invite_links_are_printed_on_the_command_line(engine: Engine) {
    let database = Database::empty(engine).await;
    let url = database.url.as_str();
    drop(ServerProcess::start(url));
    let mut command = tokenward_command(url);
    command.args(["person", "add", "ada@example.com", "--invite"]);
    command.env("TOKENWARD_LISTEN__HTTP", "0.0.0.0:3005");
    let output = run_with_stdin(command, "");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("added person 2, ada@example.com") && stderr.contains("shown once"), "{stderr}");
    assert!(stderr.contains("public_url is not configured"), "{stderr}");
    let first = String::from_utf8(output.stdout).unwrap();
    assert!(first.starts_with("http://127.0.0.1:3005/invite/") && first.trim().len() == 29 + 43, "{first}");
    assert!(!stderr.contains(first.trim()), "{stderr}");
    assert!(run_ok(url, &["person", "list"], "").contains("ada@example.com\t\tuser\tinvited"));
    let mut command = tokenward_command(url);
    command.args(["person", "invite", "ADA@example.com", "--json"]);
    command.env("TOKENWARD_PUBLIC_URL", "https://tokens.example.com");
    let output = run_with_stdin(command, "");
    assert!(!String::from_utf8(output.stderr).unwrap().contains("public_url"));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&json["id"], &json["email"]), (&2.into(), &"ada@example.com".into()));
    let second = json["inviteUrl"].as_str().unwrap();
    assert!(second.starts_with("https://tokens.example.com/invite/") && json["inviteExpiresAt"].is_string());
    let password = "a password for the command line\n";
    let added = run_ok(url, &["person", "add", "eve@example.com", "--password-stdin", "--json"], password);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&added).unwrap()["id"], 3);

    run_failing(url, &["person", "invite", "unknown@example.com"], "", 1);
    run_failing(url, &["person", "add", "x@example.com", "--invite", "--password-stdin"], password, 2);
    run_ok(url, &["person", "disable", "eve@example.com"], "");
    let stderr = run_failing(url, &["person", "invite", "eve@example.com"], "", 1);
    assert!(stderr.contains("enable the account first"), "{stderr}");
    let running = ServerProcess::start(url);
    let http = crate::support::http_client();
    for (link, status) in [(first.trim(), 404), (second, 200)] {
        let value = link.rsplit('/').next().unwrap();
        let page = http.get(format!("{}/invite/{value}", running.url)).send().await.unwrap();
        assert_eq!(page.status(), status);
    }
}

#[apply(both_databases_multi_thread)]
async fn tokens_are_created_listed_and_deleted_on_the_command_line(engine: Engine) {
    let database = Database::empty(engine).await;
    let url = database.url.as_str();
    drop(ServerProcess::start(url));
    let password = format!("{}\n", crate::support::PASSWORD);
    let create = ["token", "create", "admin@example.com", "--description", "CI", "--password-stdin"];
    let value = run_ok(url, &create, &password);
    assert!(value.starts_with("twd_") && value.trim().len() == 53, "{value}");
    let stderr = run_failing(url, &create, "another password altogether\n", 1);
    assert!(stderr.contains("e-mail or password is wrong"), "{stderr}");
    run_ok(url, &["token", "create", "admin@example.com", "--lifetime", "never", "--password-stdin"], &password);
    let listed: serde_json::Value =
        serde_json::from_str(&run_ok(url, &["token", "list", "admin@example.com", "--json"], "")).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!((&listed[0]["description"], &listed[0]["status"]), (&"CI".into(), &"active".into()));
    assert!(listed[0]["expiredAt"].is_string() && listed[1]["expiredAt"].is_null());
    let id = listed[0]["tokenId"].as_str().unwrap();
    run_ok(url, &["token", "delete", id], "");
    assert!(!run_ok(url, &["token", "list"], "").contains(id));
    assert!(run_failing(url, &["token", "delete", id], "", 1).contains("there is no token"));
    let running = ServerProcess::start(url);
    let http = crate::support::http_client();
    let check = http.get(format!("{}/v4/auth", running.url)).bearer_auth(value.trim()).send().await.unwrap();
    assert_eq!(check.status(), 401);
}

#[test]
fn errors_of_the_command_line_state_what_is_expected() {
    for (arguments, expected) in [
        (&["nonsense"][..], "Commands: serve, migrate, person"),
        (&["person", "nonsense"], "Commands: add, invite, list, set-password"),
        (&["--listen", "nonsense"], "expected ADDRESS:PORT, for example 127.0.0.1:3005"),
        (&["--listen", "3199", "person", "list"], "--listen is an option of tokenward serve"),
        (&["person", "list", "--workspace", "abc"], "a workspace is a number; tokenward workspace list prints them"),
        (&["audit", "verify", "--end", "foo"], "expected WORKSPACE:EVENT:HASH"),
        (&["token", "delete", "foo"], "a token ID is a UUID"),
        (&["token", "create", "x@example.com", "--lifetime", "30"], "expected a duration with a unit"),
    ] {
        let stderr = run_failing("sqlite:x", arguments, "", 2);
        assert!(stderr.contains(expected) && !stderr.contains("invalid digit"), "{arguments:?}: {stderr}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_reports_the_readiness_of_the_service() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = ServerProcess::start(&database.url);
    let health = |address: &str| {
        let mut command = tokenward_command("sqlite:unused");
        command.arg("health").env("TOKENWARD_LISTEN__HTTP", address);
        let output = run_with_stdin(command, "");
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let address = running.url.trim_start_matches("http://").to_owned();
    assert_eq!(health(&address), (Some(0), String::new()));
    assert_eq!(health(&address.replace("127.0.0.1", "0.0.0.0")).0, Some(0));
    drop(running);
    let (code, stderr) = health(&address);
    assert!(code == Some(1) && stderr.contains(&format!("no response from http://{address}")), "{stderr}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_stopped_service_can_be_opened() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = ServerProcess::start(&database.url);
    let copy = format!("{}.copy", database.url.trim_start_matches("sqlite:"));
    running.send_signal("TERM");
    running.wait_for_exit();
    run_ok(&database.url, &["backup", &copy], "");
    assert!(run_ok(&format!("sqlite:{copy}"), &["person", "list"], "").contains("admin@example.com"));
    assert!(run_failing(&database.url, &["backup", &copy], "", 1).contains("exists"));
    // SQLite takes the path as text, so another path cannot be written.
    let folder = tempfile::tempdir().unwrap();
    let mut command = tokenward_command(&database.url);
    command.arg("backup").arg(folder.path().join(OsStr::from_bytes(b"b\xff.db")));
    let output = run_with_stdin(command, "");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_service_writes_a_backup_relative_to_the_caller() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = ServerProcess::start(&database.url);
    let folder = tempfile::tempdir().unwrap();
    let backup = || {
        let mut command = tokenward_command(&database.url);
        command.args(["backup", "copy.db"]).current_dir(folder.path());
        let output = run_with_stdin(command, "");
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let copy = folder.path().join("copy.db");
    let (code, stderr) = backup();
    assert!(code == Some(0) && stderr.starts_with("wrote /") && stderr.ends_with("/copy.db\n"), "{stderr}");
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(run_ok(&format!("sqlite:{}", copy.display()), &["person", "list"], "").contains("admin@example.com"));
    let (code, stderr) = backup();
    assert!(code == Some(1) && stderr.contains("copy.db exists: name another file"), "{stderr}");
    let stderr = run_failing(&database.url, &["backup", "/nowhere/copy.db"], "", 1);
    assert!(stderr.starts_with("tokenward: the running service cannot write /nowhere/copy.db: "), "{stderr}");
    assert!(stderr.contains("No such file"), "{stderr}");
    // These commands need the database for themselves.
    for command in [&["migrate"][..], &["clock", "reset"]] {
        let mut command_line = tokenward_command(&database.url);
        command_line.args(command).env("TOKENWARD_DATABASE__ACQUIRE_TIMEOUT", "100ms");
        let output = run_with_stdin(command_line, "");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains("is in use by another process") && stderr.contains("stop it first"), "{stderr}");
    }
    let stderr = run_failing(&database.url, &["cluster", "rotate-secret"], "", 1);
    assert!(stderr.contains("SQLite runs as a single process"), "{stderr}");
    drop(running);
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
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite")).unwrap();
        let versions = files.map(|file| file.unwrap().file_name().to_string_lossy()[..4].parse::<i64>().unwrap());
        let latest = format!("version {} of this program", versions.max().unwrap());
        assert!(stderr.contains("version 9999") && stderr.contains(&latest), "{stderr}");
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
fn openapi_version_completions_and_help_are_printed() {
    let document = tokenward::api::openapi::document_json_for("http://127.0.0.1:3005");
    assert_eq!(run_ok("sqlite:x", &["openapi"], "").trim_end(), document);
    assert!(run_ok("sqlite:x", &["--version"], "").starts_with("tokenward 0."));
    assert!(run_ok("sqlite:x", &["completions", "bash"], "").contains("_tokenward"));
    // The text is wrapped at the width of the terminal.
    let help = run_ok("sqlite:x", &["--help"], "").split_whitespace().collect::<Vec<_>>().join(" ");
    for word in ["serve", "migrate", "person", "workspace", "config", "openapi", "completions", "[env: DATABASE_URL]"] {
        assert!(help.contains(word), "{word} in {help}");
    }
    let manual = run_ok("sqlite:x", &["man"], "");
    assert!(manual.contains(".TH tokenward") && manual.contains("database\\-url"), "{manual}");
}
