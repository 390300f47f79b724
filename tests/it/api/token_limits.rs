//! Scopes and allowed networks of tokens: their validation, their inheritance, and what scopes permit
//! at the API and at auth checks.

use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};

use axum::body::Body;
use http::HeaderValue;
use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};
use tokenward::domain::token_limits::reserved_scope;

use crate::support::{ApiClient, Database, Engine, PASSWORD, TestApp, TestResponse, TokenClient, both_databases};

const TOKENS: &str = "/v4/apiAccessTokens";
const CONFIGURATION: &str = "/v4/workspaces/current/configuration";

async fn create(client: &ApiClient, limits: Value) -> TestResponse {
    let mut body = json!({"lifetimeSeconds": 3_600});
    body.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
    client.post(TOKENS, &body).await
}

pub(super) async fn create_token(client: &ApiClient, limits: Value) -> TokenClient {
    TokenClient::from_response(client, &create(client, limits).await.expect(201))
}

/// Starts a service with an identity provider, so that a person needs no password. No request reaches
/// the provider.
async fn with_provider(engine: Engine) -> TestApp {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("bind-password");
    let mut file = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&password).unwrap();
    writeln!(file, "secret").unwrap();
    TestApp::start_with(Database::migrated(engine).await, |config| {
        let provider = toml::toml! {
            kind = "openldap"
            url = "ldaps://127.0.0.1:1"
            bind = "cn=search,dc=example,dc=com"
            base = "dc=example,dc=com"
        };
        let mut provider = provider;
        provider.insert("bind_password_file".to_owned(), password.to_str().unwrap().into());
        config.sso = [("company".to_owned(), provider.try_into().unwrap())].into();
    })
    .await
}

/// Introspects a token with the form parameters `extra`.
pub(super) async fn introspect(client: &ApiClient, token: &str, extra: &str) -> TestResponse {
    let mut request = client.request("POST", "/oauth2/introspect", Body::from(format!("token={token}{extra}")));
    let content_type = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers_mut().insert("content-type", content_type);
    client.send(request).await
}

#[apply(both_databases)]
async fn limits_are_returned_only_where_they_are_set(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let plain = create(&admin, json!({})).await.expect(201).json["tokenInfo"].clone();
    let fields: Vec<_> = plain.as_object().unwrap().keys().cloned().collect();
    assert_eq!(fields, ["createdAt", "description", "expiredAt", "lastUsed", "tokenId"]);
    let limits =
        json!({"scopes": ["write", "reports:read"], "allowedNetworks": ["2001:db8::/32", "::ffff:10.0.0.0/104"]});
    let created = create(&admin, limits).await.expect(201).json["tokenInfo"].clone();
    let expected = (json!(["reports:read", "write"]), json!(["10.0.0.0/8", "2001:db8::/32"]));
    assert_eq!((created["scopes"].clone(), created["allowedNetworks"].clone()), expected);
    let path = format!("{TOKENS}/{}", created["tokenId"].as_str().unwrap());
    let read = admin.get(&path).await.expect(200).json;
    assert_eq!((read["scopes"].clone(), read["allowedNetworks"].clone()), expected);
    let list = admin.get(TOKENS).await.expect(200);
    let scopes_of = |id: &Value| list.rows().iter().find(|row| row["tokenId"] == *id).unwrap().get("scopes");
    assert_eq!((scopes_of(&plain["tokenId"]), scopes_of(&created["tokenId"])), (None, Some(&expected.0)));
    let none = create(&admin, json!({"scopes": []})).await.expect(201);
    assert_eq!(none.json["tokenInfo"]["scopes"], json!([]));
}

#[apply(both_databases)]
async fn invalid_limits_are_rejected(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let many: Vec<String> = (0..33).map(|n| format!("s{n}")).collect();
    for (limits, part) in [
        (json!({"scopes": many}), "has 33 entries; at most 32 entries"),
        (json!({"scopes": ["a", "a"]}), "more than once"),
        (json!({"scopes": [""]}), "1 to 64"),
        (json!({"scopes": ["caf\u{e9}"]}), "1 to 64"),
        (json!({"scopes": ["tokenward:everything"]}), "tokenward:tokens:read"),
        (json!({"allowedNetworks": []}), "leave it out"),
        (json!({"allowedNetworks": ["0.0.0.0/0"]}), "all addresses"),
        (json!({"allowedNetworks": ["10.0.0.1/8"]}), "did you mean 10.0.0.0/8"),
        (json!({"allowedNetworks": ["fe80::1%eth0"]}), "neither an IP address"),
        (json!({"graceSeconds": 1}), "graceSeconds needs replaces"),
    ] {
        let details = create(&admin, limits.clone()).await.expect_error(400, "ValidationFailed");
        assert!(details.contains(part), "{limits}: {details}");
    }
    for malformed in [
        json!({"scopes": null}),
        json!({"scopes": "read"}),
        json!({"scopes": [1]}),
        json!({"allowedNetworks": null}),
        json!({"allowedNetworks": "10.0.0.0/8"}),
        json!({"scopes": ["a"], "name": "an ignored field of old clients"}),
        json!({"scope": ["a"]}),
    ] {
        create(&admin, malformed.clone()).await.expect_error(400, "ApiValidationFailed");
    }
    assert_eq!(admin.get(TOKENS).await.expect(200).rows().len(), 0);
}

#[apply(both_databases)]
async fn a_child_has_no_right_that_its_maker_lacks(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let limits = json!({"scopes": ["tokenward:tokens:write", "read"], "allowedNetworks": ["10.0.0.0/8"]});
    let maker = create_token(&admin, limits.clone()).await;
    let inside = ApiClient::clone(&maker).with_address("10.1.2.3");
    let inherited = create(&inside, json!({})).await.expect(201).json["tokenInfo"].clone();
    assert_eq!(inherited["scopes"], json!(["read", "tokenward:tokens:write"]));
    assert_eq!(inherited["allowedNetworks"], json!(["10.0.0.0/8"]));
    let narrower = json!({"scopes": ["read"], "allowedNetworks": ["10.1.0.0/16"]});
    create(&inside, narrower).await.expect(201);
    for (wider, part) in [
        (json!({"scopes": ["read", "write"]}), "must be among"),
        (json!({"allowedNetworks": ["10.0.0.0/8", "192.0.2.1"]}), "must be within"),
        (json!({"allowedNetworks": ["8.0.0.0/5"]}), "must be within"),
    ] {
        assert!(create(&inside, wider).await.expect_error(400, "ValidationFailed").contains(part));
    }
    // Authenticated by password, the owner may have any limits.
    create(&admin, json!({"scopes": ["read", "write"]})).await.expect(201);
}

#[apply(both_databases)]
async fn a_token_without_scopes_reads_and_deletes_itself_only(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let (other, bearer) = (admin.create_token().await, create_token(&admin, json!({"scopes": []})).await);
    bearer.get("/v4/people/current").await.expect(200);
    bearer.get("/v4/open-api-spec").await.expect(200);
    bearer.get("/v4/auth").await.expect(200);
    // The path is read as everywhere: letters in either case, percent-decoded, one trailing slash.
    for id in [bearer.token_id.clone(), bearer.token_id.to_uppercase(), bearer.token_id.replace('-', "%2D")] {
        bearer.get(&format!("{TOKENS}/{id}")).await.expect(200);
        bearer.get(&format!("{TOKENS}/{id}/")).await.expect(200);
    }
    bearer.get(&format!("{TOKENS}/{}", bearer.token_id.replace('-', ""))).await.expect(403);
    let rejected = bearer.get(TOKENS).await;
    let details = rejected.expect_error(403, "AccessControlException");
    assert!(details.contains("tokenward:tokens:read"), "{details}");
    let challenge = r#"Bearer realm="tokenward", error="insufficient_scope", scope="tokenward:tokens:read""#;
    assert_eq!(rejected.header_values("www-authenticate"), [challenge]);
    for path in ["/v4/people", "/v4/events", CONFIGURATION, "/v4/workspaces/current", "/v4/workspaces"] {
        bearer.get(path).await.expect_error(403, "AccessControlException");
    }
    bearer.get(&other.token_path()).await.expect(403);
    bearer.delete(&other.token_path()).await.expect(403);
    bearer.delete(&format!("{}?descendants=true", bearer.token_path())).await.expect(403);
    create(&bearer, json!({})).await.expect(403);
    introspect(&bearer, &other.value, "").await.expect(403);
    bearer.delete(&bearer.token_path()).await.expect(204);
    assert!(!bearer.is_accepted().await && other.is_accepted().await);
}

#[apply(both_databases)]
async fn a_scope_gives_the_rights_of_the_owner_and_no_others(engine: Engine) {
    let app = with_provider(engine).await;
    app.set_setting("allowUsers", true).await;
    let (admin, ada) = (app.admin(), app.add_person("ada").await);
    let all = json!({"scopes": ["tokenward:tokens:read", "tokenward:tokens:write", "tokenward:people:read",
        "tokenward:people:write", "tokenward:settings:read", "tokenward:settings:write", "tokenward:events:read"]});
    let (admins, adas) = (create_token(&admin, all.clone()).await, create_token(&ada, all).await);
    for path in ["/v4/people", "/v4/apiAccessTokens?allUsers=true", "/v4/events?allUsers=true", CONFIGURATION] {
        admins.get(path).await.expect(200);
        adas.get(path).await.expect_error(403, "AccessControlException");
    }
    let ada_path = format!("/v4/people/{}", ada.id);
    admins.patch(&ada_path, &json!({"tokenAccess": "enabled"})).await.expect(200);
    for (field, body) in [
        ("isAdmin", json!({"isAdmin": true})),
        ("isAdmin", json!({"isAdmin": false})),
        ("email", json!({"email": "eve@example.com"})),
        ("password", json!({"password": "another long password", "password2": "another long password"})),
    ] {
        let details = admins.patch(&ada_path, &body).await.expect_error(403, "AccessControlException");
        assert!(details.contains(field) && details.contains("full access"), "{details}");
    }
    let new = |more: Value| {
        let mut body = json!({"email": "new@example.com", "name": "New"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    // Each would set the e-mail of another account, which is an identity.
    for rejected in [json!({}), json!({"password": PASSWORD}), json!({"invite": true}), json!({"isAdmin": true})] {
        admins.post("/v4/people", &new(rejected)).await.expect_error(403, "AccessControlException");
    }
    let added = admin.post("/v4/people", &new(json!({}))).await.expect(201);
    assert_eq!(added.json["email"], "new@example.com", "without a password, because there is a provider");
    admins.post(&format!("{ada_path}/invite"), &json!({})).await.expect(403);
    admins.get("/v4/workspaces").await.expect_error(403, "AccessControlException");
    let body = json!({"name": "Lab", "admin": {"email": "lab@example.com", "name": "", "password": PASSWORD}});
    admins.post("/v4/workspaces", &body).await.expect(403);
    introspect(&admins, &adas.value, "").await.expect(403);
}

#[apply(both_databases)]
async fn auth_checks_show_scopes_and_require_them(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let (full, none) = (admin.create_token().await, create_token(&admin, json!({"scopes": []})).await);
    let some = create_token(&admin, json!({"scopes": ["reports:read", "b"]})).await;
    for (bearer, shown, groups) in [(&full, "*", "user,admin"), (&none, "-", "user"), (&some, "b reports:read", "user")]
    {
        let response = bearer.get("/v4/auth").await.expect(200);
        assert_eq!(response.header_values("x-tokenward-scopes"), [shown]);
        assert_eq!(response.header_values("remote-groups"), [groups]);
    }
    for (requirements, expected) in [
        ("any", [200, 200, 200]),
        ("workspace=1", [200, 200, 200]),
        ("workspace=2", [403, 403, 403]),
        ("admin", [200, 403, 403]),
        ("unrestricted", [200, 403, 403]),
        ("scope=reports:read", [200, 403, 200]),
        ("scope=reports:read,scope=b", [200, 403, 200]),
        ("scope=reports:read,scope=c", [200, 403, 403]),
        ("scope=reports", [200, 403, 403]),
        ("scope=", [403, 403, 403]),
    ] {
        for (bearer, status) in [&full, &none, &some].into_iter().zip(expected) {
            bearer.get(&format!("/v4/auth/{requirements}")).await.expect(status);
        }
    }
    let rejected = none.get("/v4/auth/scope=b,scope=a").await.expect(403);
    let challenge = r#"Bearer realm="tokenward", error="insufficient_scope", scope="b a""#;
    assert_eq!(rejected.header_values("www-authenticate"), [challenge]);
    app.admin().get("/v4/auth/scope=anything,unrestricted").await.expect(200);
}

#[apply(both_databases)]
async fn introspection_describes_scopes(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let asker = create_token(&admin, json!({"scopes": ["tokenward:introspect"]})).await;
    let (full, none) = (admin.create_token().await, create_token(&admin, json!({"scopes": []})).await);
    let some = create_token(&admin, json!({"scopes": ["write", "read"]})).await;
    for (bearer, scope, is_admin) in
        [(&full, Value::Null, true), (&none, json!(""), false), (&some, json!("read write"), false)]
    {
        let response = introspect(&asker, &bearer.value, "").await.expect(200);
        assert_eq!(response.json["active"], json!(true));
        assert_eq!(response.json["scope"], scope);
        assert_eq!(response.json["tokenward_unrestricted"], json!(is_admin));
        assert_eq!(response.json["tokenward_is_admin"], json!(is_admin));
        assert_eq!(response.header_values("x-tokenward-token-expires"), ["2026-01-01T01:00:00.000Z"]);
    }
    let rejected = introspect(&some, &full.value, "").await.expect(403);
    assert_eq!(rejected.json["error"], json!("insufficient_scope"));
}

#[apply(both_databases)]
async fn auth_checks_require_the_scope_that_the_document_names(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let document = admin.get("/v4/open-api-spec").await.expect(200).json;
    let full = admin.create_token().await;
    let batch = json!({"tokens": [full.value]});
    for path in ["/oauth2/introspect", "/v4/auth/batch"] {
        let required = document["paths"][path]["post"]["x-required-scope"].as_str().unwrap();
        let send = async |client: &TokenClient| match path {
            "/v4/auth/batch" => client.post(path, &batch).await,
            _ => introspect(client, &full.value, "").await,
        };
        let with = create_token(&admin, json!({"scopes": [required]})).await;
        send(&with).await.expect(200);
        let others: Vec<&str> = reserved_scope::ALL.into_iter().filter(|word| *word != required).collect();
        let rejected = send(&create_token(&admin, json!({"scopes": others})).await).await.expect(403);
        let challenge = format!(r#"Bearer realm="tokenward", error="insufficient_scope", scope="{required}""#);
        assert_eq!(rejected.header_values("www-authenticate"), [challenge.as_str()], "{path}");
    }
}

#[apply(both_databases)]
async fn a_workspace_can_require_scopes(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let before = admin.create_token().await;
    let body = json!({"configuration": [{"key": "tokenward.requireScopes", "value": true}]});
    admin.patch(CONFIGURATION, &body).await.expect(200);
    assert!(create(&admin, json!({})).await.expect_error(400, "ValidationFailed").contains("requireScopes"));
    create(&before, json!({})).await.expect_error(400, "ValidationFailed");
    let scoped = create_token(&admin, json!({"scopes": ["tokenward:tokens:write"]})).await;
    create(&scoped, json!({})).await.expect(201);
    assert!(before.is_accepted().await, "existing tokens are not affected");
}

#[apply(both_databases)]
async fn responses_say_when_the_token_ends(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let hour = admin.create_token().await;
    let forever = admin.create_token_with(json!({"lifetimeSeconds": -1})).await;
    for path in ["/v4/people/current", "/v4/auth", TOKENS] {
        for (bearer, expected) in [(&hour, "2026-01-01T01:00:00.000Z"), (&forever, "never")] {
            let response = bearer.get(path).await.expect(200);
            assert_eq!(response.header_values("x-tokenward-token-expires"), [expected], "{path}");
            assert_eq!(response.headers.get("sunset"), None);
        }
    }
    assert!(hour.get("/v4/people/999").await.expect(404).headers.get("x-tokenward-token-expires").is_none());
    assert!(admin.get("/v4/people/current").await.expect(200).headers.get("x-tokenward-token-expires").is_none());
}
