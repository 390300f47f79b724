//! Every door agrees: for each state of a token, forward auth, introspection, gRPC and the layer give one verdict.

use axum::body::Body;
use envoy_types::pb::envoy::service::auth::v3::{
    AttributeContext, CheckRequest,
    attribute_context::{HttpRequest, Request as Described},
    authorization_server::Authorization as _,
};
use http::{HeaderValue, Request, Response};
use serde_json::json;
use tokenward::{auth_check::ExtAuthz, config::Delegate, domain::random::Random};
use tokenward_guard::{GuardLayer, token_format::TokenFormat};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::support::TestApp;

on_both!(every_door_gives_the_same_verdict);

/// A state, a token in it, and whether it opens anything.
type Case = (&'static str, String, bool);

/// The tokens of the table, by the state they are in.
async fn states(app: &TestApp) -> Vec<Case> {
    app.set("allowUsers", true).await;
    let admin = app.admin();
    let mut states = vec![
        ("an administrator's", admin.bearer().await.value, true),
        ("never expires", admin.bearer_for(json!({"lifetimeSeconds": -1})).await.value, true),
        ("the longest lifetime", admin.bearer_for(json!({"lifetimeSeconds": 3_153_600_000_i64})).await.value, true),
        (
            "described",
            admin.bearer_for(json!({"lifetimeSeconds": 60, "description": "\u{200f}'\"<"})).await.value,
            true,
        ),
        ("expired", admin.bearer_for(json!({"lifetimeSeconds": 1})).await.value, false),
        ("unknown", TokenFormat::default().generate(|bytes| Random::system().fill(bytes)).expose().to_owned(), false),
    ];
    states.extend(shapes(&states[0].1));
    states.extend(people(app).await);
    states.extend(departures(app).await);
    app.advance_seconds(1);
    states
}

/// What a good token may be turned into by whoever sends it.
fn shapes(good: &str) -> Vec<Case> {
    let damaged =
        |at: usize| format!("{}{}{}", &good[..at], if &good[at..=at] == "0" { "1" } else { "0" }, &good[at + 1..]);
    let mut states = vec![("marked as secret", format!("secret-token:{good}"), true)];
    for (state, value) in [
        ("damaged in the middle", damaged(20)),
        ("damaged in the checksum", damaged(52)),
        ("cut", good[..52].to_owned()),
        ("extended", format!("{good}0")),
        ("in capitals", good.to_uppercase()),
        ("of another prefix", good.replacen("twd", "abc", 1)),
        ("with a comma", format!("{good},{good}")),
        ("with padding", format!("{good}=")),
        ("a word", "nonsense".to_owned()),
        ("long", "x".repeat(600)),
    ] {
        states.push((state, value, false));
    }
    states
}

/// What may happen to its owner.
async fn people(app: &TestApp) -> Vec<Case> {
    let mut states = Vec::new();
    let admin = app.admin();
    for (state, change, good) in [
        ("a person's", json!({}), true),
        ("a renamed person's", json!({"name": "\u{540d}\u{524d}"}), true),
        ("another e-mail", json!({"email": "other@example.com"}), true),
        ("a promoted person's", json!({"isAdmin": true}), true),
        ("enabled individually", json!({"tokenAccess": "enabled"}), true),
        (
            "a new password",
            json!({"password": "an entirely new password", "password2": "an entirely new password"}),
            true,
        ),
        ("must change the password", json!({"forcePasswordChange": true}), true),
        ("disabled", json!({"isDisabled": true}), false),
        ("access disabled", json!({"tokenAccess": "disabled"}), false),
        ("disabled twice", json!({"isDisabled": true, "tokenAccess": "disabled"}), false),
    ] {
        let person = app.person(&format!("p{}", states.len())).await;
        let value = person.bearer().await.value;
        admin.change(person.id, change).await.expect(200);
        states.push((state, value, good));
    }
    states
}

/// What may happen to it, its owner's account or its workspace.
async fn departures(app: &TestApp) -> Vec<Case> {
    let mut states = Vec::new();
    let admin = app.admin();
    let back = app.person("back").await;
    let revived = back.bearer().await.value;
    for disabled in [true, false] {
        admin.change(back.id, json!({"isDisabled": disabled})).await.expect(200);
    }
    states.push(("enabled again", revived, true));
    let gone = app.person("gone").await;
    let orphaned = gone.bearer().await.value;
    admin.delete(&format!("/v4/people/{}", gone.id)).await.expect(204);
    states.push(("the person removed", orphaned, false));
    let deleted = admin.bearer().await;
    admin.delete(&deleted.path()).await.expect(204);
    states.push(("deleted", deleted.value.clone(), false));
    let itself = admin.bearer().await;
    itself.delete(&itself.path()).await.expect(204);
    states.push(("deleted by itself", itself.value.clone(), false));
    let other = app.other_admin("eve").await;
    let switched = other.bearer().await.value;
    let off = json!({"configuration": [{"key": "feature.apiAccessTokens.enabled", "value": false}]});
    other.patch("/v4/workspaces/current/configuration", &off).await.expect(200);
    states.push(("switched off", switched, false));
    let third = app.other_admin("mallory").await;
    states.push(("another workspace's", third.bearer().await.value, true));
    let removed = app.other_admin("trent").await;
    let homeless = removed.bearer().await.value;
    admin.delete(&format!("/v4/workspaces/{}", removed.workspace_id)).await.expect(204);
    states.push(("the workspace removed", homeless, false));
    states
}

async fn every_door_gives_the_same_verdict(app: TestApp) {
    let states = states(&app).await;
    assert!(states.len() >= 33, "{}", states.len());
    for (state, value, expected) in &states {
        let verdicts = [
            ("api", by_api(&app, value).await),
            ("forward auth", by_forward_auth(&app, value).await),
            ("introspection", by_introspection(&app, value).await),
            ("grpc", by_grpc(&app, value).await),
            ("layer", by_layer(&app, value).await),
        ];
        for (door, verdict) in verdicts {
            assert_eq!(verdict, *expected, "{state}, {door}");
        }
    }
}

async fn by_api(app: &TestApp, value: &str) -> bool {
    let reply = app.presenting(&[&format!("Bearer {value}")]).get("/v4/people/current").await;
    verdict(reply.status)
}

async fn by_forward_auth(app: &TestApp, value: &str) -> bool {
    verdict(app.presenting(&[&format!("Bearer {value}")]).get("/v4/auth/any").await.status)
}

async fn by_introspection(app: &TestApp, value: &str) -> bool {
    let asker = app.admin();
    let mut request = asker.request("POST", "/oauth2/introspect", Body::from(format!("token={value}")));
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers_mut().insert("content-type", form);
    asker.send(request).await.expect(200).json["active"].as_bool().unwrap()
}

async fn by_grpc(app: &TestApp, value: &str) -> bool {
    let headers = [("authorization".to_owned(), format!("Bearer {value}"))].into_iter().collect();
    let http = HttpRequest { headers, ..HttpRequest::default() };
    let described = Described { http: Some(http), ..Described::default() };
    let attributes = AttributeContext { request: Some(described), ..AttributeContext::default() };
    let request = CheckRequest { attributes: Some(attributes) };
    let checks = ExtAuthz::new(&app.app, &Delegate::default());
    let answer = checks.check(tonic::Request::new(request)).await.unwrap().into_inner();
    match answer.status.unwrap().code {
        0 => true,
        16 => false,
        other => panic!("gRPC answered {other}"),
    }
}

async fn by_layer(app: &TestApp, value: &str) -> bool {
    let inner =
        service_fn(|_: Request<Body>| async { Ok::<_, std::convert::Infallible>(Response::new(String::new())) });
    let guarded = GuardLayer::new(app.app.tokens().clone()).layer(inner);
    let request = Request::builder().header("authorization", format!("Bearer {value}")).body(Body::empty()).unwrap();
    verdict(guarded.oneshot(request).await.unwrap().status().as_u16())
}

fn verdict(status: u16) -> bool {
    match status {
        200 => true,
        401 => false,
        other => panic!("a check answered {other}"),
    }
}

/// Without the store no door gives a verdict.
#[tokio::test]
async fn without_the_store_envoy_is_told_unavailable() {
    let app = TestApp::start(crate::support::Engine::Sqlite).await;
    let bearer = app.admin().bearer().await;
    app.store.close().await;
    let headers = [("authorization".to_owned(), format!("Bearer {}", bearer.value))].into_iter().collect();
    let http = HttpRequest { headers, ..HttpRequest::default() };
    let described = Described { http: Some(http), ..Described::default() };
    let attributes = AttributeContext { request: Some(described), ..AttributeContext::default() };
    let checks = ExtAuthz::new(&app.app, &Delegate::default());
    let refused = checks.check(tonic::Request::new(CheckRequest { attributes: Some(attributes) })).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable);
}
