//! The client address that allowed networks are compared with: one rule for forward auth and gRPC.

use axum::body::Body;
use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;
use tokenward::{
    auth_check::{
        ExtAuthz,
        envoy_messages::{
            Address, AttributeContext, CheckRequest, HttpRequest, HttpResponse, Peer, Request as HttpAttributes,
            SocketAddress,
        },
    },
    config::Config,
};

use crate::support::{ApiClient, Database, Engine, TestApp, TokenClient, both_databases, test_config};

const TRUSTED_PROXY: &str = "192.168.0.1";

/// Returns a check request of Envoy for a client with this source address.
fn check_request(bearer: &TokenClient, source: &str, forwarded_for: Option<&str>, require: &str) -> CheckRequest {
    let mut headers = vec![("authorization".to_owned(), format!("Bearer {}", bearer.value))];
    headers.extend(forwarded_for.map(|hops| ("x-forwarded-for".to_owned(), hops.to_owned())));
    let http = HttpRequest { headers: headers.into_iter().collect(), ..HttpRequest::default() };
    let address = Address { socket_address: Some(SocketAddress { address: source.to_owned() }) };
    let attributes = AttributeContext {
        source: Some(Peer { address: Some(address) }),
        request: Some(HttpAttributes { http: Some(http) }),
        context_extensions: [("require".to_owned(), require.to_owned())].into(),
    };
    CheckRequest { attributes: Some(attributes) }
}

async fn forward_auth_accepts(bearer: &TokenClient, peer: &str, forwarded_for: Option<&str>) -> bool {
    let client = ApiClient::clone(bearer).with_address(peer);
    let mut request = client.request("GET", "/v4/auth", Body::empty());
    if let Some(hops) = forwarded_for {
        request.headers_mut().insert("x-forwarded-for", hops.parse().unwrap());
    }
    client.send(request).await.status == 200
}

/// Each case names the peer and its `X-Forwarded-For`.
#[apply(both_databases)]
async fn networks_are_compared_alike_over_http_and_grpc(engine: Engine) {
    let database = Database::migrated(engine).await;
    let mut config: Config = test_config(&database.url);
    config.listen.trusted_proxies = vec![TRUSTED_PROXY.parse().unwrap()];
    let trusted = config.listen.trusted_proxies.clone();
    let app = TestApp::start_with(database, |config| config.listen.trusted_proxies = trusted).await;
    let checks = ExtAuthz::new(&app.state, &config);
    let networks = json!({"lifetimeSeconds": 60, "allowedNetworks": ["10.1.0.0/16", "203.0.113.0/24", TRUSTED_PROXY]});
    let bearer = app.admin().create_token_with(networks).await;
    for (peer, forwarded_for, is_accepted) in [
        ("10.1.2.3", None, true),
        ("10.2.2.3", None, false),
        // A private peer that forwards is a proxy, and its clients are unknown.
        ("10.1.2.3", Some("203.0.113.9"), false),
        ("10.1.2.3", Some("198.51.100.1, 203.0.113.9"), false),
        ("10.1.2.3", Some("203.0.113.9, 10.1.2.3"), false),
        ("10.1.2.3", Some("unknown"), false),
        // Every client at a public address can send the header.
        ("203.0.113.9", Some("10.2.2.3"), true),
        ("198.51.100.1", Some("10.1.2.3"), false),
        (TRUSTED_PROXY, Some("203.0.113.9"), true),
        (TRUSTED_PROXY, Some("198.51.100.1"), false),
        (TRUSTED_PROXY, None, false),
    ] {
        assert_eq!(forward_auth_accepts(&bearer, peer, forwarded_for).await, is_accepted, "{peer} {forwarded_for:?}");
        let response = checks.check(check_request(&bearer, peer, forwarded_for, "any")).await.unwrap();
        assert_eq!(response.status.unwrap().code == 0, is_accepted, "gRPC: {peer} {forwarded_for:?}");
    }
    // Envoy appends the address of its client, also of one that sent no header.
    for (peer, is_accepted) in [("10.1.2.3", true), ("::ffff:10.1.2.3", true), ("10.2.2.3", false)] {
        let appended = peer.trim_start_matches("::ffff:");
        let response = checks.check(check_request(&bearer, peer, Some(appended), "any")).await.unwrap();
        assert_eq!(response.status.unwrap().code == 0, is_accepted, "{peer}");
    }
}

#[apply(both_databases)]
async fn a_denied_check_announces_the_deletion_of_a_replaced_token(engine: Engine) {
    let app = TestApp::start(engine).await;
    let old = app.admin().create_token().await;
    let checks = ExtAuthz::new(&app.state, &Config::default());
    let sunset = async |require: &str| {
        let response = checks.check(check_request(&old, "203.0.113.9", None, require)).await.unwrap();
        let Some(HttpResponse::DeniedResponse(denied)) = response.http_response else { panic!("{require}: allowed") };
        let headers = denied.headers.into_iter().filter_map(|option| option.header);
        headers.filter(|header| header.key == "sunset").map(|header| header.value).collect::<Vec<_>>()
    };
    assert!(sunset("workspace=2").await.is_empty());
    app.admin().post("/v4/apiAccessTokens", &json!({"replaces": old.token_id, "graceSeconds": 60})).await.expect(201);
    for require in ["workspace=2", "invalid"] {
        assert_eq!(sunset(require).await, ["Thu, 01 Jan 2026 00:01:00 GMT"], "{require}");
    }
    app.advance_seconds(60);
    assert!(sunset("any").await.is_empty(), "the token does not authenticate any more");
}
