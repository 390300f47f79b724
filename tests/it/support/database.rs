//! A database for one test.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};
use tempfile::TempDir;
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

/// A migrated database that the others are copies of.
static TEMPLATE: OnceCell<()> = OnceCell::const_new();
static NUMBER: AtomicU32 = AtomicU32::new(0);
const TEMPLATE_NAME: &str = "tokenward_template";

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
        TEMPLATE.get_or_init(make_template).await;
        Self::postgres(TEMPLATE_NAME).await
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
        let name = format!("t{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        administer(&format!("create database {name} template {template}")).await;
        Self { url: postgres::url(&name), engine: Engine::Postgres, _folder: None }
    }
}

async fn make_template() {
    administer(&format!("drop database if exists {TEMPLATE_NAME}")).await;
    administer(&format!("create database {TEMPLATE_NAME}")).await;
    let config = super::app::config(&postgres::url(TEMPLATE_NAME));
    let store = tokenward::server::open_store(&config, true).await.unwrap();
    store.close().await;
}

/// Runs a statement on the server's own database.
pub async fn administer(statement: &str) {
    let mut connection = PgConnection::connect(&postgres::url("postgres")).await.unwrap();
    connection.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
    connection.close().await.unwrap();
}
