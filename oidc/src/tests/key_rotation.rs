//! The keys of a provider over time.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Semaphore, task::JoinSet};

use crate::Client;

use super::{provider::Reply, *};

/// Returns a logout token, which needs no request to the token endpoint.
fn logout_token(issuer: &str, key: TestKey, kid: &str) -> String {
    let algorithm = if key == TestKey::Rsa { "RS256" } else { "ES256" };
    let claims = json!({
        "iss": issuer,
        "aud": CLIENT_ID,
        "iat": NOW,
        "exp": NOW + 120,
        "jti": "id-1",
        "sid": "session-1",
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    });
    key.sign(&json!({ "alg": algorithm, "kid": kid }), &claims.to_string())
}

async fn verify(client: &Client, token: &str) -> Result<crate::LogoutClaims, Error> {
    client.verify_logout_token(token, now()).await
}

fn loads(provider: &FakeProvider) -> (usize, usize) {
    (provider.received("/openid-configuration").len(), provider.received("/keys").len())
}

#[tokio::test]
async fn nothing_is_loaded_before_it_is_needed() {
    let provider = FakeProvider::start().await;
    let client = provider.client();
    assert_eq!(loads(&provider), (0, 0));
    client.authorization_url(&flow()).await.unwrap();
    assert_eq!(loads(&provider), (1, 0));
}

#[tokio::test]
async fn what_was_loaded_is_kept_for_an_hour() {
    let provider = FakeProvider::start().await;
    let client = provider.client();
    let token = logout_token(&provider.issuer, TestKey::Rsa, "rsa");
    verify(&client, &token).await.unwrap();
    provider.advance(Duration::from_secs(3_599));
    verify(&client.clone(), &token).await.unwrap();
    assert_eq!(loads(&provider), (1, 1));
    provider.advance(Duration::from_secs(1));
    // A key that the provider does not publish any more is not accepted for longer.
    provider.publish(&[TestKey::P256.jwk()]);
    assert_eq!(expect_denial(verify(&client, &token).await), Denial::UnknownKey);
}

#[tokio::test]
async fn a_new_key_is_loaded_when_it_is_used() {
    let provider = FakeProvider::start().await;
    provider.publish(&[TestKey::P256.jwk()]);
    let client = provider.client();
    verify(&client, &logout_token(&provider.issuer, TestKey::P256, "p256")).await.unwrap();
    provider.publish(&[TestKey::P256.jwk(), TestKey::Rsa.jwk()]);
    verify(&client, &logout_token(&provider.issuer, TestKey::Rsa, "rsa")).await.unwrap();
    assert_eq!(loads(&provider), (1, 2));
}

#[tokio::test]
async fn a_new_key_without_id_is_loaded_when_a_signature_fails() {
    let provider = FakeProvider::start().await;
    let without_id = |key: TestKey| {
        let mut jwk = key.jwk();
        jwk.as_object_mut().unwrap().remove("kid");
        jwk
    };
    let mut other = without_id(TestKey::Rsa);
    let n = other["n"].as_str().unwrap();
    other["n"] = json!(format!("{}B{}", &n[..9], &n[10..]));
    provider.publish(&[other]);
    let client = provider.client();
    let claims = id_claims(&provider.issuer).to_string();
    provider.issue(&TestKey::Rsa.sign(&json!({ "alg": "RS256" }), &claims));
    assert_eq!(expect_denial(client.redeem("code", None, &flow(), now()).await), Denial::Signature);
    provider.publish(&[without_id(TestKey::P256), without_id(TestKey::Rsa)]);
    provider.advance(Duration::from_mins(1));
    client.redeem("code", None, &flow(), now()).await.unwrap();
}

#[tokio::test]
async fn unknown_keys_load_the_keys_once_a_minute() {
    let provider = FakeProvider::start().await;
    let client = provider.client();
    let known = logout_token(&provider.issuer, TestKey::Rsa, "rsa");
    verify(&client, &known).await.unwrap();
    for n in 0..100 {
        let token = logout_token(&provider.issuer, TestKey::Rsa, &format!("unknown-{n}"));
        assert_eq!(expect_denial(verify(&client, &token).await), Denial::UnknownKey);
    }
    assert_eq!(loads(&provider), (1, 2));
    verify(&client, &known).await.unwrap();
    provider.advance(Duration::from_secs(59));
    let unknown = logout_token(&provider.issuer, TestKey::Rsa, "unknown");
    assert_eq!(expect_denial(verify(&client, &unknown).await), Denial::UnknownKey);
    assert_eq!(loads(&provider), (1, 2));
    provider.advance(Duration::from_secs(1));
    assert_eq!(expect_denial(verify(&client, &unknown).await), Denial::UnknownKey);
    assert_eq!(loads(&provider), (1, 3));
}

/// A wrong signature by a known key, or a wrong algorithm, says nothing about the keys.
#[tokio::test]
async fn a_forged_token_loads_no_keys() {
    let provider = FakeProvider::start().await;
    let client = provider.client();
    let token = logout_token(&provider.issuer, TestKey::Rsa, "rsa");
    verify(&client, &token).await.unwrap();
    let (signed, _) = token.rsplit_once('.').unwrap();
    assert_eq!(expect_denial(verify(&client, &format!("{signed}.AAAA")).await), Denial::Signature);
    let forged = logout_token(&provider.issuer, TestKey::Rsa, "p256");
    assert_eq!(expect_denial(verify(&client, &forged).await), Denial::AlgorithmOfKey);
    assert_eq!(loads(&provider), (1, 1));
}

/// A failure to check is never a denial.
#[tokio::test]
async fn an_unknown_key_is_not_denied_while_the_keys_cannot_be_loaded() {
    let provider = FakeProvider::start().await;
    let client = provider.client();
    let known = logout_token(&provider.issuer, TestKey::Rsa, "rsa");
    verify(&client, &known).await.unwrap();
    provider.set_keys(Reply::Json(503, json!({})));
    let unknown = logout_token(&provider.issuer, TestKey::Rsa, "unknown");
    for _ in 0..3 {
        let cause = expect_unavailable(verify(&client, &unknown).await);
        assert!(matches!(cause, UnavailableCause::Status { status: 503 }), "{cause}");
        verify(&client, &known).await.unwrap();
    }
    assert_eq!(loads(&provider), (1, 2));
}

/// Lets `count` tasks verify a token at once, while the response with the keys waits. Returns the
/// outcomes.
async fn verify_at_once(
    client: &Client,
    token: &str,
    count: usize,
    gate: &Semaphore,
) -> Vec<Result<crate::LogoutClaims, Error>> {
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        let (client, token) = (client.clone(), token.to_owned());
        tasks.spawn(async move { verify(&client, &token).await });
    }
    // All tasks run on this thread. Each has reached the request, or waits for it, before the gate
    // opens.
    for _ in 0..count * 10 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(count);
    tasks.join_all().await
}

#[tokio::test]
async fn concurrent_callers_share_one_load() {
    let provider = FakeProvider::start().await;
    let gate = Arc::new(Semaphore::new(0));
    let keys = json!({ "keys": [TestKey::Rsa.jwk()] });
    provider.set_keys(Reply::Gated(Arc::clone(&gate), 200, keys));
    let client = provider.client();
    let token = logout_token(&provider.issuer, TestKey::Rsa, "rsa");
    let outcomes = verify_at_once(&client, &token, 50, &gate).await;
    assert!(outcomes.len() == 50 && outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(loads(&provider), (1, 1));
    // So do callers with an unknown key.
    let unknown = logout_token(&provider.issuer, TestKey::Rsa, "unknown");
    for outcome in verify_at_once(&client, &unknown, 50, &gate).await {
        assert_eq!(expect_denial(outcome), Denial::UnknownKey);
    }
    assert_eq!(loads(&provider), (1, 2));
}

#[tokio::test]
async fn concurrent_callers_share_one_failure() {
    let provider = FakeProvider::start().await;
    let gate = Arc::new(Semaphore::new(0));
    provider.set_keys(Reply::Gated(Arc::clone(&gate), 500, json!({})));
    let client = provider.client();
    let token = logout_token(&provider.issuer, TestKey::Rsa, "rsa");
    for outcome in verify_at_once(&client, &token, 50, &gate).await {
        expect_unavailable(outcome);
    }
    assert_eq!(loads(&provider), (1, 1));
    // The next caller tries again.
    provider.publish(&[TestKey::Rsa.jwk()]);
    verify(&client, &token).await.unwrap();
}

/// A caller that goes away neither blocks the others nor allows more loads.
#[tokio::test]
async fn a_caller_that_goes_away_leaves_the_load_to_the_next() {
    let provider = FakeProvider::start().await;
    let client = provider.client();
    let known = logout_token(&provider.issuer, TestKey::Rsa, "rsa");
    verify(&client, &known).await.unwrap();
    let gate = Arc::new(Semaphore::new(0));
    provider.set_keys(Reply::Gated(Arc::clone(&gate), 200, json!({ "keys": [] })));
    let unknown = logout_token(&provider.issuer, TestKey::Rsa, "unknown");
    let task = tokio::spawn({
        let (client, unknown) = (client.clone(), unknown.clone());
        async move { verify(&client, &unknown).await }
    });
    while loads(&provider).1 < 2 {
        tokio::task::yield_now().await;
    }
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    for _ in 0..10 {
        assert_eq!(expect_denial(verify(&client, &unknown).await), Denial::UnknownKey);
    }
    assert_eq!(loads(&provider), (1, 2));
    verify(&client, &known).await.unwrap();
}
