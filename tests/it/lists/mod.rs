//! Long lists: sent page by page to readers who may still read them, with a budget of their own.

mod budget;
mod stream;

use crate::support::{Database, Engine, PASSWORD, TestApp, basic};

/// The service again, over the same database with so many more tokens of a person in it, put there by one statement.
pub async fn with_tokens(app: TestApp, person_id: i64, count: usize) -> TestApp {
    let TestApp { store, database, .. } = app;
    store.close().await;
    insert_tokens(&database, person_id, count).await;
    TestApp::with(database, |_| ()).await
}

/// Adds tokens of a person of workspace 1. Three at a time are as old as each other; each description is 255 times `é`, but for a
/// beginning of its own.
pub async fn insert_tokens(database: &Database, person_id: i64, count: usize) {
    let statement = match database.engine {
        Engine::Postgres => format!(
            "insert into token (id, workspace_id, person_id, digest, hint, description, created_at, expires_at) \
             select gen_random_uuid(), 1, {person_id}, sha256(convert_to({person_id} || ' ' || n, 'UTF8')), 'twd_abcd', \
             left(md5(n::text), 4) || repeat('é', 251), timestamptz '2025-12-01 00:00:00+00' + (n / 3) * interval '1 ms', null \
             from generate_series(1, {count}) n"
        ),
        Engine::Sqlite => format!(
            "with recursive s (n) as (select 1 union all select n + 1 from s where n < {count}) \
             insert into token (id, workspace_id, person_id, digest, hint, description, created_at, expires_at) \
             select randomblob(16), 1, {person_id}, randomblob(32), 'twd_abcd', \
             lower(hex(randomblob(2))) || replace(hex(zeroblob(251)), '00', 'é'), 1764547200000 + n / 3, null from s"
        ),
    };
    database.run(&statement).await;
}

/// What signs in as a person that a test added.
pub fn credential(name: &str) -> String {
    basic(&format!("{name}@example.com"), PASSWORD)
}
