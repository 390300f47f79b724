//! All entry points agree: for each state of a token, the API, forward auth, introspection,
//! ext_authz and the guard layer accept or reject it alike.

use axum::body::Body;
use http::{HeaderValue, Request, Response};
use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;
use tokenward::{
    auth_check::{
        ExtAuthz,
        envoy_messages::{AttributeContext, CheckRequest, HttpRequest, Request as HttpAttributes},
    },
    config::Config,
    domain::random::Random,
};
use tokenward_guard::{GuardLayer, token_format::TokenFormat};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::support::{Engine, TestApp, both_databases};

/// The name of a state, a token in it, and whether it is accepted.
type TokenCase = (&'static str, String, bool);

/// Creates a token in each state.
async fn token_cases(app: &TestApp) -> Vec<TokenCase> {
    app.set_setting("allowUsers", true).await;
    let admin = app.admin();
    let mut cases = vec![
        ("administrator", admin.create_token().await.value, true),
        ("never expires", admin.create_token_with(json!({"lifetimeSeconds": -1})).await.value, true),
        (
            "the longest lifetime",
            admin.create_token_with(json!({"lifetimeSeconds": 3_153_600_000_i64})).await.value,
            true,
        ),
        (
            "with a description",
            admin.create_token_with(json!({"lifetimeSeconds": 60, "description": "\u{200f}'\"<"})).await.value,
            true,
        ),
        ("expired", admin.create_token_with(json!({"lifetimeSeconds": 1})).await.value, false),
        ("unknown", TokenFormat::default().generate(|bytes| Random::system().fill(bytes)).expose().to_owned(), false),
    ];
    cases.extend(malformed_value_cases(&cases[0].1));
    cases.extend(owner_state_cases(app).await);
    cases.extend(revocation_cases(app).await);
    cases.extend(limited_cases(app).await);
    app.advance_seconds(1);
    cases
}

/// Returns altered forms of a valid token value.
fn malformed_value_cases(good: &str) -> Vec<TokenCase> {
    let damaged =
        |at: usize| format!("{}{}{}", &good[..at], if &good[at..=at] == "0" { "1" } else { "0" }, &good[at + 1..]);
    let mut cases = vec![("with secret-token prefix", format!("secret-token:{good}"), true)];
    for (state, value) in [
        ("damaged in the middle", damaged(20)),
        ("damaged in the checksum", damaged(52)),
        ("truncated", good[..52].to_owned()),
        ("extended", format!("{good}0")),
        ("in upper case", good.to_uppercase()),
        ("with another prefix", good.replacen("twd", "abc", 1)),
        ("with a comma", format!("{good},{good}")),
        ("with padding", format!("{good}=")),
        ("one word", "nonsense".to_owned()),
        ("too long", "x".repeat(600)),
    ] {
        cases.push((state, value, false));
    }
    cases
}

/// Creates tokens whose owners are changed afterwards.
async fn owner_state_cases(app: &TestApp) -> Vec<TokenCase> {
    let mut cases = Vec::new();
    let admin = app.admin();
    for (state, change, is_accepted) in [
        ("person", json!({}), true),
        ("renamed person", json!({"name": "\u{540d}\u{524d}"}), true),
        ("changed e-mail", json!({"email": "other@example.com"}), true),
        ("promoted person", json!({"isAdmin": true}), true),
        ("individually enabled", json!({"tokenAccess": "enabled"}), true),
        (
            "changed password",
            json!({"password": "an entirely new password", "password2": "an entirely new password"}),
            true,
        ),
        ("must change the password", json!({"forcePasswordChange": true}), true),
        ("disabled", json!({"isDisabled": true}), false),
        ("access disabled", json!({"tokenAccess": "disabled"}), false),
        ("disabled, access disabled", json!({"isDisabled": true, "tokenAccess": "disabled"}), false),
    ] {
        let person = app.add_person(&format!("p{}", cases.len())).await;
        let value = person.create_token().await.value;
        admin.update_person(person.id, change).await.expect(200);
        cases.push((state, value, is_accepted));
    }
    cases
}

/// Creates tokens with limits, and tokens that others replace. The clients have no address.
async fn limited_cases(app: &TestApp) -> Vec<TokenCase> {
    let admin = app.admin();
    let mut cases = Vec::new();
    for (state, body, is_accepted) in [
        ("no scope", json!({"lifetimeSeconds": 60, "scopes": []}), true),
        ("with scopes", json!({"lifetimeSeconds": 60, "scopes": ["a", "tokenward:introspect"]}), true),
        ("outside its networks", json!({"lifetimeSeconds": 60, "allowedNetworks": ["10.0.0.0/8"]}), false),
    ] {
        cases.push((state, admin.create_token_with(body).await.value, is_accepted));
    }
    for (state, grace, is_accepted) in
        [("replaced", 2, true), ("grace ended", 1, false), ("replaced at once", 0, false)]
    {
        let old = admin.create_token().await;
        cases.push((state, old.value.clone(), is_accepted));
        let body = json!({"replaces": old.token_id, "graceSeconds": grace});
        cases.push(("replacement", admin.create_token_with(body).await.value, true));
    }
    cases
}

/// Creates tokens that are deleted afterwards, or whose owner or workspace is.
async fn revocation_cases(app: &TestApp) -> Vec<TokenCase> {
    let mut cases = Vec::new();
    let admin = app.admin();
    let ada = app.add_person("ada").await;
    let reenabled = ada.create_token().await.value;
    for disabled in [true, false] {
        admin.update_person(ada.id, json!({"isDisabled": disabled})).await.expect(200);
    }
    cases.push(("enabled again", reenabled, true));
    let removed_person = app.add_person("bob").await;
    let of_removed_person = removed_person.create_token().await.value;
    admin.delete(&format!("/v4/people/{}", removed_person.id)).await.expect(204);
    cases.push(("deleted person", of_removed_person, false));
    let deleted = admin.create_token().await;
    admin.delete(&deleted.token_path()).await.expect(204);
    cases.push(("deleted", deleted.value.clone(), false));
    let self_deleted = admin.create_token().await;
    self_deleted.delete(&self_deleted.token_path()).await.expect(204);
    cases.push(("deleted by itself", self_deleted.value.clone(), false));
    let other = app.create_workspace_with_admin("eve").await;
    let disabled_token = other.create_token().await.value;
    let disable_tokens = json!({"configuration": [{"key": "feature.apiAccessTokens.enabled", "value": false}]});
    other.patch("/v4/workspaces/current/configuration", &disable_tokens).await.expect(200);
    cases.push(("tokens disabled", disabled_token, false));
    let another = app.create_workspace_with_admin("mallory").await;
    cases.push(("another workspace", another.create_token().await.value, true));
    let removed_admin = app.create_workspace_with_admin("trent").await;
    let of_removed_workspace = removed_admin.create_token().await.value;
    admin.delete(&format!("/v4/workspaces/{}", removed_admin.workspace_id)).await.expect(204);
    cases.push(("deleted workspace", of_removed_workspace, false));
    cases
}

#[apply(both_databases)]
async fn every_entry_point_accepts_the_same_tokens(engine: Engine) {
    let app = TestApp::start(engine).await;
    let cases = token_cases(&app).await;
    assert!(cases.len() >= 33, "{}", cases.len());
    for (state, value, expected) in &cases {
        let results = [
            ("api", api_accepts(&app, value).await),
            ("forward auth", forward_auth_accepts(&app, value).await),
            ("introspection", introspection_accepts(&app, value).await),
            ("ext_authz", ext_authz_accepts(&app, value).await),
            ("layer", layer_accepts(&app, value).await),
        ];
        for (entry_point, is_accepted) in results {
            assert_eq!(is_accepted, *expected, "{state}, {entry_point}");
        }
    }
}

async fn api_accepts(app: &TestApp, value: &str) -> bool {
    let reply = app.client_with_authorization(&[&format!("Bearer {value}")]).get("/v4/people/current").await;
    is_accepted(reply.status)
}

async fn forward_auth_accepts(app: &TestApp, value: &str) -> bool {
    is_accepted(app.client_with_authorization(&[&format!("Bearer {value}")]).get("/v4/auth/any").await.status)
}

async fn introspection_accepts(app: &TestApp, value: &str) -> bool {
    let caller = app.admin();
    let mut request = caller.request("POST", "/oauth2/introspect", Body::from(format!("token={value}")));
    let content_type = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers_mut().insert("content-type", content_type);
    caller.send(request).await.expect(200).json["active"].as_bool().unwrap()
}

async fn ext_authz_accepts(app: &TestApp, value: &str) -> bool {
    let headers = [("authorization".to_owned(), format!("Bearer {value}"))].into_iter().collect();
    let http = HttpRequest { headers, ..HttpRequest::default() };
    let request_attributes = HttpAttributes { http: Some(http) };
    let attributes = AttributeContext { request: Some(request_attributes), ..AttributeContext::default() };
    let request = CheckRequest { attributes: Some(attributes) };
    let checks = ExtAuthz::new(&app.state, &Config::default());
    let response = checks.check(request).await.unwrap();
    match response.status.unwrap().code {
        0 => true,
        16 => false,
        other => panic!("unexpected gRPC status code {other}"),
    }
}

async fn layer_accepts(app: &TestApp, value: &str) -> bool {
    let inner =
        service_fn(|_: Request<Body>| async { Ok::<_, std::convert::Infallible>(Response::new(String::new())) });
    let guarded = GuardLayer::new(app.state.tokens().clone()).layer(inner);
    let request = Request::builder().header("authorization", format!("Bearer {value}")).body(Body::empty()).unwrap();
    is_accepted(guarded.oneshot(request).await.unwrap().status().as_u16())
}

fn is_accepted(status: u16) -> bool {
    match status {
        200 => true,
        401 => false,
        other => panic!("unexpected status {other}"),
    }
}

#[tokio::test]
async fn without_the_store_ext_authz_returns_unavailable() {
    let app = TestApp::start(crate::support::Engine::Sqlite).await;
    let bearer = app.admin().create_token().await;
    app.store.close().await;
    let headers = [("authorization".to_owned(), format!("Bearer {}", bearer.value))].into_iter().collect();
    let http = HttpRequest { headers, ..HttpRequest::default() };
    let request_attributes = HttpAttributes { http: Some(http) };
    let attributes = AttributeContext { request: Some(request_attributes), ..AttributeContext::default() };
    let checks = ExtAuthz::new(&app.state, &Config::default());
    let status = checks.check(CheckRequest { attributes: Some(attributes) }).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
}
