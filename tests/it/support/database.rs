//! A database for one test.

use sha2::{Digest as _, Sha256};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _, migrate::Migrator};
use tempfile::TempDir;
use tokenward::domain::time::Timestamp;
use tokio::sync::OnceCell;

use super::postgres;

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Postgres,
    Sqlite,
}

/// A database that belongs to one test.
#[derive(Debug)]
pub struct Database {
    pub url: String,
    pub engine: Engine,
    /// Where a SQLite file lies until the test is over.
    _folder: Option<TempDir>,
}

/// The migrations of each engine.
pub static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");
pub static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");

/// The name of a migrated database that the others are copies of.
static TEMPLATE: OnceCell<String> = OnceCell::const_new();

impl Database {
    /// A database with nothing in it, not even tables.
    pub async fn empty(engine: Engine) -> Self {
        match engine {
            Engine::Postgres => Self::postgres("template0").await,
            Engine::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let url = format!("sqlite:{}", folder.path().join("tokenward.db").display());
                Self { url, engine, _folder: Some(folder) }
            }
        }
    }

    /// A database with the schema in it. In PostgreSQL it is copied, which is quicker.
    pub async fn migrated(engine: Engine) -> Self {
        if engine == Engine::Sqlite {
            return Self::empty(engine).await;
        }
        Self::postgres(TEMPLATE.get_or_init(template).await).await
    }

    /// The same database, for a second node.
    pub fn for_another_node(&self) -> Self {
        assert_eq!(self.engine, Engine::Postgres, "SQLite has one node");
        Self { url: self.url.clone(), engine: self.engine, _folder: None }
    }

    /// Runs a statement of the test's own. On SQLite the service must have let go of the file.
    pub async fn run(&self, statement: &str) {
        let mut connection = self.connect().await;
        connection.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
        connection.close().await.unwrap();
    }

    /// The one text that a statement answers.
    pub async fn ask(&self, statement: &str) -> Option<String> {
        let mut connection = self.connect().await;
        let row = connection.fetch_one(sqlx::AssertSqlSafe(statement)).await.unwrap();
        connection.close().await.unwrap();
        row.try_get(0).unwrap()
    }

    async fn connect(&self) -> sqlx::AnyConnection {
        sqlx::any::install_default_drivers();
        sqlx::AnyConnection::connect(&self.url).await.unwrap()
    }

    async fn postgres(template: &str) -> Self {
        // Several runs may share one server.
        let name = format!("t_{:016x}", rand::random::<u64>());
        administer(&format!("create database {name} template {template}")).await;
        Self { url: postgres::url(&name), engine: Engine::Postgres, _folder: None }
    }
}

/// A statement that inserts tokens of the first administrator that nobody holds, with the ids of [`numbered`] from 1 on.
pub fn insert_tokens(
    engine: Engine,
    count: usize,
    description: &str,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
) -> String {
    let (id, digest) = match engine {
        Engine::Postgres => {
            ("('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid", "sha256(convert_to(n::text, 'UTF8'))")
        }
        Engine::Sqlite => ("unhex(printf('00000000000070008000%012x', n))", "randomblob(32)"),
    };
    let moment = |moment: Timestamp| match engine {
        Engine::Postgres => format!("'{moment}'::timestamptz"),
        Engine::Sqlite => moment.as_millis().to_string(),
    };
    let (created_at, expires_at) = (moment(created_at), expires_at.map_or("null".to_owned(), moment));
    format!(
        "with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < {count}) \
         insert into token (id, workspace_id, person_id, digest, hint, description, created_at, expires_at) \
         select {id}, 1, 1, {digest}, 'twd_', '{description}', {created_at}, {expires_at} from numbers"
    )
}

/// The id of a token that was inserted by [`insert_tokens`].
pub fn numbered(number: usize) -> String {
    format!("00000000-0000-7000-8000-{number:012x}")
}

/// Returns the name of the template of this schema, which is created once for all test processes that share a server.
async fn template() -> String {
    let name = format!("tokenward_template_{}", schema_hash());
    let unfinished = format!("{name}_unfinished");
    let mut connection = PgConnection::connect(&postgres::url("postgres")).await.unwrap();
    connection.execute("select pg_advisory_lock(7311)").await.unwrap();
    let exists: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(&name)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    if !exists {
        // A process that was killed may have left it.
        administer(&format!("drop database if exists {unfinished} with (force)")).await;
        administer(&format!("create database {unfinished} template template0")).await;
        let store =
            tokenward::http::server::open_store(&super::app::config(&postgres::url(&unfinished)), true).await.unwrap();
        store.close().await;
        administer(&format!("alter database {unfinished} rename to {name}")).await;
    }
    connection.close().await.unwrap();
    name
}

/// The first digits of a hash over all migrations: another version of the schema has another template.
fn schema_hash() -> String {
    let mut hash = Sha256::new();
    for migration in POSTGRES.iter() {
        hash.update(&migration.checksum);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Runs a statement on the server's own database.
pub async fn administer(statement: &str) {
    let mut connection = PgConnection::connect(&postgres::url("postgres")).await.unwrap();
    connection.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
    connection.close().await.unwrap();
}
