//! A database in use is brought up to date: of every older schema, with rows in every table that it had.
//!
//! The rows are written as SQL, as a program of that time left them, and by nothing of the program of today.

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
    store::Schema,
};
use tokenward_guard::token_format::TokenFormat;
use uuid::Uuid;

use crate::support::{Bearer, Database, Engine, PASSWORD, POSTGRES, SQLITE, TestApp, basic};

on_both_databases!(rows_of_every_older_schema_work_in_the_present_one);

/// What a browser called itself.
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0";
/// The moment at which the tests' clock stands.
const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

async fn rows_of_every_older_schema_work_in_the_present_one(engine: Engine) {
    let mut scratch = TestApp::start(Engine::Sqlite).await;
    let password_hash = scratch.look("select password_hash from person").await.unwrap();
    let latest = POSTGRES.iter().map(|migration| migration.version).max().unwrap();
    assert!(latest >= 8);
    for version in 1..=latest {
        let database = at_version(engine, version).await;
        let past = Past::new(version);
        for statement in past.rows(engine, &password_hash) {
            database.run(&statement).await;
        }
        let app = TestApp::with(database, |_| ()).await;
        assert_eq!(app.store.schema().await.unwrap(), Schema::Current, "from version {version}");
        past.check(app).await;
    }
}

/// A database with the schema of a version.
async fn at_version(engine: Engine, version: i64) -> Database {
    let database = Database::empty(engine).await;
    match engine {
        Engine::Postgres => {
            let mut connection = PgConnection::connect(&database.url).await.unwrap();
            POSTGRES.run_to(version, &mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
        Engine::Sqlite => {
            let file = database.url.trim_start_matches("sqlite:");
            let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
            let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
            SQLITE.run_to(version, &mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
    }
    database
}

/// A token of that time.
struct Token {
    id: Uuid,
    value: String,
    digest: Vec<u8>,
}

impl Token {
    fn new() -> Self {
        let random = Random::system();
        let value = TokenFormat::default().generate(|bytes| random.fill(bytes));
        let digest = value.digest().as_bytes().to_vec();
        Self { id: Uuid::from_bytes(random.bytes()), value: value.expose().to_owned(), digest }
    }
}

/// What was there before, and what is known of it.
struct Past {
    version: i64,
    /// Tokens of the administrator that live: for ever, and until later.
    live: Token,
    until_later: Token,
    /// One that has expired, one of a person who is disabled, and one of Ada, who is not.
    expired: Token,
    of_disabled: Token,
    of_ada: Token,
    /// From version 7 on: tokens of the other workspace's administrator from before and behind the deletion of all, one that was
    /// made by the first, and one that is gone.
    dead: Token,
    behind: Token,
    child: Token,
    gone: Token,
    session: SessionValue,
    session_id: Uuid,
    spent_form: Uuid,
}

/// How values are written in the SQL of an engine.
struct Sql(Engine);

impl Sql {
    fn bytes(&self, bytes: &[u8]) -> String {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self.0 {
            Engine::Postgres => format!("'\\x{digits}'::bytea"),
            Engine::Sqlite => format!("x'{digits}'"),
        }
    }

    fn id(&self, id: Uuid) -> String {
        match self.0 {
            Engine::Postgres => format!("'{id}'::uuid"),
            Engine::Sqlite => self.bytes(id.as_bytes()),
        }
    }

    /// A moment, so many seconds from now.
    fn at(&self, seconds: i64) -> String {
        let moment = NOW.plus_seconds(seconds);
        match self.0 {
            Engine::Postgres => format!("'{moment}'::timestamptz"),
            Engine::Sqlite => moment.as_millis().to_string(),
        }
    }

    fn flag(&self, is_set: bool) -> &'static str {
        match (self.0, is_set) {
            (Engine::Postgres, true) => "true",
            (Engine::Postgres, false) => "false",
            (Engine::Sqlite, true) => "1",
            (Engine::Sqlite, false) => "0",
        }
    }

    fn token(&self, token: &Token, (workspace, person): (i64, i64), created: i64, expires: Option<i64>) -> String {
        let (id, digest, created) = (self.id(token.id), self.bytes(&token.digest), self.at(created));
        let expires = expires.map_or("null".to_owned(), |seconds| self.at(seconds));
        let hint = &token.value[..8];
        format!(
            "insert into token (id, workspace_id, person_id, digest, hint, description, created_at, expires_at) \
             values ({id}, {workspace}, {person}, {digest}, '{hint}', 'of old', {created}, {expires})"
        )
    }
}

impl Past {
    fn new(version: i64) -> Self {
        let random = Random::system();
        Self {
            version,
            live: Token::new(),
            until_later: Token::new(),
            expired: Token::new(),
            of_disabled: Token::new(),
            of_ada: Token::new(),
            dead: Token::new(),
            behind: Token::new(),
            child: Token::new(),
            gone: Token::new(),
            session: SessionValue::make(&random),
            session_id: Uuid::from_bytes(random.bytes()),
            spent_form: Uuid::from_bytes(random.bytes()),
        }
    }

    /// The statements that write the rows: people 1 to 4 are the administrator, Ada, somebody disabled, and the administrator of the
    /// second workspace.
    fn rows(&self, engine: Engine, password_hash: &str) -> Vec<String> {
        let sql = Sql(engine);
        let (before, later) = (sql.at(-86_400), sql.at(-3_600));
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
                [is_admin, is_platform_admin, is_disabled, false].map(|flag| sql.flag(flag));
            rows.push(format!(
                "insert into person (workspace_id, email, email_key, name, password_hash, is_admin, is_platform_admin, is_disabled, \
                 token_access, force_password_change, created_at, updated_at) values ({workspace}, '{email}', '{email}', 'Of old', \
                 '{password_hash}', {is_admin}, {is_platform_admin}, {is_disabled}, '{access}', {must_change}, {before}, {later})"
            ));
        }
        rows.extend([
            sql.token(&self.live, (1, 1), -3_600, None),
            sql.token(&self.until_later, (1, 1), -3_600, Some(3_600)),
            sql.token(&self.expired, (1, 1), -3_600, Some(-1)),
            sql.token(&self.of_disabled, (1, 3), -3_600, None),
            sql.token(&self.of_ada, (1, 2), -3_600, None),
            sql.token(&self.dead, (2, 4), -3_600, None),
            sql.token(&self.behind, (2, 4), -1_800, None),
            format!(
                "insert into setting (workspace_id, key, value, updated_at) \
                 values (1, 'feature.apiAccessTokens.maxLifetimeDays', '7', {before})"
            ),
        ]);
        if self.version >= 3 {
            rows.extend(self.sessions(&sql));
        }
        if self.version >= 4 {
            rows.extend(self.events(&sql));
        }
        if self.version >= 5 {
            let digest = sql.bytes(EmailKey::of("stranger@example.com").digest().as_bytes());
            let tries =
                format!("insert into password_try (email_digest, failures, last_at) values ({digest}, 12, {later})");
            rows.push(tries);
        }
        if self.version >= 7 {
            rows.extend(self.lineage(&sql));
        }
        if self.version >= 8 {
            let [key, body] = [sql.bytes(&[1; 32]), sql.bytes(&[2; 32])];
            let token_id = sql.id(self.live.id);
            rows.push(format!(
                "insert into idempotent_create (key_digest, body_digest, person_id, sealed, token_id, hint, description, created_at) \
                 values ({key}, {body}, 1, {key}, {token_id}, 'twd_', '', {later})"
            ));
        }
        rows
    }

    fn sessions(&self, sql: &Sql) -> Vec<String> {
        let (id, form) = (sql.id(self.session_id), sql.id(self.spent_form));
        let digest: SessionDigest = self.session.digest();
        let (digest, begun, seen) = (sql.bytes(digest.as_bytes()), sql.at(-600), sql.at(-60));
        vec![
            format!(
                "insert into web_session (id, digest, workspace_id, person_id, begun_at, proven_at, seen_at, user_agent) \
                 values ({id}, {digest}, 1, 1, {begun}, {begun}, {seen}, '{BROWSER}')"
            ),
            format!("insert into spent_form (session_id, id) values ({id}, {form})"),
        ]
    }

    /// Two events: from before there was a chain, with details that were free text, or in a chain.
    fn events(&self, sql: &Sql) -> Vec<String> {
        let details = if self.version < 6 { ["", "from 5 to 7"] } else { ["{}", r#"{"from":"5","to":"7"}"#] };
        let targets = ["feature.apiAccessTokens.enabled", "feature.apiAccessTokens.maxLifetimeDays"];
        let mut rows = Vec::new();
        let mut link = "0".repeat(64);
        for (n, (details, target)) in details.into_iter().zip(targets).enumerate() {
            let (seq, seconds) = (n + 1, i64::try_from(n).unwrap() - 3_600);
            let (at, millis) = (sql.at(seconds), NOW.plus_seconds(seconds).as_millis());
            let columns = "workspace_id, at, actor_id, actor, action, target, label, details";
            let values = format!("1, {at}, 1, 'admin@example.com', 'setting.changed', '{target}', '', '{details}'");
            if self.version < 6 {
                rows.push(format!("insert into event ({columns}) values ({values})"));
                continue;
            }
            // SHA-256 over the hash before it, a line feed and the columns as JSON: written down here, so that a database of today can be verified
            // by whatever comes after.
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
                "done"
            ]);
            link = hex(&Sha256::digest(format!("{link}\n{text}")));
            let hash = sql.bytes(&unhex(&link));
            rows.push(format!(
                "insert into event ({columns}, seq, hash, address, request_id) values ({values}, {seq}, {hash}, '192.0.2.1', 'r')"
            ));
        }
        if self.version >= 6 {
            let (hash, beginning) = (sql.bytes(&unhex(&link)), sql.bytes(&[0; 32]));
            rows.push(format!(
                "insert into event_chain (workspace_id, seq, hash, anchor_seq, anchor_hash) values (1, 2, {hash}, 0, {beginning}) \
                 on conflict (workspace_id) do update set seq = excluded.seq, hash = excluded.hash"
            ));
        }
        rows
    }

    fn lineage(&self, sql: &Sql) -> Vec<String> {
        let (child, parent, gone) = (sql.id(self.child.id), sql.id(self.live.id), sql.id(self.gone.id));
        let (digest, hint, at, dead_until) =
            (sql.bytes(&self.gone.digest), &self.gone.value[..8], sql.at(-60), sql.at(-2_700));
        vec![
            format!("update person set tokens_dead_until = {dead_until} where email = 'eve@other.example'"),
            sql.token(&self.child, (1, 1), -600, None),
            format!("update token set parent_id = {parent} where id = {child}"),
            format!(
                "insert into deleted_token (id, digest, workspace_id, person_id, hint, deleted_at) \
                 values ({gone}, {digest}, 1, 1, '{hint}', {at})"
            ),
        ]
    }

    async fn check(&self, app: TestApp) {
        self.tokens_work(&app).await;
        self.people_and_settings_are_there(&app).await;
        if self.version >= 3 {
            self.sessions_go_on(&app).await;
        }
        if self.version >= 4 {
            self.events_are_there(&app).await;
        }
        if self.version >= 5 {
            let email = EmailKey::of("stranger@example.com").digest();
            assert_eq!(app.store.find_tries(&email, NOW).await.unwrap().unwrap().failures, 12);
        }
        if self.version >= 8 {
            assert_eq!(app.store.delete_repeatable(NOW).await.unwrap(), 1);
        }
        self.work_goes_on(&app).await;
        assert_eq!(verify(&app.store).await.unwrap().findings, [], "from version {}", self.version);
    }

    async fn tokens_work(&self, app: &TestApp) {
        let has_lineage = self.version >= 7;
        for (token, status) in [
            (&self.live, 200),
            (&self.until_later, 200),
            (&self.expired, 401),
            (&self.of_disabled, 401),
            (&self.of_ada, 200),
            (&self.behind, 200),
            (&self.dead, if has_lineage { 401 } else { 200 }),
            (&self.child, if has_lineage { 200 } else { 401 }),
            (&self.gone, 401),
        ] {
            let reply = app.presenting(&[&format!("Bearer {}", token.value)]).get("/v4/auth").await;
            assert_eq!(reply.status, status, "{} from version {}", token.id, self.version);
        }
        let listed = app.admin().get("/v4/apiAccessTokens").await.expect(200);
        let mut ids: Vec<&str> = listed.rows().iter().map(|row| row["tokenId"].as_str().unwrap()).collect();
        let mut expected = vec![&self.live, &self.until_later, &self.expired];
        expected.extend(has_lineage.then_some(&self.child));
        let mut expected: Vec<String> = expected.iter().map(|token| token.id.to_string()).collect();
        ids.sort_unstable();
        expected.sort();
        assert_eq!(ids, expected);
        assert!(listed.rows().iter().all(|row| row["description"] == "of old"));
    }

    async fn people_and_settings_are_there(&self, app: &TestApp) {
        for (email, status) in
            [("admin@example.com", 200), ("ada@example.com", 200), ("eve@other.example", 200), ("off@example.com", 401)]
        {
            let reply = app.presenting(&[&basic(email, PASSWORD)]).get("/v4/people/current").await;
            assert_eq!(reply.status, status, "{email}");
        }
        let days = |days: i64| json!({"lifetimeSeconds": days * 86_400});
        assert_eq!(app.admin().post("/v4/apiAccessTokens", &days(8)).await.status / 100, 4, "7 days are the most");
        app.admin().post("/v4/apiAccessTokens", &days(7)).await.expect(201);
        let names = app.admin().get("/v4/workspaces").await.expect(200).text;
        assert!(names.contains("Workspace 1") && names.contains("Lab"), "{names}");
    }

    async fn sessions_go_on(&self, app: &TestApp) {
        let visitor = app.visitor().with_cookie(Some(format!("tokenward={}", self.session.expose())));
        let page = visitor.get("/preferences/profile").await.expect(200).text;
        assert!(page.contains("admin@example.com") && page.contains("Firefox"));
        let form = self.spent_form.to_string();
        let fields = [("form", form.as_str()), ("lifetime", "7")];
        let again = visitor.post("/preferences/access-tokens/generate", &fields).await.status;
        assert!(matches!(again, 400 | 409), "{again}");
        visitor.post("/preferences/profile/sessions/end-others", &[]).await.expect(303);
    }

    async fn events_are_there(&self, app: &TestApp) {
        let events = app.admin().get("/v4/events?allUsers=true&action=setting.changed").await.expect(200);
        let details: Vec<&Value> = events.rows().iter().map(|row| &row["details"]).collect();
        let expected = if self.version < 6 {
            [json!({"text": "from 5 to 7"}), json!({})]
        } else {
            [json!({"from": "5", "to": "7"}), json!({})]
        };
        assert_eq!(details, expected.iter().collect::<Vec<_>>(), "from version {}", self.version);
        assert!(events.rows().iter().all(|row| row["actor"] == "admin@example.com"));
    }

    /// New rows beside the old ones, and old ones that are deleted.
    async fn work_goes_on(&self, app: &TestApp) {
        let admin = app.admin();
        let bearer =
            Bearer::of(&admin, &admin.post("/v4/apiAccessTokens", &crate::support::an_hour()).await.expect(201));
        assert!(bearer.works().await);
        admin.add("new", false).await;
        let made = app.other_admin("third").await;
        assert_eq!(made.workspace_id, 3);
        let family = format!("/v4/apiAccessTokens/{}?descendants=true", self.live.id);
        let deleted = admin.delete(&family).await;
        assert_eq!(deleted.status / 100, 2, "{}", deleted.text);
        for token in [&self.live, &self.child] {
            let reply = app.presenting(&[&format!("Bearer {}", token.value)]).get("/v4/auth").await;
            assert_eq!(reply.status, 401);
        }
        admin.delete("/v4/people/2").await.expect(204);
        let orphan = app.presenting(&[&format!("Bearer {}", self.of_ada.value)]).get("/v4/auth").await;
        assert_eq!(orphan.status, 401);
        admin.delete("/v4/workspaces/2").await.expect(204);
        assert_eq!(
            app.presenting(&[&basic("eve@other.example", PASSWORD)]).get("/v4/people/current").await.status,
            401
        );
        if self.version >= 7 {
            app.app.refusals().flush(true).await.unwrap();
            let told = admin.get("/v4/events?allUsers=true&action=token.used_after_death").await.expect(200);
            let targets: Vec<&Value> = told.rows().iter().map(|row| &row["target"]).collect();
            assert!(targets.contains(&&json!(self.gone.id.to_string())), "{targets:?}");
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(digits: &str) -> Vec<u8> {
    (0..digits.len() / 2).map(|n| u8::from_str_radix(&digits[2 * n..2 * n + 2], 16).unwrap()).collect()
}
