//! What every answer has in common: ids, headers, paths, methods.

use std::collections::HashSet;

use axum::body::Body;
use http::HeaderValue;

use crate::support::TestApp;

on_both!(
    request_ids_are_kept_where_well_formed,
    paths_match_in_any_case_with_one_trailing_slash,
    unknown_paths_and_methods_are_routes_that_do_not_exist,
    head_answers_as_get_without_a_body,
    answers_are_not_stored_and_not_shared,
);

async fn request_ids_are_kept_where_well_formed(app: TestApp) {
    let with_id = |id: HeaderValue| {
        let anonymous = app.anonymous();
        async move {
            let mut request = anonymous.request("GET", "/v4/people/current", Body::empty());
            request.headers_mut().insert("x-request-id", id);
            let reply = anonymous.send(request).await;
            assert_eq!(reply.headers["x-request-id"], reply.headers["x-trifacta-request-id"]);
            reply.headers["x-request-id"].to_str().unwrap().to_owned()
        }
    };
    let longest = "~".repeat(128);
    for kept in ["a", "0af7651916cd43dd8448eb211c80319c", "!\"#", longest.as_str()] {
        assert_eq!(with_id(HeaderValue::from_str(kept).unwrap()).await, kept);
    }
    let mut made = HashSet::new();
    for replaced in ["", "a b", "\u{e9}", &"x".repeat(129)] {
        let seen = with_id(HeaderValue::from_bytes(replaced.as_bytes()).unwrap()).await;
        let is_new = seen.len() == 32 && seen.bytes().all(|b| b.is_ascii_hexdigit());
        assert!(is_new && made.insert(seen.clone()), "{replaced}: {seen}");
    }
}

async fn paths_match_in_any_case_with_one_trailing_slash(app: TestApp) {
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

async fn unknown_paths_and_methods_are_routes_that_do_not_exist(app: TestApp) {
    let admin = app.admin();
    let bearer = admin.bearer().await;
    for (method, path) in [
        ("GET", "/nothing"),
        ("GET", "/v4"),
        ("GET", "/v4/nothing"),
        ("PUT", "/v4/apiAccessTokens"),
        ("PUT", bearer.path().as_str()),
        ("PATCH", bearer.path().as_str()),
        ("POST", bearer.path().as_str()),
        ("DELETE", "/v4/apiAccessTokens/"),
        ("OPTIONS", "/v4/people"),
        ("TRACE", "/v4/people"),
        ("BREW", "/v4/people"),
        ("PATCH", "/v4/people/current"),
        ("GET", "/v4/people/1/tokens"),
    ] {
        let reply = admin.send(admin.request(method, path, Body::empty())).await;
        reply.expect_error(404, "RouteNotFoundException");
        assert_eq!(reply.json["exception"]["message"], "Route doesn't exist");
    }
}

async fn head_answers_as_get_without_a_body(app: TestApp) {
    let admin = app.admin();
    let reply = admin.send(admin.request("HEAD", "/v4/people/current", Body::empty())).await.expect(200);
    assert!(reply.text.is_empty());
    assert_eq!(app.anonymous().send(app.anonymous().request("HEAD", "/v4/people", Body::empty())).await.status, 401);
}

async fn answers_are_not_stored_and_not_shared(app: TestApp) {
    for reply in [
        app.admin().get("/v4/people/current").await,
        app.anonymous().get("/v4/people").await,
        app.anonymous().get("/v4/x").await,
    ] {
        assert_eq!(reply.headers["cache-control"], "no-store");
        assert_eq!(reply.headers["vary"], "authorization");
        assert!(!reply.headers.contains_key("server") && !reply.headers.contains_key("access-control-allow-origin"));
    }
}
