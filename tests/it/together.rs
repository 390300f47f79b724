//! A change and its event are written together or not at all: where the event cannot be written, nothing is changed.
//!
//! A trigger refuses the events of requests that carry a certain id. Every operation is asked for with that id first, and without it
//! afterwards: what failed the first time was the event, and nothing else.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Bearer, Client, Database, Engine, PASSWORD, TestApp, Visitor, an_hour, basic};

on_both!(where_the_event_cannot_be_written_nothing_is_changed);

const MARK: &str = "no-event-for-this";

/// Tables that change by themselves, and what a sign-in notes before the operation.
const OTHERS: [&str; 4] = ["_sqlx_migrations", "node", "clock_floor", "known_source"];

/// Keeps the database from taking an event of a marked request.
fn refuse_marked(engine: Engine) -> Vec<String> {
    match engine {
        Engine::Postgres => vec![
            format!(
                "create function refuse_marked() returns trigger language plpgsql as $$ begin \
                 if new.request_id = '{MARK}' then raise 'no event for this'; end if; return new; end $$"
            ),
            "create trigger refuse_marked before insert on event for each row execute function refuse_marked()"
                .to_owned(),
        ],
        Engine::Sqlite => vec![format!(
            "create trigger refuse_marked before insert on event when new.request_id = '{MARK}' \
             begin select raise(abort, 'no event for this'); end"
        )],
    }
}

/// All rows of all tables.
async fn dump(database: &Database) -> BTreeMap<String, String> {
    let tables = match database.engine {
        Engine::Postgres => "select string_agg(tablename, ',') from pg_tables where schemaname = current_schema()",
        Engine::Sqlite => {
            "select group_concat(name, ',') from sqlite_master where type = 'table' and name not like 'sqlite\\_%' escape '\\'"
        }
    };
    let tables = database.ask(tables).await.unwrap();
    let mut dump = BTreeMap::new();
    for table in tables.split(',').filter(|table| !OTHERS.contains(table)) {
        let rows = match database.engine {
            Engine::Postgres => format!("select string_agg(t::text, E'\\n' order by t::text) from {table} t"),
            Engine::Sqlite => {
                let columns = format!(
                    "select group_concat('quote(' || name || ')', '||'',''||') from pragma_table_info('{table}')"
                );
                let columns = database.ask(&columns).await.unwrap();
                format!("select group_concat(line, char(10)) from (select {columns} as line from {table} order by 1)")
            }
        };
        dump.insert(table.to_owned(), database.ask(&rows).await.unwrap_or_default());
    }
    assert!(dump.len() > 8 && dump["person"].lines().count() > 3, "{dump:?}");
    dump
}

/// What operations are about.
#[derive(Clone)]
struct Scene {
    by: String,
    ada: i64,
    ben: i64,
    lab: i64,
    doomed: String,
    parent: String,
    leaked: String,
    revoked: String,
}

impl Scene {
    async fn set(app: &TestApp) -> Self {
        let admin = app.admin();
        let (ada, ben) = (admin.add("ada", true).await, admin.add("ben", false).await);
        let lab = app.other_admin("eve").await.workspace_id;
        let (by, doomed, parent) = (admin.bearer().await, admin.bearer().await, admin.bearer().await);
        Bearer::of(&parent, &parent.post("/v4/apiAccessTokens", &an_hour()).await.expect(201));
        let (leaked, revoked) = (admin.bearer().await, admin.bearer().await);
        ada.bearer().await;
        app.set("allowUsers", true).await;
        Self {
            by: by.value.clone(),
            ada: ada.id,
            ben: ben.id,
            lab,
            doomed: doomed.path(),
            parent: parent.path(),
            leaked: leaked.value.clone(),
            revoked: revoked.value.clone(),
        }
    }

    /// Every operation of the API that changes something, in an order in which all can be done.
    fn operations(&self) -> Vec<(&'static str, String, Value)> {
        let setting = json!({"key": "feature.apiAccessTokens.maxLifetimeDays", "value": 7});
        let eve = json!({"email": "mia@third.example", "name": "Mia", "password": PASSWORD});
        vec![
            ("POST", "/v4/apiAccessTokens".into(), an_hour()),
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

async fn ask(client: &Client, method: &str, path: &str, body: &Value, mark: Option<&str>) -> (u16, String) {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let mut request = client.request(method, path, axum::body::Body::from(text));
    request.headers_mut().insert("content-type", "application/json".parse().unwrap());
    if let Some(mark) = mark {
        request.headers_mut().insert("x-request-id", mark.parse().unwrap());
    }
    let reply = client.send(request).await;
    (reply.status, reply.text)
}

/// Signs in, and revokes a token as OAuth clients do: forms.
async fn send_forms(app: &TestApp, scene: &Scene, mark: Option<&str>) -> [u16; 2] {
    let marked = |mut request: axum::http::Request<axum::body::Body>| {
        if let Some(mark) = mark {
            request.headers_mut().insert("x-request-id", mark.parse().unwrap());
        }
        request
    };
    let visitor: Visitor = app.visitor();
    let mut sign_in = visitor.form("/sign-in", &[("email", "admin@example.com"), ("password", PASSWORD)]);
    sign_in.headers_mut().insert("origin", "http://127.0.0.1:3005".parse().unwrap());
    let signed_in = visitor.send(marked(sign_in)).await.status;
    let client = app.presenting(&[&format!("Bearer {}", scene.by)]);
    let mut revoke = client.request("POST", "/oauth2/revoke", format!("token={}", scene.revoked).into());
    revoke.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    [signed_in, client.send(marked(revoke)).await.status]
}

async fn where_the_event_cannot_be_written_nothing_is_changed(app: TestApp) {
    let scene = Scene::set(&app).await;
    app.store.close().await;
    for statement in refuse_marked(app.database.engine) {
        app.database.run(&statement).await;
    }
    let before = dump(&app.database).await;

    let app = TestApp::with(app.database, |_| ()).await;
    let client = app.presenting(&[&format!("Bearer {}", scene.by)]);
    for (method, path, body) in scene.operations() {
        let (status, text) = ask(&client, method, &path, &body, Some(MARK)).await;
        assert!(status >= 500, "{method} {path} was answered {status}: {text}");
    }
    for status in send_forms(&app, &scene, Some(MARK)).await {
        assert!(status >= 500, "{status}");
    }
    app.store.close().await;
    let after = dump(&app.database).await;
    for (table, rows) in &before {
        assert_eq!(&after[table], rows, "{table} has changed without an event");
    }

    // The same without the mark is done, and each has its event.
    let app = TestApp::with(app.database, |_| ()).await;
    let client = app.presenting(&[&format!("Bearer {}", scene.by)]);
    let mut events = app.store.list_entries(1, 0, 10_000).await.unwrap().len();
    for (method, path, body) in scene.operations() {
        let (status, text) = ask(&client, method, &path, &body, None).await;
        assert_eq!(status / 100, 2, "{method} {path}: {status} {text}");
        let now = app.store.list_entries(1, 0, 10_000).await.unwrap().len();
        assert!(now > events, "{method} {path} has no event");
        events = now;
    }
    assert_eq!(send_forms(&app, &scene, None).await, [303, 200]);
    assert!(app.store.list_entries(1, 0, 10_000).await.unwrap().len() >= events + 2);
    let admin = app.presenting(&[&basic("admin@example.com", PASSWORD)]);
    admin.get("/v4/people/current").await.expect(200);
}
