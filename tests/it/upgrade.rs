//! Upgrades of a database in use: from every older schema, with rows in all of its tables.
//!
//! The rows are inserted as SQL, as a release of that time left them, without any code of today.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sqlx::{Connection as _, PgConnection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokenward::{
    domain::{
        person::EmailKey,
        random::Random,
        session::{SessionDigest, SessionValue},
        time::Timestamp,
    },
    service::audit_verify::verify,
    store::SchemaStatus,
};
use tokenward_guard::token_format::TokenFormat;
use uuid::Uuid;

use crate::support::{
    Database, Engine, PASSWORD, POSTGRES_MIGRATIONS, SQLITE_MIGRATIONS, TestApp, TokenClient, basic_auth,
    both_databases_multi_thread,
};

/// The user agent of the web session.
const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0";
/// The time of the test clock.
const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

#[apply(both_databases_multi_thread)]
async fn rows_of_every_older_schema_work_after_migration(engine: Engine) {
    let mut scratch = TestApp::start(Engine::Sqlite).await;
    let password_hash = scratch.query_text("select password_hash from person").await.unwrap();
    let latest = POSTGRES_MIGRATIONS.iter().map(|migration| migration.version).max().unwrap();
    assert!(latest >= 5);
    for version in 1..=latest {
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
const RELEASED: [(i64, &str, &str); 6] = [
    (1, "926c3bf2aa453163", "9b11d2d67d5d5afe"),
    (2, "315e1861a76b86d1", "c9111c65fbd36d06"),
    (3, "f97033fbad0b6e12", "eb0bc7ec03b89c1e"),
    (4, "c3ad285b93e7fdad", "963beb7eeb412a86"),
    (5, "83b44e4f6e8230c6", "96794a073f556aa1"),
    (6, "8b8087be5b26f325", "7213ac52d2f778a0"),
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
}

/// Writes values as SQL literals of an engine.
struct SqlLiterals(Engine);

impl SqlLiterals {
    fn bytes(&self, bytes: &[u8]) -> String {
        let digits = hex::encode(bytes);
        match self.0 {
            Engine::Postgres => format!("'\\x{digits}'::bytea"),
            Engine::Sqlite => format!("x'{digits}'"),
        }
    }

    fn uuid(&self, id: Uuid) -> String {
        match self.0 {
            Engine::Postgres => format!("'{id}'::uuid"),
            Engine::Sqlite => self.bytes(id.as_bytes()),
        }
    }

    /// Returns the literal of a time, relative to the test clock.
    fn timestamp(&self, seconds: i64) -> String {
        let moment = NOW.plus_seconds(seconds);
        match self.0 {
            Engine::Postgres => format!("'{moment}'::timestamptz"),
            Engine::Sqlite => moment.as_millis().to_string(),
        }
    }

    fn boolean(&self, is_set: bool) -> &'static str {
        match (self.0, is_set) {
            (Engine::Postgres, true) => "true",
            (Engine::Postgres, false) => "false",
            (Engine::Sqlite, true) => "1",
            (Engine::Sqlite, false) => "0",
        }
    }

    fn insert_token(
        &self,
        token: &OldToken,
        (workspace, person): (i64, i64),
        created: i64,
        expires: Option<i64>,
    ) -> String {
        let (id, digest, created) = (self.uuid(token.id), self.bytes(&token.digest), self.timestamp(created));
        let expires = expires.map_or("null".to_owned(), |seconds| self.timestamp(seconds));
        let display_prefix = &token.value[..8];
        format!(
            "insert into token (id, workspace_id, person_id, digest, display_prefix, description, created_at, expires_at) \
             values ({id}, {workspace}, {person}, {digest}, '{display_prefix}', 'old data', {created}, {expires})"
        )
    }
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
        }
    }

    /// Returns the statements that insert the rows. People 1 to 4 are the administrator, Ada, a
    /// disabled person, and the administrator of the second workspace.
    fn row_statements(&self, engine: Engine, password_hash: &str) -> Vec<String> {
        let sql = SqlLiterals(engine);
        let (before, later) = (sql.timestamp(-86_400), sql.timestamp(-3_600));
        let mut rows = vec![
            format!(
                "insert into workspace (id, name, created_at, updated_at) values (1, 'Workspace 1', {before}, {before})"
            ),
            format!("insert into workspace (name, created_at, updated_at) values ('Lab', {before}, {later})"),
        ];
        for (workspace, email, is_admin, is_platform_admin, is_disabled, access) in [
            (1, "admin@example.com", true, true, false, "default"),
            (1, "ada@example.com", false, false, false, "enabled"),
            (1, "off@example.com", false, false, true, "enabled"),
            (2, "eve@other.example", true, false, false, "default"),
        ] {
            let [is_admin, is_platform_admin, is_disabled, must_change] =
                [is_admin, is_platform_admin, is_disabled, false].map(|flag| sql.boolean(flag));
            rows.push(format!(
                "insert into person (workspace_id, email, email_key, name, password_hash, is_admin, is_platform_admin, is_disabled, \
                 token_access, force_password_change, created_at, updated_at) values ({workspace}, '{email}', '{email}', 'Old data', \
                 '{password_hash}', {is_admin}, {is_platform_admin}, {is_disabled}, '{access}', {must_change}, {before}, {later})"
            ));
        }
        rows.extend([
            sql.insert_token(&self.unlimited, (1, 1), -3_600, None),
            sql.insert_token(&self.expires_later, (1, 1), -3_600, Some(3_600)),
            sql.insert_token(&self.expired, (1, 1), -3_600, Some(-1)),
            sql.insert_token(&self.of_disabled_person, (1, 3), -3_600, None),
            sql.insert_token(&self.of_ada, (1, 2), -3_600, None),
            sql.insert_token(&self.revoked, (2, 4), -3_600, None),
            sql.insert_token(&self.created_after_revocation, (2, 4), -1_800, None),
            format!(
                "insert into setting (workspace_id, key, value, updated_at) \
                 values (1, 'feature.apiAccessTokens.maxLifetimeDays', '7', {before})"
            ),
        ]);
        rows.extend(self.descendant_statements(&sql));
        let [key, body] = [sql.bytes(&[1; 32]), sql.bytes(&[2; 32])];
        let token_id = sql.uuid(self.unlimited.id);
        rows.push(format!(
            "insert into idempotency_record (key_digest, body_digest, person_id, encrypted_value, token_id, display_prefix, \
             description, created_at) values ({key}, {body}, 1, {key}, {token_id}, 'twd_', '', {later})"
        ));
        if self.version >= 2 {
            rows.extend(self.session_statements(&sql));
            let digest = sql.bytes(EmailKey::from_text("unknown@example.com").digest().as_bytes());
            rows.push(format!(
                "insert into login_failure (email_digest, failures, last_at) values ({digest}, 12, {later})"
            ));
        }
        if self.version >= 3 {
            rows.extend(Self::event_statements(&sql));
        }
        rows
    }

    fn session_statements(&self, sql: &SqlLiterals) -> Vec<String> {
        let (id, form) = (sql.uuid(self.session_id), sql.uuid(self.consumed_form));
        let digest: SessionDigest = self.session.digest();
        let (digest, created, last_seen) = (sql.bytes(digest.as_bytes()), sql.timestamp(-600), sql.timestamp(-60));
        vec![
            format!(
                "insert into web_session (id, digest, workspace_id, person_id, created_at, authenticated_at, last_seen_at, user_agent) \
                 values ({id}, {digest}, 1, 1, {created}, {created}, {last_seen}, '{USER_AGENT}')"
            ),
            format!("insert into consumed_form (session_id, id) values ({id}, {form})"),
        ]
    }

    /// Returns statements that insert two chained events.
    fn event_statements(sql: &SqlLiterals) -> Vec<String> {
        let details = ["{}", r#"{"from":"5","to":"7"}"#];
        let targets = ["feature.apiAccessTokens.enabled", "feature.apiAccessTokens.maxLifetimeDays"];
        let mut rows = Vec::new();
        let mut link = "0".repeat(64);
        for (n, (details, target)) in details.into_iter().zip(targets).enumerate() {
            let (seq, seconds) = (n + 1, i64::try_from(n).unwrap() - 3_600);
            let (at, millis) = (sql.timestamp(seconds), NOW.plus_seconds(seconds).as_millis());
            let columns = "workspace_id, occurred_at, actor_id, actor, action, outcome, target, label, details";
            let values =
                format!("1, {at}, 1, 'admin@example.com', 'setting.changed', 'success', '{target}', '', '{details}'");
            // SHA-256 of the previous hash in hexadecimal, a line feed and the columns as JSON. The
            // format is repeated here so that later releases must verify databases of today.
            let text = json!([
                seq,
                1,
                millis,
                1,
                "admin@example.com",
                null,
                "setting.changed",
                null,
                target,
                "",
                details,
                "192.0.2.1",
                "",
                "r",
                "success"
            ]);
            link = hex::encode(Sha256::digest(format!("{link}\n{text}")));
            let hash = sql.bytes(&hex::decode(&link).unwrap());
            rows.push(format!(
                "insert into event ({columns}, seq, hash, address, request_id) values ({values}, {seq}, {hash}, '192.0.2.1', 'r')"
            ));
        }
        let hash = sql.bytes(&hex::decode(&link).unwrap());
        rows.push(format!("update event_chain set seq = 2, hash = {hash} where workspace_id = 1"));
        rows
    }

    fn descendant_statements(&self, sql: &SqlLiterals) -> Vec<String> {
        let (child, parent, deleted) =
            (sql.uuid(self.child.id), sql.uuid(self.unlimited.id), sql.uuid(self.deleted.id));
        let (digest, display_prefix, at, revoked_before) =
            (sql.bytes(&self.deleted.digest), &self.deleted.value[..8], sql.timestamp(-60), sql.timestamp(-2_700));
        vec![
            format!("update person set tokens_revoked_before = {revoked_before} where email = 'eve@other.example'"),
            sql.insert_token(&self.child, (1, 1), -600, None),
            format!("update token set parent_id = {parent} where id = {child}"),
            format!(
                "insert into token_tombstone (id, digest, workspace_id, person_id, display_prefix, deleted_at) \
                 values ({deleted}, {digest}, 1, 1, '{display_prefix}', {at})"
            ),
        ]
    }

    async fn check_all(&self, app: TestApp) {
        self.check_tokens(&app).await;
        self.check_people_and_settings(&app).await;
        if self.version >= 2 {
            self.check_sessions(&app).await;
            let email = EmailKey::from_text("unknown@example.com").digest();
            assert_eq!(app.store.find_login_failures(&email, NOW).await.unwrap().unwrap().count, 12);
        }
        if self.version >= 3 {
            self.check_events(&app).await;
        }
        assert_eq!(app.store.purge_idempotency_records(NOW).await.unwrap(), 1);
        self.check_new_writes(&app).await;
        assert_eq!(verify(&app.store).await.unwrap().findings, [], "from version {}", self.version);
    }

    async fn check_tokens(&self, app: &TestApp) {
        for (token, status) in [
            (&self.unlimited, 200),
            (&self.expires_later, 200),
            (&self.expired, 401),
            (&self.of_disabled_person, 401),
            (&self.of_ada, 200),
            (&self.created_after_revocation, 200),
            (&self.revoked, 401),
            (&self.child, 200),
            (&self.deleted, 401),
        ] {
            let response = app.client_with_authorization(&[&format!("Bearer {}", token.value)]).get("/v4/auth").await;
            assert_eq!(response.status, status, "{} from version {}", token.id, self.version);
        }
        let listed = app.admin().get("/v4/apiAccessTokens").await.expect(200);
        let mut ids: Vec<&str> = listed.rows().iter().map(|row| row["tokenId"].as_str().unwrap()).collect();
        let mut expected: Vec<String> = [&self.unlimited, &self.expires_later, &self.expired, &self.child]
            .iter()
            .map(|token| token.id.to_string())
            .collect();
        ids.sort_unstable();
        expected.sort();
        assert_eq!(ids, expected);
        assert!(listed.rows().iter().all(|row| row["description"] == "old data"));
    }

    async fn check_people_and_settings(&self, app: &TestApp) {
        for (email, status) in
            [("admin@example.com", 200), ("ada@example.com", 200), ("eve@other.example", 200), ("off@example.com", 401)]
        {
            let response =
                app.client_with_authorization(&[&basic_auth(email, PASSWORD)]).get("/v4/people/current").await;
            assert_eq!(response.status, status, "{email}");
        }
        let days = |days: i64| json!({"lifetimeSeconds": days * 86_400});
        assert_eq!(
            app.admin().post("/v4/apiAccessTokens", &days(8)).await.status / 100,
            4,
            "the maximum lifetime is 7 days"
        );
        app.admin().post("/v4/apiAccessTokens", &days(7)).await.expect(201);
        let names = app.admin().get("/v4/workspaces").await.expect(200).text;
        assert!(names.contains("Workspace 1") && names.contains("Lab"), "{names}");
    }

    async fn check_sessions(&self, app: &TestApp) {
        let browser = app.browser().with_session_cookie(Some(format!("tokenward={}", self.session.expose())));
        let page = browser.get("/preferences/profile").await.expect(200).text;
        assert!(page.contains("admin@example.com") && page.contains("Firefox"));
        let form = self.consumed_form.to_string();
        let fields = [("form", form.as_str()), ("lifetime", "7")];
        let again = browser.post("/preferences/access-tokens/generate", &fields).await.status;
        assert!(matches!(again, 400 | 409), "{again}");
        browser.post("/preferences/profile/sessions/end-others", &[]).await.expect(303);
    }

    async fn check_events(&self, app: &TestApp) {
        let events = app.admin().get("/v4/events?allUsers=true&action=setting.changed").await.expect(200);
        let details: Vec<&Value> = events.rows().iter().map(|row| &row["details"]).collect();
        let expected = [json!({"from": "5", "to": "7"}), json!({})];
        assert_eq!(details, expected.iter().collect::<Vec<_>>(), "from version {}", self.version);
        assert!(events.rows().iter().all(|row| row["actor"] == "admin@example.com"));
    }

    /// Checks that new rows can be added and old ones deleted.
    async fn check_new_writes(&self, app: &TestApp) {
        let admin = app.admin();
        let bearer = TokenClient::from_response(
            &admin,
            &admin.post("/v4/apiAccessTokens", &crate::support::one_hour_token()).await.expect(201),
        );
        assert!(bearer.is_accepted().await);
        admin.add_person("new", false).await;
        let created = app.create_workspace_with_admin("third").await;
        assert_eq!(created.workspace_id, 3);
        let family = format!("/v4/apiAccessTokens/{}?descendants=true", self.unlimited.id);
        let deleted = admin.delete(&family).await;
        assert_eq!(deleted.status / 100, 2, "{}", deleted.text);
        for token in [&self.unlimited, &self.child] {
            let response = app.client_with_authorization(&[&format!("Bearer {}", token.value)]).get("/v4/auth").await;
            assert_eq!(response.status, 401);
        }
        admin.delete("/v4/people/2").await.expect(204);
        let orphan = app.client_with_authorization(&[&format!("Bearer {}", self.of_ada.value)]).get("/v4/auth").await;
        assert_eq!(orphan.status, 401);
        admin.delete("/v4/workspaces/2").await.expect(204);
        assert_eq!(
            app.client_with_authorization(&[&basic_auth("eve@other.example", PASSWORD)])
                .get("/v4/people/current")
                .await
                .status,
            401
        );
        app.state.denied_attempts().flush(true).await.unwrap();
        let events = admin.get("/v4/events?allUsers=true&action=token.rejected_revoked").await.expect(200);
        let targets: Vec<&Value> = events.rows().iter().map(|row| &row["target"]).collect();
        assert!(targets.contains(&&json!(self.deleted.id.to_string())), "{targets:?}");
    }
}
