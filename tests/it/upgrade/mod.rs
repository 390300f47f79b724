//! Upgrades of a database in use: from every older schema, with rows in all of its tables.
//!
//! The rows are inserted as SQL, as a release of that time left them, without any code of today.

mod checks;
mod literals;
mod rows;

use rstest::rstest;
use rstest_reuse::apply;
use sqlx::{Connection as _, PgConnection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokenward::{
    domain::{password_link::LinkValue, random::Random, session::SessionValue, time::Timestamp},
    store::SchemaStatus,
};
use tokenward_guard::token_format::TokenFormat;
use uuid::Uuid;

use crate::support::{Database, Engine, POSTGRES_MIGRATIONS, SQLITE_MIGRATIONS, TestApp, both_databases_multi_thread};
use literals::SqlLiterals;

/// The user agent of the web session.
const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0";
/// The time of the test clock.
const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

#[apply(both_databases_multi_thread)]
async fn rows_of_every_older_schema_work_after_migration(engine: Engine) {
    let mut scratch = TestApp::start(Engine::Sqlite).await;
    let password_hash = scratch.query_text("select password_hash from person").await.unwrap();
    let versions: Vec<i64> = POSTGRES_MIGRATIONS.iter().map(|migration| migration.version).collect();
    assert!(versions.len() >= 6);
    for version in versions {
        let database = database_at_version(engine, version).await;
        let old_data = OldData::new(version);
        for statement in old_data.row_statements(engine, &password_hash) {
            database.execute_sql(&statement).await;
        }
        let app = TestApp::start_with(database, |_| ()).await;
        assert_eq!(app.store.schema_status().await.unwrap(), SchemaStatus::Current, "from version {version}");
        old_data.check_all(app).await;
    }
}

#[apply(both_databases_multi_thread)]
async fn a_database_of_a_development_version_is_rejected_with_a_remedy(engine: Engine) {
    let database = database_at_version(engine, 1).await;
    let checksum = SqlLiterals(engine).bytes(&[7; 48]);
    database.execute_sql(&format!("update _sqlx_migrations set checksum = {checksum}")).await;
    let config = crate::support::test_config(&database.url);
    let error = tokenward::http::server::open_store(&config, true).await.err().unwrap();
    let text = format!("{error:#}");
    assert!(text.contains("development version") && text.contains("create a new database"), "{text}");
}

/// SHA-384 of each released migration, in hexadecimal, shortened. Migrations are append-only: a
/// change of the schema is a new file, and a new line here.
const RELEASED: [(i64, &str, &str); 20] = [
    (1, "926c3bf2aa453163", "9b11d2d67d5d5afe"),
    (2, "315e1861a76b86d1", "c9111c65fbd36d06"),
    (3, "f97033fbad0b6e12", "eb0bc7ec03b89c1e"),
    (4, "c3ad285b93e7fdad", "963beb7eeb412a86"),
    (5, "83b44e4f6e8230c6", "96794a073f556aa1"),
    (6, "8b8087be5b26f325", "7213ac52d2f778a0"),
    (7, "820ab0202fe9cc85", "ae489e97ca573cc0"),
    (8, "51b91a8b44df6c0b", "56057912042ef676"),
    (9, "cca58e3e12aad6b9", "131a8695b4288ebf"),
    (10, "101f9f9e2a3bedbc", "0977bb1f7b9dce4f"),
    (11, "bbe353ec6fae97b9", "1bbff03a0349340e"),
    (12, "8f41dd02f93a8b05", "e3bbc91313b2158a"),
    (13, "4cfee4877dbccbd5", "1b15313061491e05"),
    (14, "9cb818d4ad4d5d5b", "474b56a3a71a96f3"),
    (15, "e8b4ea002330cb32", "d0b94f6776047819"),
    (16, "30d8f98e68ef50d7", "b8ac0f5c7c88c96c"),
    (17, "abd4d4d9cf64ac95", "586277b4763c14d7"),
    (18, "b983c2f4c910098b", "aed9b06c8902e262"),
    (19, "62a85a32e068ffcc", "983d001b14528d6c"),
    (20, "cc4e2445c2e84a44", "060de28014c64059"),
];

#[test]
fn released_migrations_are_never_edited() {
    let checksum_prefix = |migrator: &sqlx::migrate::Migrator, version: i64| {
        let migration = migrator.iter().find(|migration| migration.version == version).unwrap();
        hex::encode(&migration.checksum)[..16].to_owned()
    };
    for (version, postgres, sqlite) in RELEASED {
        assert_eq!(checksum_prefix(&POSTGRES_MIGRATIONS, version), postgres, "migrations/postgres, version {version}");
        assert_eq!(checksum_prefix(&SQLITE_MIGRATIONS, version), sqlite, "migrations/sqlite, version {version}");
    }
    assert_eq!(POSTGRES_MIGRATIONS.iter().count(), RELEASED.len(), "add the new migration to the list");
}

/// Creates a database with the schema of this version.
async fn database_at_version(engine: Engine, version: i64) -> Database {
    let database = Database::empty(engine).await;
    match engine {
        Engine::Postgres => {
            let mut connection = PgConnection::connect(&database.url).await.unwrap();
            POSTGRES_MIGRATIONS.run_to(version, &mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
        Engine::Sqlite => {
            let file = database.url.trim_start_matches("sqlite:");
            let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
            let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
            SQLITE_MIGRATIONS.run_to(version, &mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
    }
    database
}

/// A token created by an older release.
struct OldToken {
    id: Uuid,
    value: String,
    digest: Vec<u8>,
}

impl OldToken {
    fn new() -> Self {
        let random = Random::system();
        let value = TokenFormat::default().generate(|bytes| random.fill(bytes));
        let digest = value.digest().as_bytes().to_vec();
        Self { id: Uuid::from_bytes(random.bytes()), value: value.expose().to_owned(), digest }
    }
}

/// Data of an older release.
struct OldData {
    version: i64,
    /// Tokens of the administrator: without expiry, and expiring later.
    unlimited: OldToken,
    expires_later: OldToken,
    /// An expired token, one of a disabled person, and one of Ada, who is enabled.
    expired: OldToken,
    of_disabled_person: OldToken,
    of_ada: OldToken,
    /// Tokens of the other administrator from before and after the revocation of all their tokens,
    /// a child of the first token, and a deleted token.
    revoked: OldToken,
    created_after_revocation: OldToken,
    child: OldToken,
    deleted: OldToken,
    session: SessionValue,
    session_id: Uuid,
    consumed_form: Uuid,
    /// The invite link of Ada.
    invite: LinkValue,
}

impl OldData {
    fn new(version: i64) -> Self {
        let random = Random::system();
        Self {
            version,
            unlimited: OldToken::new(),
            expires_later: OldToken::new(),
            expired: OldToken::new(),
            of_disabled_person: OldToken::new(),
            of_ada: OldToken::new(),
            revoked: OldToken::new(),
            created_after_revocation: OldToken::new(),
            child: OldToken::new(),
            deleted: OldToken::new(),
            session: SessionValue::generate(&random),
            session_id: Uuid::from_bytes(random.bytes()),
            consumed_form: Uuid::from_bytes(random.bytes()),
            invite: LinkValue::generate(&random),
        }
    }
}
