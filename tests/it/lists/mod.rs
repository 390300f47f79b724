//! Long lists: streamed page by page with repeated authorization, and limited by a budget of their
//! own.

mod budget;
mod stream;

use crate::support::{Database, Engine, PASSWORD, TestApp, basic_auth};

/// Restarts the service on the same database, with `count` more tokens of a person.
pub async fn restart_with_tokens(app: TestApp, person_id: i64, count: usize) -> TestApp {
    let TestApp { store, database, .. } = app;
    store.close().await;
    insert_person_tokens(&database, person_id, count).await;
    TestApp::start_with(database, |_| ()).await
}

/// Inserts tokens of a person of workspace 1. Three at a time have the same creation time.
/// Descriptions have 255 characters, a few varying ones and then `é`.
pub async fn insert_person_tokens(database: &Database, person_id: i64, count: usize) {
    let statement = match database.engine {
        Engine::Postgres => format!(
            "insert into token (id, workspace_id, person_id, digest, display_prefix, description, created_at, expires_at) \
             select gen_random_uuid(), 1, {person_id}, sha256(convert_to({person_id} || ' ' || n, 'UTF8')), 'twd_abcd', \
             left(md5(n::text), 4) || repeat('é', 251), timestamptz '2025-12-01 00:00:00+00' + (n / 3) * interval '1 ms', null \
             from generate_series(1, {count}) n"
        ),
        Engine::Sqlite => format!(
            "with recursive s (n) as (select 1 union all select n + 1 from s where n < {count}) \
             insert into token (id, workspace_id, person_id, digest, display_prefix, description, created_at, expires_at) \
             select randomblob(16), 1, {person_id}, randomblob(32), 'twd_abcd', \
             lower(hex(randomblob(2))) || replace(hex(zeroblob(251)), '00', 'é'), 1764547200000 + n / 3, null from s"
        ),
    };
    database.execute_sql(&statement).await;
}

/// Returns the Basic credential of a person that a test added.
pub fn basic_credential(name: &str) -> String {
    basic_auth(&format!("{name}@example.com"), PASSWORD)
}
