//! Credentials in the wrong place, people of others, and malformed requests.

use std::collections::BTreeSet;

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use super::{PATCH_OP, ScimApp, USERS, assert_error, credential, credential_value, id_of, user_body};
use crate::support::{Engine, PASSWORD, both_databases};

/// All routes below `/scim/v2`, with bodies that would be accepted.
fn routes(id: &str) -> Vec<(&'static str, String, Value)> {
    let user = format!("{USERS}/{id}");
    let patch = json!({"schemas": [PATCH_OP], "Operations": [{"op": "replace", "path": "active", "value": false}]});
    vec![
        ("GET", USERS.to_owned(), json!({})),
        ("POST", USERS.to_owned(), user_body("new@example.com")),
        ("GET", user.clone(), json!({})),
        ("PUT", user.clone(), user_body("new@example.com")),
        ("PATCH", user.clone(), patch),
        ("DELETE", user, json!({})),
        ("GET", "/scim/v2/ServiceProviderConfig".to_owned(), json!({})),
        ("GET", "/scim/v2/ResourceTypes".to_owned(), json!({})),
        ("GET", "/scim/v2/ResourceTypes/User".to_owned(), json!({})),
        ("GET", "/scim/v2/Schemas".to_owned(), json!({})),
        ("GET", "/scim/v2/Schemas/urn:ietf:params:scim:schemas:core:2.0:User".to_owned(), json!({})),
        ("POST", "/scim/v2/.search".to_owned(), json!({})),
        ("POST", "/scim/v2/Users/.search".to_owned(), json!({})),
    ]
}

/// Routes cannot be listed at run time, so this test scans the source.
#[test]
fn every_route_is_in_the_table() {
    let source = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/scim/mod.rs")).unwrap();
    let source: String = source.split_whitespace().collect::<Vec<_>>().join("").replace("axum::routing::", "");
    let mut mounted = BTreeSet::new();
    for route in source.split(".route(\"").skip(1) {
        let (path, handlers) = route.split_once("\",").unwrap();
        let handlers = handlers.split(".route").next().unwrap().split(".method_not_allowed").next().unwrap();
        for method in ["get", "post", "put", "patch", "delete"] {
            let is_mounted = handlers.starts_with(&format!("{method}(")) || handlers.contains(&format!(").{method}("));
            mounted.extend(is_mounted.then(|| format!("{} {path}", method.to_uppercase())));
        }
    }
    let template = |path: &str| match path.rsplit_once('/') {
        Some((parent, "7" | "User" | "urn:ietf:params:scim:schemas:core:2.0:User")) => format!("{parent}/{{id}}"),
        _ => path.to_owned(),
    };
    let tested: BTreeSet<String> =
        routes("7").iter().map(|(method, path, _)| format!("{method} {}", template(path))).collect();
    assert_eq!(mounted, tested, "left: routes in the code, right: routes in the table");
}

#[apply(both_databases)]
async fn every_route_rejects_every_other_credential(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let id = scim.user("ada@example.com").await;
    let admin_token = scim.app.admin().create_token().await.value;
    let value = credential_value(&scim.app, 1, None, Some("other")).await;
    let basic = crate::support::basic_auth("admin@example.com", PASSWORD);
    let browser = scim.app.signed_in_browser("admin@example.com").await;
    let bearer = format!("Bearer {value}");
    let denied = [
        vec![],
        vec![basic],
        vec![format!("Bearer {admin_token}")],
        vec![bearer[..bearer.len() - 1].to_owned()],
        vec![format!("Basic {value}")],
        vec![bearer.clone(), bearer.clone()],
        vec![format!("{bearer},{value}")],
        vec![format!("Bearer twdscim_{}", "0".repeat(49))],
    ];
    for (method, path, body) in routes(&id) {
        for authorization in &denied {
            let fields: Vec<&str> = authorization.iter().map(String::as_str).collect();
            let client = super::ScimTestClient(scim.app.client_with_authorization(&fields));
            let response = client.send(method, &path, body.to_string()).await;
            assert_error(&response, 401, None);
            let challenges = response.header_values("www-authenticate");
            assert!(
                challenges.len() == 1 && challenges[0].starts_with("Bearer realm="),
                "{method} {path}: {challenges:?}"
            );
            assert!(!response.text.contains(&value) && !response.text.contains(&admin_token));
        }
    }
    // Neither does a session, nor a token in the query.
    assert_eq!(browser.get(USERS).await.status, 401);
    assert_eq!(scim.app.anonymous().get(&format!("{USERS}?access_token={value}")).await.status, 401);
    assert_eq!(scim.person(&id).await["isDisabled"], false);
}

#[apply(both_databases)]
async fn a_credential_is_good_for_nothing_else(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let value = credential_value(&scim.app, 1, None, Some("other")).await;
    let client = scim.app.client_with_authorization(&[&format!("Bearer {value}")]);
    for path in [
        "/v4/people/current",
        "/v4/people",
        "/v4/apiAccessTokens",
        "/v4/workspaces/current",
        "/v4/events",
        "/v4/open-api-spec",
        "/v4/auth",
        "/v4/auth/any",
        "/v4/auth/workspace=1",
    ] {
        assert_eq!(client.get(path).await.status, 401, "{path}");
    }
    assert_eq!(client.post("/v4/apiAccessTokens", &crate::support::one_hour_token()).await.status, 401);
    assert_eq!(client.post("/v4/people", &user_body("x@example.com")).await.status, 401);
    // Introspection: neither as the caller nor as the token.
    let introspect = async |client: &crate::support::ApiClient| {
        let mut request = client.request("POST", "/oauth2/introspect", format!("token={value}").into());
        request.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
        client.send(request).await
    };
    assert_eq!(introspect(&client).await.status, 401);
    assert_eq!(introspect(&scim.app.admin()).await.expect(200).json, json!({"active": false}));
    // As a password of an account, or as its name.
    for name in ["admin@example.com", "scim:other", "other", &value] {
        let basic = crate::support::basic_auth(name, &value);
        let response = scim.app.client_with_authorization(&[&basic]).get("/v4/people/current").await;
        assert_eq!(response.status, 401, "{name}");
    }
    // It cannot be revoked like a token, and still works.
    let mut revoke = client.request("POST", "/oauth2/revoke", format!("token={value}").into());
    revoke.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    client.send(revoke).await;
    client.get(USERS).await.expect(200);
}

#[apply(both_databases)]
async fn people_of_others_do_not_exist(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let admin = scim.app.admin();
    let local = scim.app.add_person("local").await.id;
    let boss = scim.app.create_workspace_with_admin("boss").await;
    let other = credential(&scim.app, boss.workspace_id, None, None).await;
    let theirs = id_of(&other.post(USERS, &user_body("ada@example.com")).await.expect(201));
    let body = json!({"kind": "service", "name": "ci", "custodians": [1]});
    let service = admin.post("/v4/people", &body).await.expect(201).json["id"].as_i64().unwrap();
    let own = scim.user("own@example.com").await;
    let ids = [theirs, local.to_string(), service.to_string(), boss.id.to_string(), "1".to_owned(), "9999".to_owned()];
    let odd = [
        format!("0{own}"),
        format!("+{own}"),
        format!("{own}%20"),
        "-1".to_owned(),
        "99999999999999999999".to_owned(),
        "%00".to_owned(),
        "..".to_owned(),
        "%2e%2e".to_owned(),
        "%27%20or%201=1".to_owned(),
    ];
    for id in ids.iter().chain(&odd) {
        for (method, path, body) in routes(id).into_iter().filter(|(_, path, _)| path.ends_with(id.as_str())) {
            let response = scim.client.send(method, &path, body.to_string()).await;
            assert!(matches!(response.status, 404 | 405), "{method} {path}: {}", response.text);
        }
    }
    for (id, enabled) in [(local, true), (service, true)] {
        let person = admin.get(&format!("/v4/people/{id}")).await.expect(200).json;
        assert_eq!(person["isDisabled"], !enabled);
    }
    assert_eq!(scim.client.get(USERS).await.json["totalResults"], 1);
    // A service account cannot be made: its identity is no address.
    for name in ["service:ci", "service:new"] {
        assert_error(&scim.client.post(USERS, &json!({"userName": name})).await, 400, Some("invalidValue"));
    }
}

#[apply(both_databases)]
async fn malformed_bodies_are_client_errors(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let id = scim.user("ada@example.com").await;
    let user = format!("{USERS}/{id}");
    let deep = format!("{{\"userName\":{}1{}}}", "[".repeat(20_000), "]".repeat(20_000));
    for (method, path) in [("POST", USERS), ("PUT", user.as_str()), ("PATCH", user.as_str())] {
        for body in
            ["", "{", "[]", "null", "\"x\"", "{'a':1}", "{\"userName\":\"a\"} x", "{\"userName\":\"\\ud800\"}", &deep]
        {
            let response = scim.client.send(method, path, body.to_owned()).await;
            assert_error(&response, 400, Some("invalidSyntax"));
        }
        let response = scim.client.send(method, path, vec![b'x'; 10 * 1024 * 1024]).await;
        assert_error(&response, 413, None);
        assert_error(
            &scim.client.send(method, path, b"{\"userName\":\"\xff\"}".to_vec()).await,
            400,
            Some("invalidSyntax"),
        );
        let mut request = scim.client.0.request(method, path, "{}".into());
        request.headers_mut().insert("content-type", "text/xml".parse().unwrap());
        assert_error(&super::checked(scim.client.0.send(request).await), 415, None);
    }
    for value in ["a\0b@example.com", "a\nb@example.com", "a\u{202e}b@example.com", " ", &"x".repeat(300)] {
        assert_error(&scim.client.post(USERS, &json!({"userName": value})).await, 400, Some("invalidValue"));
        let body = json!({"userName": "b@example.com", "externalId": value, "displayName": value});
        let response = scim.client.post(USERS, &body).await;
        assert!(response.status == 400 || value == " ", "{value:?}: {}", response.text);
    }
    // JSON of the other media type, and without one.
    let mut request = scim.client.0.request("PUT", &user, user_body("ada@example.com").to_string().into());
    request.headers_mut().insert("content-type", "application/json; charset=utf-8".parse().unwrap());
    assert_eq!(scim.client.0.send(request).await.status, 200);
    let request = scim.client.0.request("PUT", &user, user_body("ada@example.com").to_string().into());
    assert_eq!(scim.client.0.send(request).await.status, 200);
}

#[apply(both_databases)]
async fn paths_match_in_any_case_and_never_beyond(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let id = scim.user("ada@example.com").await;
    for path in
        ["/scim/v2/users", "/SCIM/V2/USERS/", &format!("/scim/v2/users/{id}/"), "/scim/v2/serviceproviderconfig"]
    {
        scim.client.get(path).await.expect(200);
    }
    for path in [
        "/scim/v2/Users//",
        "//scim/v2/Users",
        "/scim//v2/Users",
        "/scim/v2/../v2/Users",
        "/scim%2fv2/Users",
        "/scim/v2/Users%2f1",
    ] {
        let response = scim.client.0.get(path).await;
        assert_eq!(response.status, 404, "{path}");
    }
    // A script with an empty ID deletes nothing.
    assert_error(&scim.client.delete(&format!("{USERS}/")).await, 405, None);
    assert_eq!(scim.client.get(USERS).await.json["totalResults"], 1);
}

#[apply(both_databases)]
async fn of_two_equal_requests_one_creates_the_user(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let body = json!({"userName": "ada@example.com", "externalId": "00u1"});
    let requests = (0..6).map(|_| {
        let (client, body) = (scim.client.clone(), body.clone());
        tokio::spawn(async move { client.post(USERS, &body).await.status })
    });
    let mut statuses = Vec::new();
    for request in requests.collect::<Vec<_>>() {
        statuses.push(request.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409]);
    assert_eq!(scim.client.get(USERS).await.json["totalResults"], 1);
}

/// A change that is computed from an older state is computed again, so that it does not undo another.
#[apply(both_databases)]
async fn concurrent_changes_keep_each_other(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let id = scim.user("ada@example.com").await;
    let operations = [
        json!([{"op": "replace", "path": "active", "value": false}]),
        json!([{"op": "replace", "path": "displayName", "value": "Ada"}]),
        json!([{"op": "add", "path": "name.givenName", "value": "Ada"}]),
        json!([{"op": "add", "path": "externalId", "value": "00u1"}]),
    ];
    let requests = operations.map(|operations| {
        let (client, id) = (scim.client.clone(), id.clone());
        tokio::spawn(async move { client.patch(&id, operations).await.status })
    });
    for request in requests {
        assert_eq!(request.await.unwrap(), 200);
    }
    let user = scim.client.get(&format!("{USERS}/{id}")).await.expect(200).json;
    assert_eq!(
        (&user["active"], &user["displayName"], &user["name"]["givenName"], &user["externalId"]),
        (&json!(false), &json!("Ada"), &json!("Ada"), &json!("00u1"))
    );
}

#[apply(both_databases)]
async fn without_the_store_every_route_returns_503(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let id = scim.user("ada@example.com").await;
    scim.app.store.close().await;
    for (method, path, body) in routes(&id) {
        let response = scim.client.send(method, &path, body.to_string()).await;
        assert_error(&response, 503, None);
        assert!(response.headers.contains_key("retry-after") && !response.headers.contains_key("www-authenticate"));
    }
}
