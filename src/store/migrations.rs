//! Schema migrations, and the comparison of the database's schema version with the program's.

use std::sync::LazyLock;

use sqlx::{
    Connection as _, Executor as _, PgPool, SqlSafeStr as _,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

use super::{Pool, Result, Store, error::driver_message, on_pool};
use crate::domain::causes::Causes;

/// Creates the migrator of a folder below `migrations`. Add new files here. (A macro of sqlx lists the
/// folder itself, but compiles both drivers a second time for the compiler.)
macro_rules! migrator {
    ($folder:literal) => {
        migrator!($folder, [
            1 "people and tokens" "0001_people_and_tokens.sql",
            2 "sessions and logins" "0002_sessions_and_logins.sql",
            3 "audit log" "0003_audit_log.sql",
            4 "cluster" "0004_cluster.sql",
            5 "counts" "0005_counts.sql",
            6 "longer leases" "0006_longer_leases.sql",
            7 "password links" "0007_password_links.sql",
            8 "sign ins" "0008_sign_ins.sql",
            9 "external identities" "0009_external_identities.sql",
            10 "token limits" "0010_token_limits.sql",
            11 "inventory" "0011_inventory.sql",
            12 "webhooks" "0012_webhooks.sql",
            13 "service accounts" "0013_service_accounts.sql",
            14 "mail" "0014_mail.sql",
            15 "openid connect" "0015_openid_connect.sql",
            16 "scim" "0016_scim.sql",
            17 "saml" "0017_saml.sql",
            18 "trust rules" "0018_trust_rules.sql",
            19 "device authorizations" "0019_device_authorizations.sql",
            20 "account linking" "0020_account_linking.sql",
        ])
    };
    ($folder:literal, [$($version:literal $description:literal $file:literal,)*]) => {
        LazyLock::new(|| {
            let migrations = [$((
                $version,
                $description,
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/", $folder, "/", $file)),
            )),*];
            let migrations = migrations.map(|(version, description, sql)| {
                Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
            });
            Migrator::with_migrations(migrations.into())
        })
    };
}

static POSTGRES: LazyLock<Migrator> = migrator!("postgres");
static SQLITE: LazyLock<Migrator> = migrator!("sqlite");

/// Returns the schema version of this program.
pub(super) fn program_version() -> i32 {
    let version = POSTGRES.iter().map(|migration| migration.version).max().unwrap_or(0);
    i32::try_from(version).unwrap_or(i32::MAX)
}

/// Schema version of the database compared with the program's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaStatus {
    Current,
    /// Migrations are pending.
    Behind {
        database: i64,
        program: i64,
    },
    /// A newer program has migrated the database. An older one must not use it.
    Ahead {
        database: i64,
        program: i64,
    },
    /// An applied migration differs from the program's: a development version before 0.1 created
    /// the database.
    Incompatible {
        version: i64,
    },
}

/// A migration that failed. The text has the remedy if a right is missing.
#[derive(Debug, thiserror::Error)]
#[error("failed to migrate the database: {cause}{remedy}")]
pub struct MigrationError {
    cause: String,
    remedy: String,
}

impl MigrationError {
    /// Describes an error of the migrator for the user of the connection and its schema.
    fn new(error: &MigrateError, owner: &Grantee) -> Self {
        let cause = match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => driver_message(error),
            other => Causes(other).to_string(),
        };
        let is_create_denied = cause.contains("permission denied for schema");
        let Grantee { user, schema } = owner;
        let remedy = if is_create_denied {
            format!("; grant it as the owner of the database: GRANT CREATE ON SCHEMA {schema} TO {user}")
        } else {
            String::new()
        };
        Self { cause, remedy }
    }
}

/// The user of a connection, and the schema in which it creates tables.
struct Grantee {
    user: String,
    schema: String,
}

impl Store {
    /// Compares the database's schema version with the program's.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn schema_status(&self) -> Result<SchemaStatus> {
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
        let applied = if tables == 0 { Vec::new() } else { self.list_applied_migrations().await? };
        let differs = |(version, checksum): &&(i64, Vec<u8>)| {
            migrator.iter().any(|known| known.version == *version && *known.checksum != **checksum)
        };
        if let Some((version, _)) = applied.iter().find(differs) {
            return Ok(SchemaStatus::Incompatible { version: *version });
        }
        let database = applied.iter().map(|(version, _)| *version).max().unwrap_or(0);
        Ok(match database.cmp(&program) {
            std::cmp::Ordering::Equal => SchemaStatus::Current,
            std::cmp::Ordering::Less => SchemaStatus::Behind { database, program },
            std::cmp::Ordering::Greater => SchemaStatus::Ahead { database, program },
        })
    }

    /// Returns the version and the checksum of each applied migration.
    async fn list_applied_migrations(&self) -> Result<Vec<(i64, Vec<u8>)>> {
        const APPLIED: &str = "select version, checksum from _sqlx_migrations where success order by version";
        Ok(on_pool!(self, pool => sqlx::query_as(APPLIED).fetch_all(pool).await)?)
    }

    /// Applies the pending migrations. Nodes that start at the same time take turns, by an advisory
    /// lock.
    ///
    /// # Errors
    /// Returns the error of the first migration that fails. The schema then stays at the version
    /// before it.
    pub async fn migrate(&self) -> std::result::Result<(), MigrationError> {
        let migrated = match &self.pool {
            Pool::Postgres(failover) => migrate_postgres(&failover.pool()).await,
            Pool::Sqlite(pool) => SQLITE.run(pool).await,
        };
        match migrated {
            Ok(()) => Ok(()),
            Err(error) => Err(MigrationError::new(&error, &self.grantee().await)),
        }
    }

    /// Returns the user and the schema for the text of a missing right. If they cannot be read,
    /// placeholders take their place.
    async fn grantee(&self) -> Grantee {
        const NAMES: &str = "select current_user::text, coalesce(current_schema()::text, 'public')";
        let names: Option<(String, String)> = match &self.pool {
            Pool::Postgres(failover) => sqlx::query_as(NAMES).fetch_one(&failover.pool()).await.ok(),
            Pool::Sqlite(_) => None,
        };
        let (user, schema) = names.unwrap_or_else(|| ("USER".to_owned(), "public".to_owned()));
        Grantee { user, schema }
    }
}

async fn migrate_postgres(pool: &PgPool) -> std::result::Result<(), MigrateError> {
    // A dedicated connection without a statement timeout, because other nodes wait here while one
    // migrates.
    let mut connection = pool.acquire().await?.detach();
    connection.execute("set statement_timeout = 0").await?;
    POSTGRES.run(&mut connection).await?;
    Ok(connection.close().await?)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[tokio::test]
    async fn every_file_of_the_folders_is_a_migration() {
        for (migrator, folder) in [(&POSTGRES, "postgres"), (&SQLITE, "sqlite")] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
            let files = Migrator::new(path).await.unwrap();
            let facts = |migrator: &Migrator| -> Vec<_> {
                let facts = migrator.iter().map(|m| (m.version, m.description.clone(), m.checksum.clone(), m.no_tx));
                facts.collect()
            };
            assert_eq!(facts(migrator), facts(&files), "{folder}");
        }
    }
}
