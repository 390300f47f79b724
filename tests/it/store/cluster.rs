//! The secret that authenticates messages between nodes, and who may come near it.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use tokenward::{config::CacheMode, store::Exposure};
use uuid::Uuid;

use crate::support::{Database, Engine, TestApp, postgres};

async fn app() -> TestApp {
    TestApp::with(Database::migrated(Engine::Postgres).await, |config| config.cache.mode = CacheMode::Off).await
}

#[tokio::test]
async fn a_secret_is_switched_only_to_one_that_is_accepted() {
    let app = app().await;
    let nodes = app.store.nodes().unwrap();
    let first = nodes.state().await.unwrap().secret;
    assert_eq!(first.accepted, None);
    assert!(!nodes.sign_with([7; 32]).await.unwrap());
    nodes.accept_secret(Some([7; 32])).await.unwrap();
    assert!(!nodes.sign_with([8; 32]).await.unwrap());
    assert!(nodes.sign_with([7; 32]).await.unwrap());
    let secret = nodes.state().await.unwrap().secret;
    assert_eq!((secret.signing, secret.accepted), ([7; 32], Some(first.signing)));
    nodes.accept_secret(None).await.unwrap();
    assert_eq!(nodes.state().await.unwrap().secret.accepted, None);
    assert_eq!(format!("{secret:?}"), "ClusterSecret([hidden])");
}

#[tokio::test]
async fn each_database_has_a_secret_of_its_own_and_no_lease_is_longer_than_ten_seconds() {
    let (one, two) = (Database::empty(Engine::Postgres).await, Database::empty(Engine::Postgres).await);
    let mut secrets = Vec::new();
    for database in [one, two] {
        let app = TestApp::with(database, |config| config.cache.mode = CacheMode::Off).await;
        let nodes = app.store.nodes().unwrap();
        secrets.push(nodes.state().await.unwrap().secret.signing);
        assert_eq!(nodes.longest_lease().await.unwrap(), None);
        nodes.join(Uuid::from_u128(1), Duration::from_secs(10), "x").await.unwrap();
        assert_eq!(nodes.longest_lease().await.unwrap(), Some(Duration::from_secs(10)));
        assert!(nodes.join(Uuid::from_u128(2), Duration::from_millis(10_001), "x").await.is_err());
    }
    assert_ne!(secrets[0], secrets[1]);
}

/// A role of the server that owns nothing and was given nothing.
async fn stranger(database: &Database) -> PgConnection {
    let name = format!("stranger_{}", Uuid::from_u128(rand::random()).simple());
    database.run(&format!("create role {name} login")).await;
    PgConnection::connect(&database.url.replace("postgres@", &format!("{name}@"))).await.unwrap()
}

#[tokio::test]
async fn a_stranger_reads_no_secret_and_has_nothing_signed() {
    let app = app().await;
    let mut stranger = stranger(&app.database).await;
    for attempt in [
        "select * from cluster_secret",
        "select cluster_mac('left x')",
        "select announce('everything')",
        "create temp table t (id bigint, digest bytea); \
         create trigger t after insert on t for each row execute function announce_everything()",
        "create temp table t (id bigint); create trigger t after delete on t for each row execute function announce_person()",
    ] {
        let refused = stranger.execute(attempt).await.unwrap_err().to_string();
        assert!(refused.contains("permission denied"), "{attempt}: {refused}");
    }
}

/// Reports are written by roles that may read all tables, also those that come later.
#[tokio::test]
async fn default_privileges_do_not_reach_the_secret() {
    let database = Database::empty(Engine::Postgres).await;
    let name = format!("reader_{}", Uuid::from_u128(rand::random()).simple());
    database.run(&format!("create role {name}")).await;
    database.run(&format!("alter default privileges grant select on tables to {name}, public")).await;
    let app = TestApp::with(database, |config| config.cache.mode = CacheMode::Off).await;
    let mut connection = PgConnection::connect(&app.database.url).await.unwrap();
    for (role, table, may) in
        [(name.as_str(), "person", true), (&name, "cluster_secret", false), ("public", "cluster_secret", false)]
    {
        let ask = format!("select has_table_privilege('{role}', '{table}', 'select')");
        let row = connection.fetch_one(AssertSqlSafe(ask)).await.unwrap();
        assert_eq!(row.get::<bool, _>(0), may, "{role} {table}");
    }
    let nodes = app.store.nodes().unwrap();
    assert_eq!(
        nodes.exposure().await.unwrap(),
        Exposure { public_may_connect: true, others_may_read_secret: false },
        "as PostgreSQL makes a database"
    );
    app.database.run(&format!("grant select on cluster_secret to {name}")).await;
    let database: String = connection.fetch_one("select current_database()").await.unwrap().get::<String, _>(0);
    app.database.run(&format!("revoke connect on database {database} from public")).await;
    assert_eq!(nodes.exposure().await.unwrap(), Exposure { public_may_connect: false, others_may_read_secret: true });
}

/// A role that was given a table deletes from it: its search path leads to tables of its own, and the nodes hear of it all the same.
#[tokio::test]
async fn what_another_role_changes_is_signed_as_well() {
    let app = TestApp::start(Engine::Postgres).await;
    let name = format!("cleaner_{}", Uuid::from_u128(rand::random()).simple());
    app.database
        .run(&format!(
            "create role {name} login; grant select, delete on token to {name}; grant insert on deleted_token to {name}"
        ))
        .await;
    let bearer = app.admin().bearer().await;
    bearer.get("/v4/auth").await.expect(200);
    assert_eq!(app.app.live().tally().tokens, 1);
    let url = app.database.url.replace("postgres@", &format!("{name}@"));
    let mut cleaner = PgConnection::connect(&url).await.unwrap();
    cleaner.execute("create temp table cluster_secret (id integer, inner_pad bytea, outer_pad bytea)").await.unwrap();
    cleaner.execute("delete from token").await.unwrap();
    // An operation of ours comes through the same queue behind it.
    app.set("maxLifetimeDays", 7).await;
    assert_eq!((app.app.live().tally().tokens, app.app.live().tally().dropped), (0, 0));
    bearer.get("/v4/auth").await.expect(401);
    assert!(postgres::url("x").contains("postgres@"));
}
