//! The cluster secret, which authenticates messages between nodes, and its access control.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use tokenward::{config::CacheMode, store::ClusterExposure};
use uuid::Uuid;

use crate::support::{Database, Engine, TestApp, postgres};

async fn start_without_cache() -> TestApp {
    TestApp::start_with(Database::migrated(Engine::Postgres).await, |config| config.cache.mode = CacheMode::Off).await
}

#[tokio::test]
async fn the_signing_secret_switches_only_to_the_accepted_one() {
    let app = start_without_cache().await;
    let nodes = app.store.cluster().unwrap();
    let first = nodes.state().await.unwrap().secret;
    assert_eq!(first.accepted, None);
    assert!(!nodes.switch_signing_secret([7; 32]).await.unwrap());
    nodes.accept_secret(Some([7; 32])).await.unwrap();
    assert!(!nodes.switch_signing_secret([8; 32]).await.unwrap());
    assert!(nodes.switch_signing_secret([7; 32]).await.unwrap());
    let secret = nodes.state().await.unwrap().secret;
    assert_eq!((secret.signing, secret.accepted), ([7; 32], Some(first.signing)));
    nodes.accept_secret(None).await.unwrap();
    assert_eq!(nodes.state().await.unwrap().secret.accepted, None);
    assert_eq!(format!("{secret:?}"), "ClusterSecret([hidden])");
}

#[tokio::test]
async fn each_database_has_its_own_secret_and_leases_last_at_most_two_minutes() {
    let (one, two) = (Database::empty(Engine::Postgres).await, Database::empty(Engine::Postgres).await);
    let mut secrets = Vec::new();
    for database in [one, two] {
        let app = TestApp::start_with(database, |config| config.cache.mode = CacheMode::Off).await;
        let nodes = app.store.cluster().unwrap();
        secrets.push(nodes.state().await.unwrap().secret.signing);
        assert_eq!(nodes.longest_lease().await.unwrap(), None);
        nodes.join(Uuid::from_u128(1), Duration::from_secs(10), "x").await.unwrap();
        assert_eq!(nodes.longest_lease().await.unwrap(), Some(Duration::from_secs(10)));
        assert!(nodes.join(Uuid::from_u128(2), Duration::from_millis(120_001), "x").await.is_err());
    }
    assert_ne!(secrets[0], secrets[1]);
}

/// Connects as a role without any grants.
async fn connect_as_unprivileged_role(database: &Database) -> PgConnection {
    let name = format!("stranger_{}", Uuid::from_u128(rand::random()).simple());
    database.execute_sql(&format!("create role {name} login")).await;
    PgConnection::connect(&database.url.replace("postgres@", &format!("{name}@"))).await.unwrap()
}

#[tokio::test]
async fn an_unprivileged_role_cannot_read_the_secret_or_sign_messages() {
    let app = start_without_cache().await;
    let mut connection = connect_as_unprivileged_role(&app.database).await;
    for attempt in [
        "select * from cluster_secret",
        "select cluster_mac('leave x')",
        "select notify_change('everything')",
        "create temp table t (id bigint, digest bytea); \
         create trigger t after insert on t for each row execute function notify_everything()",
        "create temp table t (id bigint); create trigger t after delete on t for each row execute function notify_person()",
    ] {
        let error = connection.execute(attempt).await.unwrap_err().to_string();
        assert!(error.contains("permission denied"), "{attempt}: {error}");
    }
}

/// Reporting roles may have default privileges on all tables, including future ones.
#[tokio::test]
async fn default_privileges_do_not_expose_the_secret() {
    let database = Database::empty(Engine::Postgres).await;
    let name = format!("reader_{}", Uuid::from_u128(rand::random()).simple());
    database.execute_sql(&format!("create role {name}")).await;
    database.execute_sql(&format!("alter default privileges grant select on tables to {name}, public")).await;
    let app = TestApp::start_with(database, |config| config.cache.mode = CacheMode::Off).await;
    let mut connection = PgConnection::connect(&app.database.url).await.unwrap();
    for (role, table, may) in
        [(name.as_str(), "person", true), (&name, "cluster_secret", false), ("public", "cluster_secret", false)]
    {
        let query = format!("select has_table_privilege('{role}', '{table}', 'select')");
        let row = connection.fetch_one(AssertSqlSafe(query)).await.unwrap();
        assert_eq!(row.get::<bool, _>(0), may, "{role} {table}");
    }
    let nodes = app.store.cluster().unwrap();
    assert_eq!(
        nodes.find_exposure().await.unwrap(),
        ClusterExposure { public_may_connect: true, others_may_read_secret: false },
        "the default of a new PostgreSQL database"
    );
    app.database.execute_sql(&format!("grant select on cluster_secret to {name}")).await;
    let database: String = connection.fetch_one("select current_database()").await.unwrap().get::<String, _>(0);
    app.database.execute_sql(&format!("revoke connect on database {database} from public")).await;
    assert_eq!(
        nodes.find_exposure().await.unwrap(),
        ClusterExposure { public_may_connect: false, others_may_read_secret: true }
    );
}

/// A role with grants on a table deletes rows, with a search path that leads to tables of its own.
/// The nodes receive the invalidation all the same.
#[tokio::test]
async fn changes_by_another_role_are_signed() {
    let app = TestApp::start(Engine::Postgres).await;
    let name = format!("cleaner_{}", Uuid::from_u128(rand::random()).simple());
    app.database
        .execute_sql(&format!(
            "create role {name} login; grant select, delete on token to {name}; grant insert on token_tombstone to {name}"
        ))
        .await;
    let bearer = app.admin().create_token().await;
    bearer.get("/v4/auth").await.expect(200);
    assert_eq!(app.state.node().stats().tokens, 1);
    let url = app.database.url.replace("postgres@", &format!("{name}@"));
    let mut cleaner = PgConnection::connect(&url).await.unwrap();
    cleaner.execute("create temp table cluster_secret (id integer, inner_pad bytea, outer_pad bytea)").await.unwrap();
    cleaner.execute("delete from token").await.unwrap();
    // A mutation of the service uses the same queue, so its message arrives afterwards.
    app.set_setting("maxLifetimeDays", 7).await;
    assert_eq!((app.state.node().stats().tokens, app.state.node().stats().dropped_messages), (0, 0));
    bearer.get("/v4/auth").await.expect(401);
    assert!(postgres::database_url("x").contains("postgres@"));
}
