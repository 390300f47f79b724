//! Acknowledged writes are synced to disk. Killing the process does not show that, because its
//! writes stay in the page cache.

use std::process::Command;

use super::{Token, client, create_token, iterations};
use crate::support::{
    Database, Engine,
    binary::{ServerProcess, tokenward_command},
};

/// Counts fsync and fdatasync calls of a service under strace.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_acknowledged_write_is_synced_to_disk() {
    let database = Database::empty(Engine::Sqlite).await;
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let running = ServerProcess::start_with(with_strace(&tokenward_command(&database.url), &trace));
    let admin = Token::create(&running).await;
    let (http, before, writes) = (client(), count_syncs(&trace), iterations(30, 1_000));
    for _ in 0..writes {
        assert!(matches!(create_token(&http, &running.url, &admin).await, Some((201, _))));
    }
    let calls = count_syncs(&trace) - before;
    println!("[measured] durability, Sqlite: {writes} acknowledged writes, {calls} calls of fsync or fdatasync");
    assert!(calls >= writes, "{calls} of {writes}");
}

fn with_strace(serve: &Command, trace: &std::path::Path) -> Command {
    let mut strace = Command::new("strace");
    // strace writes each line before the call returns. With -D, strace runs as a grandchild, and
    // the child is the service.
    strace.args(["-D", "-f", "-qq", "-e", "trace=fsync,fdatasync", "-o"]).arg(trace).arg(serve.get_program());
    for (name, value) in serve.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    strace
}

fn count_syncs(trace: &std::path::Path) -> usize {
    let text = std::fs::read_to_string(trace).expect("this test needs strace: scripts/test installs it");
    text.lines().filter(|line| line.contains("sync(")).count()
}

/// Each session of the service enables synchronous_commit, whatever the default of the database is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_sessions_commit_synchronously() {
    use sqlx::{Connection as _, PgConnection};
    let database = Database::empty(Engine::Postgres).await;
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    let name: String = sqlx::query_scalar("select current_database()").fetch_one(&mut connection).await.unwrap();
    let statement = format!("alter database {name} set synchronous_commit = off");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    // A trigger records the setting that is in effect when a token is inserted.
    let running = ServerProcess::start(&database.url);
    let trigger = "create table seen (setting text); \
         create function watch() returns trigger language plpgsql as $$ begin \
         insert into seen values (current_setting('synchronous_commit')); return new; end $$; \
         create trigger watch after insert on token for each row execute function watch()";
    sqlx::raw_sql(trigger).execute(&mut connection).await.unwrap();
    let admin = Token::create(&running).await;
    // One client: building another between two connections would keep the first waiting.
    let http = client();
    let writes: Vec<_> = (0..20)
        .map(|_| {
            let (http, url, admin) = (http.clone(), running.url.clone(), admin.clone());
            tokio::spawn(async move { create_token(&http, &url, &admin).await.unwrap().0 })
        })
        .collect();
    for write in writes {
        assert_eq!(write.await.unwrap(), 201);
    }
    let settings: Vec<String> =
        sqlx::query_scalar("select distinct setting from seen").fetch_all(&mut connection).await.unwrap();
    println!(
        "[measured] durability, Postgres: synchronous_commit is off by default, {settings:?} in sessions of the service"
    );
    assert_eq!(settings, ["on"]);
}
