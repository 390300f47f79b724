//! Query parameters that an operation does not take: named, and nothing is done. Every operation of the OpenAPI document is walked.

use axum::body::Body;
use serde_json::{Value, json};
use tokenward::api::openapi;

use crate::support::{Bearer, Client, PASSWORD, Person, Reply, TestApp, an_hour};

const TOKENS: &str = "/v4/apiAccessTokens";

/// What the original's clients may send with any GET.
const IGNORED: &str =
    "fields=id&embed=owner&embed=x&includeDeleted=true&includePrivileges=true&filter=x&workspaceId=7&uuid=x&noLimit";

on_both!(
    an_unknown_parameter_is_named_and_nothing_is_done,
    a_known_parameter_in_another_spelling_is_unknown,
    every_documented_parameter_is_read,
    no_filter_of_a_deletion_is_ignored,
    what_the_original_takes_on_reading_is_ignored,
    a_deletion_of_everything_takes_no_body,
    where_tokens_are_switched_off_their_routes_do_not_exist_whatever_is_asked,
    people_are_listed_by_state,
    queries_that_are_not_ours_are_not_read,
);

/// An operation under `/v4` that answers requests of clients.
struct Operation {
    method: String,
    path: String,
    query: Vec<String>,
    is_open: bool,
}

fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(openapi::text()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if path.starts_with("/v4/") && !path.starts_with("/v4/auth") {
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                let names = parameters.filter(|p| p["in"] == "query").map(|p| p["name"].as_str().unwrap().to_owned());
                operations.push(Operation {
                    method: method.to_uppercase(),
                    path: path.clone(),
                    query: names.collect(),
                    is_open: operation["security"] == json!([{}]),
                });
            }
        }
    }
    assert!(operations.len() >= 23, "{}", operations.len());
    operations
}

/// What there is to be changed.
struct Scene {
    app: TestApp,
    admin: Person,
    ada: Person,
    token: Bearer,
}

impl Scene {
    async fn new(app: TestApp) -> Self {
        let admin = app.admin();
        let ada = admin.add("ada", true).await;
        app.other_admin("eve").await;
        let token = ada.bearer().await;
        Self { app, admin, ada, token }
    }

    /// Everything that a request could change.
    async fn state(&self) -> Vec<String> {
        let mut seen = Vec::new();
        for path in [
            "/v4/apiAccessTokens?allUsers=true",
            "/v4/people",
            "/v4/workspaces",
            "/v4/workspaces/current/configuration",
            "/v4/events?allUsers=true",
        ] {
            seen.push(self.admin.get(path).await.expect(200).text);
        }
        seen
    }

    /// The operation with this query, and with a body that it takes.
    async fn ask(&self, client: &Client, operation: &Operation, query: &str) -> Reply {
        let id = if operation.path.contains("people") { self.ada.id.to_string() } else { "current".to_owned() };
        let id = if operation.path == "/v4/workspaces/{id}" { "2".to_owned() } else { id };
        let path = operation.path.replace("{tokenId}", &self.token.token_id).replace("{id}", &id);
        let body = match (operation.method.as_str(), operation.path.as_str()) {
            ("POST", TOKENS) => an_hour(),
            ("POST", "/v4/people") => json!({"email": "new@example.com", "name": "New", "password": PASSWORD}),
            ("PATCH", "/v4/people/{id}") => json!({"isDisabled": true}),
            ("POST", "/v4/leaks") => json!({"values": [self.token.value]}),
            ("POST", "/v4/workspaces") => {
                json!({"name": "W", "admin": {"email": "w@example.com", "name": "W", "password": PASSWORD}})
            }
            ("PATCH", "/v4/workspaces/{id}") => json!({"name": "Renamed"}),
            ("PATCH", "/v4/workspaces/{id}/configuration") => {
                json!({"configuration": [{"key": "feature.apiAccessTokens.enabled", "value": false}]})
            }
            ("POST", "/v4/workspaces/{id}/delete-configuration") => {
                json!({"settings": ["feature.apiAccessTokens.enabled"]})
            }
            ("GET" | "DELETE", _) => {
                return client.send(client.request(&operation.method, &format!("{path}?{query}"), Body::empty())).await;
            }
            other => panic!("{other:?} needs a body here"),
        };
        client.with_json(&operation.method, &format!("{path}?{query}"), body.to_string()).await
    }
}

async fn an_unknown_parameter_is_named_and_nothing_is_done(app: TestApp) {
    let scene = Scene::new(app).await;
    let before = scene.state().await;
    for operation in operations() {
        for query in ["dryRun=true", "unknown", "status2=expired", "limit%20=1"] {
            let reply = scene.ask(&scene.admin, &operation, query).await;
            let details = reply.expect_error(400, "ApiValidationFailed");
            let what = format!("{} {}: {details}", operation.method, operation.path);
            assert!(
                details.ends_with('.') && (query.contains('%') || details.contains(query.split('=').next().unwrap())),
                "{what}"
            );
            let names_one = operation.query.iter().any(|known| details.contains(&format!("takes is {known}.")));
            assert_eq!(names_one, !operation.query.is_empty(), "{what}");
            // A stranger learns that they are one.
            let strangers = scene.ask(&scene.app.anonymous(), &operation, query).await.status;
            assert_eq!(strangers, if operation.is_open { 400 } else { 401 }, "{what}");
        }
        let head = scene.app.admin().request("HEAD", "/v4/people/current?x=1", Body::empty());
        assert_eq!(scene.admin.send(head).await.status, 400);
    }
    assert_eq!(scene.state().await, before);
    assert!(scene.token.works().await);
}

/// `personId` as `person_id`, `personid`, `PersonId` and `PERSONID`, as far as they differ.
fn spellings(name: &str) -> Vec<String> {
    let snake = name.chars().flat_map(|c| if c.is_uppercase() { vec!['_', c.to_ascii_lowercase()] } else { vec![c] });
    let capital = name[..1].to_uppercase() + &name[1..];
    let all = [snake.collect(), name.to_lowercase(), capital, name.to_uppercase(), format!("{name}[]")];
    all.into_iter().filter(|spelled: &String| spelled != name).collect()
}

async fn a_known_parameter_in_another_spelling_is_unknown(app: TestApp) {
    let scene = Scene::new(app).await;
    let before = scene.state().await;
    for operation in operations() {
        for known in &operation.query {
            for spelled in spellings(known) {
                let reply = scene.ask(&scene.admin, &operation, &format!("{spelled}=1")).await;
                let details = reply.expect_error(400, "ApiValidationFailed");
                assert!(details.contains(&spelled) && details.contains(&format!("takes is {known}.")), "{details}");
            }
        }
    }
    assert_eq!(scene.state().await, before);
}

/// One that the document promises and no handler reads would be ignored after all. Sent twice it is an error wherever it is read.
async fn every_documented_parameter_is_read(app: TestApp) {
    let scene = Scene::new(app).await;
    let before = scene.state().await;
    let mut seen = 0;
    for operation in operations() {
        for known in &operation.query {
            let value = match known.as_str() {
                "limit" | "offset" | "personId" | "actorId" => "1",
                "sort" => "createdAt",
                "status" | "state" => "active",
                "includeCount" | "allUsers" | "isDisabled" | "descendants" => "true",
                _ => "x",
            };
            let reply = scene.ask(&scene.admin, &operation, &format!("{known}={value}&{known}={value}")).await;
            let details = reply.expect_error(400, "ApiValidationFailed");
            assert!(details.contains("duplicate") && details.contains(known), "{}: {details}", operation.path);
            seen += 1;
        }
    }
    assert!(seen >= 25, "{seen}");
    assert_eq!(scene.state().await, before);
}

async fn no_filter_of_a_deletion_is_ignored(app: TestApp) {
    let scene = Scene::new(app).await;
    let mine = scene.admin.bearer().await;
    for query in [
        "status=expired",
        "person_id=2",
        "personid=2",
        "userId=2",
        "tokenId=00000000-0000-0000-0000-000000000000",
        "dryRun=true",
        "allUsers=true",
        "descendants=true",
        "limit=1",
        "fields=id",
        "workspaceId=2",
        "personId=2&status=expired",
        "=2",
        "%70erson_id=2",
    ] {
        let details = scene.admin.delete(&format!("{TOKENS}?{query}")).await.expect_error(400, "ApiValidationFailed");
        assert!(details.contains("takes is personId."), "{query}: {details}");
        if !query.starts_with("descendants") {
            scene.admin.delete(&format!("{}?{query}", mine.path())).await.expect_error(400, "ApiValidationFailed");
        }
        assert!(mine.works().await && scene.token.works().await, "{query}");
    }
    scene.admin.delete(&format!("{TOKENS}?personId={}", scene.ada.id)).await.expect(204);
    assert!(mine.works().await && !scene.token.works().await);
    scene.admin.delete(&format!("{TOKENS}?")).await.expect(204);
    assert!(!mine.works().await);
}

async fn what_the_original_takes_on_reading_is_ignored(app: TestApp) {
    let scene = Scene::new(app).await;
    for operation in operations() {
        if operation.method == "GET" {
            let plain = scene.ask(&scene.admin, &operation, "").await.text;
            for name in IGNORED.split('&') {
                let reply = scene.ask(&scene.admin, &operation, name).await;
                assert!(reply.status != 400 && reply.text == plain, "{} {name}: {}", operation.path, reply.text);
            }
            assert_eq!(scene.ask(&scene.admin, &operation, IGNORED).await.text, plain, "{}", operation.path);
        } else {
            for name in IGNORED.split('&') {
                scene.ask(&scene.admin, &operation, name).await.expect_error(400, "ApiValidationFailed");
            }
        }
    }
    assert!(scene.token.works().await);
}

async fn a_deletion_of_everything_takes_no_body(app: TestApp) {
    let scene = Scene::new(app).await;
    let mine = scene.admin.bearer().await;
    for body in [r#"{"status":"expired"}"#, "personId=2", "[]", "x"] {
        scene.admin.with_json("DELETE", TOKENS, body).await.expect_error(400, "ApiValidationFailed");
        scene.app.anonymous().with_json("DELETE", TOKENS, body).await.expect(401);
    }
    assert!(mine.works().await && scene.token.works().await);
    // Where the path names what is deleted nothing depends on the body, and some clients send an empty object with everything.
    let other = scene.admin.bearer().await;
    scene.admin.with_json("DELETE", &other.path(), r#"{"x":1}"#).await.expect(204);
    assert!(mine.works().await && !other.works().await);
    for body in ["", "{}", " null\n"] {
        scene.admin.with_json("DELETE", TOKENS, body).await.expect(204);
    }
    assert!(!mine.works().await && scene.token.works().await);
}

async fn where_tokens_are_switched_off_their_routes_do_not_exist_whatever_is_asked(app: TestApp) {
    let scene = Scene::new(app).await;
    scene.app.set("enabled", false).await;
    for operation in operations().iter().filter(|operation| operation.path.starts_with(TOKENS)) {
        for client in [&*scene.admin, &*scene.token] {
            scene.ask(client, operation, "unknown=1").await.expect_error(404, "RouteNotFoundException");
        }
        scene.ask(&scene.app.anonymous(), operation, "unknown=1").await.expect(401);
    }
    scene.admin.with_json("DELETE", TOKENS, "x").await.expect_error(404, "RouteNotFoundException");
}

async fn people_are_listed_by_state(app: TestApp) {
    let admin = app.admin();
    let ada = app.person("ada").await;
    admin.change(ada.id, json!({"isDisabled": true})).await.expect(200);
    let all = admin.get("/v4/people?state=active&includeCount=true").await.expect(200);
    assert_eq!((all.rows().len(), &all.json["count"]), (2, &json!(2)));
    assert_eq!(admin.get("/v4/people?state=active&isDisabled=true").await.expect(200).rows().len(), 1);
    let none = admin.get("/v4/people?state=hidden&includeCount=true").await.expect(200).json;
    assert_eq!(none, json!({"data": [], "count": 0}));
    for wrong in ["state=Active", "state=", "state=x", "state=active&state=active", "state=hidden&limit=0"] {
        admin.get(&format!("/v4/people?{wrong}")).await.expect(400);
    }
    let bob = app.person("bob").await;
    bob.get("/v4/people?state=active").await.expect_error(403, "AccessControlException");
}

/// A proxy appends the query of the request that it asks about.
async fn queries_that_are_not_ours_are_not_read(app: TestApp) {
    let bearer = app.admin().bearer().await;
    let form = "application/x-www-form-urlencoded";
    for query in
        ["unknown=1", "person_id=2&status=expired", "limit=x", "limit=1&limit=1", "%FF&=&&", "a=b?c=/v4/auth/admin"]
    {
        for path in ["/v4/auth", "/v4/auth/", "/v4/auth/any", "/v4/auth/workspace=1,admin/v4/people", "/v4/auth/any/"] {
            for method in ["GET", "HEAD", "POST", "DELETE", "PATCH"] {
                let sent = bearer.request(method, &format!("{path}?{query}"), Body::empty());
                assert_eq!(bearer.send(sent).await.status, 200, "{method} {path}?{query}");
            }
            app.anonymous().get(&format!("{path}?{query}")).await.expect(401);
        }
        for path in ["/health/live", "/health/ready", "/.well-known/api-token-format", "/sign-in"] {
            app.visitor().get(&format!("{path}?{query}")).await.expect(200);
        }
        let asked = format!("token={}&unknown=1&unknown=2&Token=x&resource=y", bearer.value);
        let mut request = bearer.request("POST", &format!("/oauth2/introspect?{query}"), Body::from(asked));
        request.headers_mut().insert("content-type", form.parse().unwrap());
        assert_eq!(bearer.send(request).await.expect(200).json["active"], true);
    }
    let mut request =
        app.anonymous().request("POST", "/oauth2/revoke?x=1", format!("x=1&token={}&y", bearer.value).into());
    request.headers_mut().insert("content-type", form.parse().unwrap());
    app.anonymous().send(request).await.expect(200);
    assert!(!bearer.works().await);
}
