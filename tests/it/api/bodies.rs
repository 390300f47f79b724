//! Bodies of every wrong kind.

use axum::body::Body;
use http::HeaderValue;

use crate::support::TestApp;

const PATH: &str = "/v4/apiAccessTokens";

on_both!(
    bodies_of_the_wrong_form_are_refused,
    only_json_is_taken,
    large_bodies_are_refused,
    a_get_may_say_json_without_a_body
);

async fn bodies_of_the_wrong_form_are_refused(app: TestApp) {
    let admin = app.admin();
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000));
    for body in [
        "",
        "[]",
        "[3600]",
        "1",
        "null",
        "\"x\"",
        "x",
        "{",
        "{\"lifetimeSeconds\":1,}",
        "{\"lifetimeSeconds\":1}{}",
        &deep,
    ] {
        admin.with_json("POST", PATH, body.to_owned()).await.expect_error(400, "ApiValidationFailed");
    }
    let latin1 = b"{\"lifetimeSeconds\":1,\"description\":\"caf\xe9\"}".to_vec();
    admin.with_json("POST", PATH, latin1).await.expect_error(400, "ApiValidationFailed");
    let surrogate = r#"{"lifetimeSeconds":1,"description":"\ud800"}"#;
    admin.with_json("POST", PATH, surrogate).await.expect_error(400, "ApiValidationFailed");
    let twice = r#"{"lifetimeSeconds":1,"lifetimeSeconds":-1}"#;
    admin.with_json("POST", PATH, twice).await.expect_error(400, "ApiValidationFailed");
    assert!(admin.get(PATH).await.rows().is_empty());
}

async fn only_json_is_taken(app: TestApp) {
    let admin = app.admin();
    for (content_type, status) in [
        (Some("application/json"), 201),
        (Some("application/JSON; charset=UTF-8"), 201),
        (None, 201),
        (Some("application/x-www-form-urlencoded"), 415),
        (Some("text/plain"), 415),
        (Some(""), 415),
    ] {
        let mut request = admin.request("POST", PATH, Body::from(r#"{"lifetimeSeconds":1}"#));
        if let Some(content_type) = content_type {
            request.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
        }
        assert_eq!(admin.send(request).await.status, status, "{content_type:?}");
    }
}

async fn large_bodies_are_refused(app: TestApp) {
    let admin = app.admin();
    let padded = |size: usize| format!("{{\"lifetimeSeconds\":1{}}}", " ".repeat(size - 21));
    admin.with_json("POST", PATH, padded(65_536)).await.expect(201);
    for size in [65_537, 1 << 20, 16 << 20] {
        admin.with_json("POST", PATH, padded(size)).await.expect_error(413, "PayloadTooLargeException");
    }
    // A body of unknown length is stopped while it is read.
    let frames = (0..100).map(|_| Ok::<_, std::io::Error>(bytes_of(1_024)));
    let stream = Body::from_stream(futures_util::stream::iter(frames));
    admin.with_json("POST", PATH, stream).await.expect_error(413, "PayloadTooLargeException");
}

fn bytes_of(size: usize) -> Vec<u8> {
    vec![b' '; size]
}

async fn a_get_may_say_json_without_a_body(app: TestApp) {
    let admin = app.admin();
    admin.with_json("GET", PATH, Body::empty()).await.expect(200);
    let bearer = admin.bearer().await;
    admin.with_json("DELETE", &bearer.path(), Body::empty()).await.expect(204);
}
