//! The schema's version: bringing it up to date, and telling whether it is.

use sqlx::{
    Connection as _, Executor as _,
    migrate::{MigrateError, Migrator},
};

use super::{Pool, Result, Store, on_pool};

static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");
static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");

/// How the database's schema stands to this program's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    Current,
    /// There are migrations to run.
    Behind {
        database: i64,
        program: i64,
    },
    /// A newer program has migrated it; an older one must not touch it.
    Ahead {
        database: i64,
        program: i64,
    },
}

impl Store {
    /// Compares the database's schema with this program's.
    ///
    /// # Errors
    /// [`Error::Unavailable`](super::Error::Unavailable).
    pub async fn schema(&self) -> Result<Schema> {
        let (migrator, exists) = match self.pool {
            Pool::Postgres(_) => (
                &POSTGRES,
                "select count(*) from pg_tables where tablename = $1 and schemaname = any(current_schemas(false))",
            ),
            Pool::Sqlite(_) => (&SQLITE, "select count(*) from sqlite_master where type = 'table' and name = $1"),
        };
        let program = migrator.iter().map(|migration| migration.version).max().unwrap_or(0);
        let tables: i64 =
            on_pool!(self, pool => sqlx::query_scalar(exists).bind("_sqlx_migrations").fetch_one(pool).await)?;
        let database = if tables == 0 { 0 } else { self.latest_migration().await? };
        Ok(match database.cmp(&program) {
            std::cmp::Ordering::Equal => Schema::Current,
            std::cmp::Ordering::Less => Schema::Behind { database, program },
            std::cmp::Ordering::Greater => Schema::Ahead { database, program },
        })
    }

    async fn latest_migration(&self) -> Result<i64> {
        const LATEST: &str = "select coalesce(max(version), 0) from _sqlx_migrations where success";
        Ok(on_pool!(self, pool => sqlx::query_scalar(LATEST).fetch_one(pool).await)?)
    }

    /// Runs the migrations that are missing. Nodes that start at once take turns, by an advisory lock.
    ///
    /// # Errors
    /// Whatever the database said; the schema is left at a whole version.
    pub async fn migrate(&self) -> std::result::Result<(), MigrateError> {
        match &self.pool {
            Pool::Postgres(hosts) => {
                // On a connection of its own without a time limit: other nodes wait here while one migrates.
                let mut connection = hosts.pool().acquire().await?.detach();
                connection.execute("set statement_timeout = 0").await?;
                POSTGRES.run(&mut connection).await?;
                Ok(connection.close().await?)
            }
            Pool::Sqlite(pool) => SQLITE.run(pool).await,
        }
    }
}
