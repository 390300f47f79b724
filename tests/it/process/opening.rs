//! Databases that cannot be opened: each cause is reported once, with its remedy.

use std::{
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::Path,
    process::Command,
};

use tokio::net::{TcpListener, UnixStream};

use crate::support::{
    Database, Engine,
    binary::{run_with_stdin, tokenward_command},
    postgres::{PostgresServer, unprivileged_user},
};

/// Runs a command that fails. Returns standard error.
fn failure(mut command: Command) -> String {
    command.env("TOKENWARD_DATABASE__STARTUP_TIMEOUT", "0s").env("TOKENWARD_DATABASE__ACQUIRE_TIMEOUT", "200ms");
    let output = run_with_stdin(command, "");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(!stderr.contains("at line"), "{stderr}");
    stderr
}

fn migrate(url: &str) -> Command {
    let mut command = tokenward_command(url);
    command.arg("migrate");
    command
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn files_that_are_no_database_of_this_program_are_left_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("c.toml");
    std::fs::write(&text, "[listen]\nhttp = 1\n").unwrap();
    set_mode(&text, 0o644);
    let foreign = folder.path().join("foreign.db");
    let database = format!("sqlite:{}?mode=rwc", foreign.display());
    let mut connection = <sqlx::SqliteConnection as sqlx::Connection>::connect(&database).await.unwrap();
    sqlx::Executor::execute(&mut connection, "create table person (id integer)").await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    set_mode(&foreign, 0o644);
    for (file, reason) in [(&text, "it is not a SQLite file"), (&foreign, "it belongs to another program")] {
        let before = std::fs::read(file).unwrap();
        let stderr = failure(migrate(&format!("sqlite:{}", file.display())));
        let expected =
            format!("tokenward: {} is not a Tokenward database: {reason}; it was left unchanged\n", file.display());
        assert_eq!(stderr, expected);
        assert_eq!(std::fs::read(file).unwrap(), before);
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o644);
    }
}

#[test]
fn a_missing_folder_and_missing_rights_are_named() {
    let stderr = failure(migrate("sqlite:/nowhere/at/all.db"));
    assert_eq!(stderr, "tokenward: cannot create /nowhere/at/all.db: the folder /nowhere/at does not exist\n");
    let folder = tempfile::tempdir().unwrap();
    let Some((uid, gid)) = unprivileged_user(folder.path()) else { return };
    set_mode(folder.path(), 0o755);
    let run_as_user = |file: &Path| {
        let mut command = migrate(&format!("sqlite:{}", file.display()));
        command.uid(uid).gid(gid).current_dir("/");
        failure(command)
    };
    let locked = folder.path().join("locked");
    std::fs::create_dir(&locked).unwrap();
    set_mode(&locked, 0o755);
    let stderr = run_as_user(&locked.join("new.db"));
    assert!(stderr.contains(&format!("the folder {} is not writable by user ", locked.display())), "{stderr}");
    assert!(stderr.contains(&format!("(uid {uid})")), "{stderr}");
    let file = locked.join("old.db");
    std::fs::write(&file, "").unwrap();
    set_mode(&file, 0o444);
    let stderr = run_as_user(&file);
    assert!(stderr.contains("permission denied (owner root, mode 444; this process runs as user"), "{stderr}");
}

#[tokio::test]
async fn postgresql_errors_have_one_cause_and_a_remedy() {
    let server = PostgresServer::durable();
    let url = |name: &str| PostgresServer::url_via_port(server.port, name);
    let stderr = failure(migrate(&url("nothing_here")));
    assert_eq!(stderr.matches("does not exist").count(), 1, "{stderr}");
    assert!(stderr.trim_end().ends_with("; create it: createdb nothing_here"), "{stderr}");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stderr = failure(migrate(&format!("postgres://u:s3cret@{closed}/d")));
    let expected = format!("tokenward: cannot reach PostgreSQL at {closed}: Connection refused (os error 111)\n");
    assert_eq!(stderr, expected);
    for statement in ["create role low login", "create database shared", "revoke create on schema public from public"] {
        let mut connection =
            <sqlx::PgConnection as sqlx::Connection>::connect(&url(if statement.starts_with("revoke") {
                "shared"
            } else {
                "postgres"
            }))
            .await
            .unwrap();
        sqlx::Executor::execute(&mut connection, statement).await.unwrap();
    }
    let stderr = failure(migrate(&url("shared").replace("postgres@", "low@")));
    assert_eq!(stderr.matches("permission denied").count(), 1, "{stderr}");
    assert!(stderr.trim_end().ends_with("GRANT CREATE ON SCHEMA public TO low"), "{stderr}");
}

/// Compose files and systemd units start the service at the same time as its database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_waits_for_postgresql() {
    let database = Database::empty(Engine::Postgres).await;
    let name = database.query_text("select current_database()::text").await.unwrap();
    let socket = database.query_text("select current_setting('unix_socket_directories')").await.unwrap();
    let port = database.query_text("select current_setting('port')").await.unwrap();
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = migrate(&format!("postgres://postgres@{address}/{name}?sslmode=disable"));
    command.stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut notice = String::new();
    let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    std::io::BufRead::read_line(&mut stderr, &mut notice).unwrap();
    assert!(notice.starts_with(&format!("waiting: cannot reach PostgreSQL at {address}")), "{notice}");
    // The server can be reached from now on.
    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = UnixStream::connect(format!("{socket}/.s.PGSQL.{port}")).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
        }
    });
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    assert!(status.success());
}
