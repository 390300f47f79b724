//! Atomicity: a change and its event are committed together, or neither is.
//!
//! A trigger rejects the events of requests with a certain ID. Every operation is sent with that ID
//! first and without it afterwards, which shows that only the event made it fail.

use rstest::rstest;
use rstest_reuse::apply;
use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokenward::domain::id::WorkspaceId;

use crate::support::{
    ApiClient, Browser, Database, Engine, PASSWORD, TestApp, TokenClient, basic_auth, both_databases, one_hour_token,
};

const MARKED_REQUEST_ID: &str = "reject-this-event";

/// Tables that background tasks or the login before the operation change.
const IGNORED_TABLES: [&str; 4] = ["_sqlx_migrations", "node", "clock_floor", "known_source"];

/// Returns statements that make the database reject events of marked requests.
fn reject_marked_events_sql(engine: Engine) -> Vec<String> {
    match engine {
        Engine::Postgres => vec![
            format!(
                "create function reject_marked() returns trigger language plpgsql as $$ begin \
                 if new.request_id = '{MARKED_REQUEST_ID}' then raise 'event rejected'; end if; return new; end $$"
            ),
            "create trigger reject_marked before insert on event for each row execute function reject_marked()"
                .to_owned(),
        ],
        Engine::Sqlite => vec![format!(
            "create trigger reject_marked before insert on event when new.request_id = '{MARKED_REQUEST_ID}' \
             begin select raise(abort, 'event rejected'); end"
        )],
    }
}

/// Returns all rows of all tables, except the ignored ones.
async fn dump_tables(database: &Database) -> BTreeMap<String, String> {
    let tables = match database.engine {
        Engine::Postgres => "select string_agg(tablename, ',') from pg_tables where schemaname = current_schema()",
        Engine::Sqlite => {
            "select group_concat(name, ',') from sqlite_master where type = 'table' and name not like 'sqlite\\_%' escape '\\'"
        }
    };
    let tables = database.query_text(tables).await.unwrap();
    let mut dump = BTreeMap::new();
    for table in tables.split(',').filter(|table| !IGNORED_TABLES.contains(table)) {
        let rows = match database.engine {
            Engine::Postgres => format!("select string_agg(t::text, E'\\n' order by t::text) from {table} t"),
            Engine::Sqlite => {
                let columns = format!(
                    "select group_concat('quote(' || name || ')', '||'',''||') from pragma_table_info('{table}')"
                );
                let columns = database.query_text(&columns).await.unwrap();
                format!("select group_concat(line, char(10)) from (select {columns} as line from {table} order by 1)")
            }
        };
        dump.insert(table.to_owned(), database.query_text(&rows).await.unwrap_or_default());
    }
    assert!(dump.len() > 8 && dump["person"].lines().count() > 3, "{dump:?}");
    dump
}

/// The objects that the operations use.
#[derive(Clone)]
struct AtomicityFixture {
    admin_token: String,
    ada: i64,
    ben: i64,
    lab: i64,
    doomed: String,
    parent: String,
    leaked: String,
    revoked: String,
}

impl AtomicityFixture {
    async fn create(app: &TestApp) -> Self {
        let admin = app.admin();
        let (ada, ben) = (admin.add_person("ada", true).await, admin.add_person("ben", false).await);
        let lab = app.create_workspace_with_admin("eve").await.workspace_id;
        let (admin_token, doomed, parent) =
            (admin.create_token().await, admin.create_token().await, admin.create_token().await);
        TokenClient::from_response(&parent, &parent.post("/v4/apiAccessTokens", &one_hour_token()).await.expect(201));
        let (leaked, revoked) = (admin.create_token().await, admin.create_token().await);
        ada.create_token().await;
        app.set_setting("allowUsers", true).await;
        Self {
            admin_token: admin_token.value.clone(),
            ada: ada.id,
            ben: ben.id,
            lab,
            doomed: doomed.token_path(),
            parent: parent.token_path(),
            leaked: leaked.value.clone(),
            revoked: revoked.value.clone(),
        }
    }

    /// Returns every modifying operation of the API, in an order in which all succeed.
    fn mutations(&self) -> Vec<(&'static str, String, Value)> {
        let setting = json!({"key": "feature.apiAccessTokens.maxLifetimeDays", "value": 7});
        let eve = json!({"email": "mia@third.example", "name": "Mia", "password": PASSWORD});
        vec![
            ("POST", "/v4/apiAccessTokens".into(), one_hour_token()),
            ("DELETE", self.doomed.clone(), Value::Null),
            ("DELETE", format!("{}?descendants=true", self.parent), Value::Null),
            ("POST", "/v4/people".into(), json!({"email": "new@example.com", "name": "New", "password": PASSWORD})),
            ("PATCH", format!("/v4/people/{}", self.ada), json!({"name": "Ada L."})),
            ("PATCH", format!("/v4/people/{}", self.ada), json!({"isDisabled": true})),
            ("DELETE", format!("/v4/people/{}", self.ben), Value::Null),
            ("PATCH", "/v4/workspaces/1".into(), json!({"name": "Renamed"})),
            ("POST", "/v4/workspaces".into(), json!({"name": "Third", "admin": eve})),
            ("DELETE", format!("/v4/workspaces/{}", self.lab), Value::Null),
            ("PATCH", "/v4/workspaces/current/configuration".into(), json!({"configuration": [setting]})),
            (
                "POST",
                "/v4/workspaces/current/delete-configuration".into(),
                json!({"settings": ["feature.apiAccessTokens.allowUsers"]}),
            ),
            ("POST", "/v4/leaks".into(), json!({"values": [self.leaked]})),
            ("DELETE", format!("/v4/apiAccessTokens?personId={}", self.ada), Value::Null),
        ]
    }
}

async fn send(client: &ApiClient, method: &str, path: &str, body: &Value, mark: Option<&str>) -> (u16, String) {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let mut request = client.request(method, path, axum::body::Body::from(text));
    request.headers_mut().insert("content-type", "application/json".parse().unwrap());
    if let Some(mark) = mark {
        request.headers_mut().insert("x-request-id", mark.parse().unwrap());
    }
    let response = client.send(request).await;
    (response.status, response.text)
}

/// Sends forms: signs in, and revokes a token as OAuth clients do.
async fn send_forms(app: &TestApp, fixture: &AtomicityFixture, mark: Option<&str>) -> [u16; 2] {
    let marked = |mut request: axum::http::Request<axum::body::Body>| {
        if let Some(mark) = mark {
            request.headers_mut().insert("x-request-id", mark.parse().unwrap());
        }
        request
    };
    let browser: Browser = app.browser();
    let mut sign_in = browser.form_request("/sign-in", &[("email", "admin@example.com"), ("password", PASSWORD)]);
    sign_in.headers_mut().insert("origin", "http://127.0.0.1:3005".parse().unwrap());
    let signed_in_browser = browser.send(marked(sign_in)).await.status;
    let client = app.client_with_authorization(&[&format!("Bearer {}", fixture.admin_token)]);
    let mut revoke = client.request("POST", "/oauth2/revoke", format!("token={}", fixture.revoked).into());
    revoke.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    [signed_in_browser, client.send(marked(revoke)).await.status]
}

#[apply(both_databases)]
async fn a_change_whose_event_cannot_be_written_is_rolled_back(engine: Engine) {
    let app = TestApp::start(engine).await;
    let fixture = AtomicityFixture::create(&app).await;
    app.store.close().await;
    for statement in reject_marked_events_sql(app.database.engine) {
        app.database.execute_sql(&statement).await;
    }
    let before = dump_tables(&app.database).await;

    let app = TestApp::start_with(app.database, |_| ()).await;
    let client = app.client_with_authorization(&[&format!("Bearer {}", fixture.admin_token)]);
    for (method, path, body) in fixture.mutations() {
        let (status, text) = send(&client, method, &path, &body, Some(MARKED_REQUEST_ID)).await;
        assert!(status >= 500, "{method} {path} returned {status}: {text}");
    }
    for status in send_forms(&app, &fixture, Some(MARKED_REQUEST_ID)).await {
        assert!(status >= 500, "{status}");
    }
    app.store.close().await;
    let after = dump_tables(&app.database).await;
    for (table, rows) in &before {
        assert_eq!(&after[table], rows, "{table} changed without an event");
    }

    // Without the marked ID every operation succeeds and records an event.
    let app = TestApp::start_with(app.database, |_| ()).await;
    let client = app.client_with_authorization(&[&format!("Bearer {}", fixture.admin_token)]);
    let mut events = app.store.list_entries(WorkspaceId::FIRST, 0, 10_000).await.unwrap().len();
    for (method, path, body) in fixture.mutations() {
        let (status, text) = send(&client, method, &path, &body, None).await;
        assert_eq!(status / 100, 2, "{method} {path}: {status} {text}");
        let now = app.store.list_entries(WorkspaceId::FIRST, 0, 10_000).await.unwrap().len();
        assert!(now > events, "{method} {path} has no event");
        events = now;
    }
    assert_eq!(send_forms(&app, &fixture, None).await, [303, 200]);
    assert!(app.store.list_entries(WorkspaceId::FIRST, 0, 10_000).await.unwrap().len() >= events + 2);
    let admin = app.client_with_authorization(&[&basic_auth("admin@example.com", PASSWORD)]);
    admin.get("/v4/people/current").await.expect(200);
}
