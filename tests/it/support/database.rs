//! Databases for tests: each test gets an empty or migrated one of its own.

use std::{path::PathBuf, sync::LazyLock};

use sha2::{Digest as _, Sha256};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _, migrate::Migrator};
use tempfile::TempDir;
use tokenward::domain::time::Timestamp;
use tokio::sync::OnceCell;

use super::postgres;

/// A database engine that tests run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Postgres,
    Sqlite,
}

/// A database that belongs to one test, removed when dropped.
#[derive(Debug)]
pub struct Database {
    pub url: String,
    pub engine: Engine,
    /// The folder of a SQLite file, removed when dropped.
    _folder: Option<TempDir>,
    /// The name of a PostgreSQL database that this value removes.
    owned: Option<String>,
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some(name) = self.owned.take() else { return };
        // The test's own runtime may be shutting down.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(drop_database(&name));
        });
        // A test that failed reports its own failure, not this one.
        if dropped.join().is_err() && !std::thread::panicking() {
            panic!("the test database was not removed");
        }
    }
}

/// The PostgreSQL migrations.
pub static POSTGRES_MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| read_migrations("postgres"));
/// The SQLite migrations.
pub static SQLITE_MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| read_migrations("sqlite"));

fn read_migrations(folder: &str) -> Migrator {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
    Migrator::with_migrations(
        sqlx::migrate::resolve_blocking(&path).unwrap().into_iter().map(|(file, _)| file).collect(),
    )
}

/// The name of the migrated PostgreSQL database that new ones are copied from.
static TEMPLATE_DATABASE: OnceCell<String> = OnceCell::const_new();

impl Database {
    /// Creates a database without tables.
    pub async fn empty(engine: Engine) -> Self {
        match engine {
            Engine::Postgres => Self::create_from_template("template0").await,
            Engine::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let url = format!("sqlite:{}", folder.path().join("tokenward.db").display());
                Self { url, engine, _folder: Some(folder), owned: None }
            }
        }
    }

    /// Creates a database for a migrated schema. PostgreSQL copies a template, which is faster than
    /// migrating; the service migrates a SQLite file when it opens it.
    pub async fn migrated(engine: Engine) -> Self {
        if engine == Engine::Sqlite {
            return Self::empty(engine).await;
        }
        Self::create_from_template(TEMPLATE_DATABASE.get_or_init(create_template).await).await
    }

    /// Returns a database on a server that belongs to one test. It is removed with the server.
    pub fn on_own_server(url: &str) -> Self {
        Self { url: url.to_owned(), engine: Engine::Postgres, _folder: None, owned: None }
    }

    /// Returns the same database for a second node.
    pub fn for_another_node(&self) -> Self {
        assert_eq!(self.engine, Engine::Postgres, "SQLite has one node");
        Self { url: self.url.clone(), engine: self.engine, _folder: None, owned: None }
    }

    /// Runs an SQL statement. On SQLite no service may have the file open.
    pub async fn execute_sql(&self, statement: &str) {
        let mut connection = self.connect().await;
        connection.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
        connection.close().await.unwrap();
    }

    /// Returns the single text value of a query.
    pub async fn query_text(&self, statement: &str) -> Option<String> {
        let mut connection = self.connect().await;
        let row = connection.fetch_one(sqlx::AssertSqlSafe(statement)).await.unwrap();
        connection.close().await.unwrap();
        row.try_get(0).unwrap()
    }

    async fn connect(&self) -> sqlx::AnyConnection {
        sqlx::any::install_default_drivers();
        sqlx::AnyConnection::connect(&self.url).await.unwrap()
    }

    async fn create_from_template(template: &str) -> Self {
        // Several test runs may share one server.
        let name = format!("t_{:016x}", rand::random::<u64>());
        execute_on_server(&format!("create database {name} template {template}")).await;
        Self { url: postgres::database_url(&name), engine: Engine::Postgres, _folder: None, owned: Some(name) }
    }
}

/// Returns a statement that inserts `count` tokens of the first administrator, with the IDs of
/// [`numbered_token_id`] from 1 on. Their values are unknown.
pub fn insert_tokens_sql(
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
         insert into token (id, workspace_id, person_id, digest, display_prefix, description, created_at, expires_at) \
         select {id}, 1, 1, {digest}, 'twd_', '{description}', {created_at}, {expires_at} from numbers"
    )
}

/// Returns the ID of a token that [`insert_tokens_sql`] inserted.
pub fn numbered_token_id(number: usize) -> String {
    format!("00000000-0000-7000-8000-{number:012x}")
}

/// Returns the name of the template database of this schema. It is created once for all test
/// processes that share a server.
async fn create_template() -> String {
    let name = format!("tokenward_template_{}", schema_hash());
    let unfinished = format!("{name}_unfinished");
    let mut connection = PgConnection::connect(&postgres::database_url("postgres")).await.unwrap();
    connection.execute("select pg_advisory_lock(7311)").await.unwrap();
    let exists: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(&name)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    if !exists {
        // A killed process may have left it behind.
        execute_on_server(&format!("drop database if exists {unfinished} with (force)")).await;
        execute_on_server(&format!("create database {unfinished} template template0")).await;
        let store =
            tokenward::http::server::open_store(&super::app::test_config(&postgres::database_url(&unfinished)), true)
                .await
                .unwrap();
        store.close().await;
        execute_on_server(&format!("alter database {unfinished} rename to {name}")).await;
    }
    connection.close().await.unwrap();
    name
}

/// Returns the first digits of a hash of all migrations, so that each schema version has its own
/// template.
fn schema_hash() -> String {
    let mut hash = Sha256::new();
    for migration in POSTGRES_MIGRATIONS.iter() {
        hash.update(&migration.checksum);
    }
    hex::encode(&hash.finalize()[..8])
}

/// Closes all connections of a database and removes it.
async fn drop_database(name: &str) {
    let mut connection = PgConnection::connect(&postgres::database_url("postgres")).await.unwrap();
    let terminate = "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = $1";
    // `with (force)` alone checks only every 100 ms whether the connections are closed.
    while 0 < sqlx::query_scalar::<_, i64>(terminate).bind(name).fetch_one(&mut connection).await.unwrap() {}
    connection.execute(sqlx::AssertSqlSafe(format!("drop database {name} with (force)"))).await.unwrap();
    connection.close().await.unwrap();
}

/// Runs an SQL statement in the `postgres` database.
async fn execute_on_server(statement: &str) {
    let mut connection = PgConnection::connect(&postgres::database_url("postgres")).await.unwrap();
    connection.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
    connection.close().await.unwrap();
}
