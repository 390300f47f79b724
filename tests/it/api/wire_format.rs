//! Properties of all responses: request IDs, headers, paths and methods.

use rstest::rstest;
use rstest_reuse::apply;
use std::collections::HashSet;

use axum::body::Body;
use http::HeaderValue;

use crate::support::{Engine, TestApp, both_databases};

#[apply(both_databases)]
async fn well_formed_request_ids_are_kept(engine: Engine) {
    let app = TestApp::start(engine).await;
    let sent_id = |id: HeaderValue| {
        let anonymous = app.anonymous();
        async move {
            let mut request = anonymous.request("GET", "/v4/people/current", Body::empty());
            request.headers_mut().insert("x-request-id", id);
            let response = anonymous.send(request).await;
            assert_eq!(response.headers["x-request-id"], response.headers["x-trifacta-request-id"]);
            response.headers["x-request-id"].to_str().unwrap().to_owned()
        }
    };
    let longest = "~".repeat(128);
    for kept in ["a", "0af7651916cd43dd8448eb211c80319c", "!\"#", longest.as_str()] {
        assert_eq!(sent_id(HeaderValue::from_str(kept).unwrap()).await, kept);
    }
    let mut generated = HashSet::new();
    for replaced in ["", "a b", "\u{e9}", &"x".repeat(129)] {
        let id = sent_id(HeaderValue::from_bytes(replaced.as_bytes()).unwrap()).await;
        let is_new = id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
        assert!(is_new && generated.insert(id.clone()), "{replaced}: {id}");
    }
}

#[apply(both_databases)]
async fn paths_match_in_any_case_and_with_one_trailing_slash(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    for path in [
        "/v4/apiaccesstokens",
        "/V4/APIACCESSTOKENS/",
        "/v4/people/Current/",
        "/v4/WORKSPACES/current/Configuration",
        "/Health/Live/",
    ] {
        admin.get(path).await.expect(200);
    }
    for path in ["/v4/apiAccessTokens//", "//v4/apiAccessTokens", "/v4//apiAccessTokens", "/v4/x/../apiAccessTokens"] {
        admin.get(path).await.expect_error(404, "RouteNotFoundException");
    }
}

#[apply(both_databases)]
async fn unknown_paths_and_methods_return_404(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let bearer = admin.create_token().await;
    for (method, path) in [
        ("GET", "/nothing"),
        ("GET", "/v4"),
        ("GET", "/v4/nothing"),
        ("PUT", "/v4/apiAccessTokens"),
        ("PUT", bearer.token_path().as_str()),
        ("PATCH", bearer.token_path().as_str()),
        ("POST", bearer.token_path().as_str()),
        ("DELETE", "/v4/apiAccessTokens/"),
        ("OPTIONS", "/v4/people"),
        ("TRACE", "/v4/people"),
        ("BREW", "/v4/people"),
        ("PATCH", "/v4/people/current"),
        ("GET", "/v4/people/1/tokens"),
    ] {
        let response = admin.send(admin.request(method, path, Body::empty())).await;
        response.expect_error(404, "RouteNotFoundException");
        assert_eq!(response.json["exception"]["message"], "Route doesn't exist");
    }
}

#[apply(both_databases)]
async fn head_responds_like_get_without_a_body(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let response = admin.send(admin.request("HEAD", "/v4/people/current", Body::empty())).await.expect(200);
    assert!(response.text.is_empty());
    assert_eq!(app.anonymous().send(app.anonymous().request("HEAD", "/v4/people", Body::empty())).await.status, 401);
}

#[apply(both_databases)]
async fn responses_are_not_cacheable_and_not_cross_origin(engine: Engine) {
    let app = TestApp::start(engine).await;
    for response in [
        app.admin().get("/v4/people/current").await,
        app.anonymous().get("/v4/people").await,
        app.anonymous().get("/v4/x").await,
    ] {
        assert_eq!(response.headers["cache-control"], "no-store");
        assert_eq!(response.headers["vary"], "authorization");
        assert!(
            !response.headers.contains_key("server") && !response.headers.contains_key("access-control-allow-origin")
        );
    }
}
