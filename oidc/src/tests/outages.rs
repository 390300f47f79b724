//! A provider that is slow, wrong or away. Nothing of that is a denial.

use std::time::{Duration, Instant};

use super::{
    provider::{Reply, SHORT},
    *,
};

async fn discovery_error(provider: &FakeProvider) -> UnavailableCause {
    expect_unavailable(provider.client_with(settings(&provider.issuer), SHORT).authorization_url(&flow()).await)
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let provider = FakeProvider::start().await;
    let claims = id_claims(&provider.issuer);
    let target = || Reply::Redirect(format!("{}/elsewhere", provider.issuer));
    provider.set_discovery(target());
    let cause = discovery_error(&provider).await;
    assert!(matches!(cause, UnavailableCause::Redirect { status: 302 }), "{cause}");
    provider.announce(&json!({}));
    provider.set_keys(target());
    let cause = expect_unavailable(redeem_claims(&provider, &claims).await);
    assert!(matches!(cause, UnavailableCause::Redirect { status: 302 }), "{cause}");
    provider.set_token(target());
    let cause = expect_unavailable(redeem(&provider).await);
    assert!(matches!(cause, UnavailableCause::Redirect { status: 302 }), "{cause}");
    assert!(provider.received("/elsewhere").is_empty());
}

#[tokio::test]
async fn responses_beyond_the_limit_are_not_read() {
    let provider = FakeProvider::start().await;
    let claims = id_claims(&provider.issuer);
    let is_too_large = |cause| matches!(cause, UnavailableCause::TooLarge { limit: 262_144 });
    provider.set_discovery(Reply::Padding(10 << 20));
    assert!(is_too_large(expect_unavailable(provider.client().authorization_url(&flow()).await)));
    provider.set_discovery(Reply::Padding(256 * 1024 + 1));
    assert!(is_too_large(expect_unavailable(provider.client().authorization_url(&flow()).await)));
    provider.announce(&json!({ "padding": " ".repeat(200 * 1024) }));
    provider.client().authorization_url(&flow()).await.unwrap();
    provider.set_keys(Reply::Padding(10 << 20));
    assert!(is_too_large(expect_unavailable(redeem_claims(&provider, &claims).await)));
    provider.set_token(Reply::Padding(10 << 20));
    assert!(is_too_large(expect_unavailable(redeem(&provider).await)));
}

#[tokio::test]
async fn the_time_limit_includes_the_body() {
    let provider = FakeProvider::start().await;
    for reply in [Reply::Silence, Reply::Stall] {
        provider.set_discovery(reply.clone());
        let started = Instant::now();
        let cause = discovery_error(&provider).await;
        assert!(matches!(cause, UnavailableCause::TimedOut { limit } if limit == SHORT), "{cause}");
        assert!(started.elapsed() < Duration::from_secs(3));
        provider.announce(&json!({}));
        provider.set_token(reply);
        let client = provider.client_with(settings(&provider.issuer), SHORT);
        let cause = expect_unavailable(client.redeem(SECRETS[1], None, &flow(), now()).await);
        assert!(matches!(cause, UnavailableCause::TimedOut { .. }), "{cause}");
    }
}

#[tokio::test]
async fn a_provider_that_is_away_is_unavailable_until_it_is_back() {
    let provider = FakeProvider::start().await;
    let client = provider.client();
    for status in [404, 429, 500, 503] {
        provider.set_discovery(Reply::Json(status, json!({})));
        let cause = expect_unavailable(client.authorization_url(&flow()).await);
        assert!(matches!(cause, UnavailableCause::Status { status: found } if found == status), "{cause}");
    }
    provider.announce(&json!({}));
    client.authorization_url(&flow()).await.unwrap();
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let away = crate::Client::new(settings(&format!("http://127.0.0.1:{port}"))).unwrap();
    let error = away.authorization_url(&flow()).await.unwrap_err();
    assert!(error.to_string().contains("whether the provider runs"), "{error}");
    assert!(matches!(expect_unavailable::<()>(Err(error)), UnavailableCause::Connection(_)));
}

#[tokio::test]
async fn another_issuer_in_the_discovery_document_is_an_error() {
    let provider = FakeProvider::start().await;
    for issuer in [format!("{}/", provider.issuer), "https://evil.example".to_owned(), String::new()] {
        provider.announce(&json!({ "issuer": issuer }));
        let cause = discovery_error(&provider).await;
        assert!(matches!(&cause, UnavailableCause::IssuerDiffers { found } if *found == issuer), "{cause}");
    }
    provider.announce(&json!({ "issuer": "é".repeat(10_000) }));
    let text = discovery_error(&provider).await.to_string();
    assert!(text.len() < 1_000 && text.contains("set issuer to exactly this text"), "{text}");
}

#[tokio::test]
async fn a_document_that_is_none_is_an_error() {
    let provider = FakeProvider::start().await;
    for text in ["", "<html>", "[]", "{}", r#"{"issuer": 1}"#] {
        provider.set_discovery(Reply::Text(text.to_owned()));
        let cause = discovery_error(&provider).await;
        assert!(matches!(cause, UnavailableCause::InvalidDocument), "{text}: {cause}");
    }
    provider.announce(&json!({}));
    for text in ["", "<html>", "{}", r#"{"keys": {}}"#] {
        provider.set_keys(Reply::Text(text.to_owned()));
        let cause = expect_unavailable(redeem_claims(&provider, &id_claims(&provider.issuer)).await);
        assert!(matches!(cause, UnavailableCause::InvalidDocument), "{text}: {cause}");
    }
    provider.announce(&json!({ "authorization_endpoint": null, "token_endpoint": null }));
    let cause = discovery_error(&provider).await;
    assert!(matches!(cause, UnavailableCause::EndpointMissing { name: "authorization_endpoint" }), "{cause}");
    let cause = expect_unavailable(redeem(&provider).await);
    assert!(matches!(cause, UnavailableCause::EndpointMissing { name: "token_endpoint" }), "{cause}");
}

#[tokio::test]
async fn endpoints_without_tls_are_not_connected_to() {
    let provider = FakeProvider::start().await;
    for name in ["authorization_endpoint", "token_endpoint", "jwks_uri", "end_session_endpoint"] {
        for url in [
            "http://login.example.org/x",
            "http://169.254.169.254/x",
            "http://127.0.0.1.example.org/x",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "https://user:password@login.example.org/x",
            "https://login.example.org/x#fragment",
            "/relative",
        ] {
            provider.announce(&json!({ name: url }));
            let cause = discovery_error(&provider).await;
            assert!(matches!(cause, UnavailableCause::EndpointUrl { name: found } if found == name), "{url}: {cause}");
        }
    }
}
