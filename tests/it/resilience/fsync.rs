//! What is acknowledged is on disk (P3). A killed process alone does not show that: what it wrote stays in the machine's memory.

use std::process::Command;

use super::{Token, client, make, times};
use crate::support::{
    Database, Engine,
    binary::{Running, command},
};

/// Counts the calls that wait for the disk, of a service under strace.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_acknowledged_write_has_waited_for_the_disk() {
    let database = Database::empty(Engine::Sqlite).await;
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let running = Running::start_with(traced(&command(&database.url), &trace));
    let admin = Token::made_by(&running).await;
    let (http, before, writes) = (client(), syncs(&trace), times(30, 1_000));
    for _ in 0..writes {
        assert!(matches!(make(&http, &running.url, &admin).await, Some((201, _))));
    }
    let during = syncs(&trace) - before;
    println!("P3 Sqlite: {writes} acknowledged writes, {during} fsync or fdatasync");
    assert!(during >= writes, "{during} of {writes}");
}

fn traced(serve: &Command, trace: &std::path::Path) -> Command {
    let mut strace = Command::new("strace");
    // Written as it happens: a line is there before the call returns to the service.
    // As a grandchild, so that our child is the service itself.
    strace.args(["-D", "-f", "-qq", "-e", "trace=fsync,fdatasync", "-o"]).arg(trace).arg(serve.get_program());
    for (name, value) in serve.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    strace
}

fn syncs(trace: &std::path::Path) -> usize {
    let text = std::fs::read_to_string(trace).expect("this test needs strace: scripts/test installs it");
    text.lines().filter(|line| line.contains("sync(")).count()
}

/// A server that does not wait for its disk by itself is told to by each of our sessions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_postgres_wait_for_the_disk() {
    use sqlx::{Connection as _, PgConnection};
    let database = Database::empty(Engine::Postgres).await;
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    let name: String = sqlx::query_scalar("select current_database()").fetch_one(&mut connection).await.unwrap();
    let statement = format!("alter database {name} set synchronous_commit = off");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    // The table says what held when a token was made.
    let running = Running::start(&database.url);
    let watch = "create table seen (setting text); \
         create function watch() returns trigger language plpgsql as $$ begin \
         insert into seen values (current_setting('synchronous_commit')); return new; end $$; \
         create trigger watch after insert on token for each row execute function watch()";
    sqlx::raw_sql(watch).execute(&mut connection).await.unwrap();
    let admin = Token::made_by(&running).await;
    let writes: Vec<_> = (0..20)
        .map(|_| {
            let (url, admin) = (running.url.clone(), admin.clone());
            tokio::spawn(async move { make(&client(), &url, &admin).await.unwrap().0 })
        })
        .collect();
    for write in writes {
        assert_eq!(write.await.unwrap(), 201);
    }
    let seen: Vec<String> =
        sqlx::query_scalar("select distinct setting from seen").fetch_all(&mut connection).await.unwrap();
    println!("P3 Postgres: off by the database, in our sessions {seen:?}");
    assert_eq!(seen, ["on"]);
}
