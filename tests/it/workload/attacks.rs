//! JWTs that are not accepted, and the texts about them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use super::{
    NOT_ACCEPTED, Workload, error_of, exchange,
    issuer::{Issuer, NOW, SigningKey},
};
use crate::support::{Engine, TestApp, both_databases};

fn unsigned(header: &Value, payload: &Value, signature: &str) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{signature}", encode(header), encode(payload))
}

#[apply(both_databases)]
async fn a_jwt_that_is_not_verified_gets_one_text_whatever_is_wrong(engine: Engine) {
    let workload = Workload::start(engine).await;
    workload.trust(&json!({})).await;
    let issuer = &workload.issuer;
    let claims = issuer.claims(&json!({}));
    let public = issuer.key.jwk("1").to_string();
    let hmac = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, public.as_bytes());
    let header = json!({"alg": "HS256", "kid": "1"});
    let signed = unsigned(&header, &claims, "");
    let tag = ring::hmac::sign(&hmac, signed.trim_end_matches('.').as_bytes());
    let by_public_key = unsigned(&header, &claims, &URL_SAFE_NO_PAD.encode(tag));
    let good = issuer.token(&json!({}));
    let (text, signature) = good.rsplit_once('.').unwrap();
    let other_text = text.rsplit_once('.').unwrap().0;
    let es256 = json!({"alg": "ES256", "kid": "1"});
    let payload = claims.to_string();
    let duplicated = payload.replacen('{', r#"{"sub":"job-2","#, 1);
    let two_issuers = payload.replacen('{', &format!(r#"{{"iss":"{}","#, issuer.url), 1);
    let stranger = Issuer::start().await;
    for (name, jwt) in [
        ("alg none", unsigned(&json!({"alg": "none"}), &claims, "")),
        ("alg none with the signature", unsigned(&json!({"alg": "none"}), &claims, signature)),
        ("HS256 with the public key", by_public_key),
        ("RS256 header", issuer.key.sign(&json!({"alg": "RS256", "kid": "1"}), &payload)),
        (
            "changed payload",
            format!("{other_text}.{}.{signature}", URL_SAFE_NO_PAD.encode(payload.replace("job-1", "job-9"))),
        ),
        ("no signature", format!("{text}.")),
        ("another key", SigningKey::generate().sign(&es256, &payload)),
        ("another kid", issuer.key.sign(&json!({"alg": "ES256", "kid": "2"}), &payload)),
        ("crit", issuer.key.sign(&json!({"alg": "ES256", "kid": "1", "crit": ["x"]}), &payload)),
        ("typ of another kind", issuer.key.sign(&json!({"alg": "ES256", "kid": "1", "typ": "at+jwt"}), &payload)),
        ("duplicate claim", issuer.key.sign(&es256, &duplicated)),
        ("duplicate issuer", issuer.key.sign(&es256, &two_issuers)),
        ("issuer with a slash", issuer.token(&json!({"iss": format!("{}/", issuer.url)}))),
        ("issuer in capitals", issuer.token(&json!({"iss": issuer.url.to_uppercase()}))),
        ("another issuer", stranger.token(&json!({}))),
        ("signed by another issuer", stranger.token(&json!({"iss": issuer.url}))),
        ("another audience", issuer.token(&json!({"aud": "https://other.example.com"}))),
        ("list of other audiences", issuer.token(&json!({"aud": ["https://other.example.com"]}))),
        ("audience with a slash", issuer.token(&json!({"aud": "https://tokens.example.com/"}))),
        ("no audience", issuer.token(&json!({"aud": null}))),
        ("audience as an object", issuer.token(&json!({"aud": {"a": "https://tokens.example.com"}}))),
        ("no exp", issuer.token(&json!({"exp": null}))),
        ("exp as a text", issuer.token(&json!({"exp": "2030-01-01"}))),
        ("no iat", issuer.token(&json!({"iat": null}))),
        ("no issuer", issuer.token(&json!({"iss": null}))),
        ("sub as a list", issuer.token(&json!({"sub": ["job-1"]}))),
        ("sub as an object", issuer.token(&json!({"sub": {"job-1": "job-1"}}))),
        ("not JSON", issuer.key.sign(&es256, "job-1")),
        ("a list", issuer.key.sign(&es256, "[]")),
        ("20 kB", issuer.token(&json!({"padding": "x".repeat(20_000)}))),
        ("no JWT", "eyJ".to_owned()),
        ("dots", "..".to_owned()),
        ("markup", "<script>".to_owned()),
        ("JSON serialization", json!({"payload": "x"}).to_string()),
    ] {
        let response = workload.exchange(&jwt).await;
        assert_eq!(error_of(&response, "invalid_request"), NOT_ACCEPTED, "{name}");
    }
    for account in ["unknown", "CI", "service:ci", "admin@example.com", "x\u{0}y"] {
        let response = exchange(&workload.app, &issuer.token(&json!({})), &[("audience", account)]).await;
        assert_eq!(error_of(&response, "invalid_request"), NOT_ACCEPTED, "{account}");
    }
    assert_eq!(workload.rules().await[0]["issuedTokens"], 0);
    workload.exchange(&good).await.expect(200);
}

#[apply(both_databases)]
async fn a_verified_jwt_gets_the_reason(engine: Engine) {
    let workload = Workload::start(engine).await;
    let conditions = json!([
        {"claim": "sub", "value": "job-1"}, {"claim": "ref", "glob": "refs/heads/*"}, {"claim": "env", "value": "prod"}
    ]);
    workload.trust(&json!({"conditions": conditions})).await;
    let fitting = json!({"ref": "refs/heads/main", "env": "prod"});
    for (claims, text) in [
        (json!({"exp": NOW - 61}), "expired"),
        (json!({"nbf": NOW + 61}), "not valid yet"),
        (json!({"iat": NOW + 61}), "issued in the future"),
        (json!({"exp": NOW + 86_401}), "longer than 24 hours"),
        (json!({"jti": 7}), "jti must be a text"),
        (json!({"sub": "job-2"}), "the claim sub is 'job-2'"),
        (json!({"sub": null}), "the token has no claim sub"),
        (json!({"env": ["prod"]}), "the claim env is not a text"),
        (json!({"env": {"prod": "prod"}}), "the claim env is not a text"),
        (json!({"env": 1}), "the claim env is not a text"),
        (json!({"ref": "refs/heads/release/1"}), "the claim ref is 'refs/heads/release/1'"),
        (json!({"ref": "refs/tags/main"}), "the claim ref is 'refs/tags/main'"),
        (json!({"env": "PROD"}), "the claim env is 'PROD'"),
        (json!({"env": true}), "the claim env is not a text"),
        (json!({"env": "\"<b>\\\u{202E}é\n"}), "the claim env is '?<b>????'"),
    ] {
        let mut all = fitting.clone();
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let response = workload.exchange(&workload.issuer.token(&all)).await;
        let description = error_of(&response, "invalid_request");
        assert!(description.contains(text), "{claims}: {description}");
        // The text never has the expected value.
        assert!(!description.contains("prod") && !description.contains("job-1"), "{description}");
        let is_allowed = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
        assert!(description.chars().all(is_allowed), "{description}");
    }
    for claims in
        [json!({"exp": NOW - 59}), json!({"nbf": NOW + 59}), json!({"iat": NOW + 59}), json!({"exp": NOW + 86_400})]
    {
        let mut all = fitting.clone();
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        workload.exchange(&workload.issuer.token(&all)).await.expect(200);
    }
    let audiences = json!({"aud": ["https://other.example.com", "https://tokens.example.com"]});
    let mut all = fitting;
    all.as_object_mut().unwrap().extend(audiences.as_object().unwrap().clone());
    workload.exchange(&workload.issuer.token(&all)).await.expect(200);
}

#[apply(both_databases)]
async fn unknown_keys_load_the_keys_again_once_a_minute(engine: Engine) {
    let workload = Workload::start(engine).await;
    workload.trust(&json!({})).await;
    workload.exchange(&workload.issuer.token(&json!({}))).await.expect(200);
    assert_eq!(workload.issuer.key_requests(), 1);
    let claims = workload.issuer.claims(&json!({})).to_string();
    for n in 0..100 {
        let jwt = workload.issuer.key.sign(&json!({"alg": "ES256", "kid": format!("unknown{n}")}), &claims);
        error_of(&workload.exchange(&jwt).await, "invalid_request");
    }
    assert_eq!(workload.issuer.key_requests(), 2);
    workload.exchange(&workload.issuer.token(&json!({}))).await.expect(200);
}

#[apply(both_databases)]
async fn an_address_with_many_rejected_exchanges_is_throttled(engine: Engine) {
    let workload = Workload::start(engine).await;
    workload.trust(&json!({})).await;
    let limited = TestApp::start_with(workload.app.database, |config| {
        config.outbound.allow_private = true;
        config.rate_limits.rejected_tokens_per_ip_per_minute = 3;
    })
    .await;
    let send = async |address: &str, jwt: &str| {
        let fields = [
            ("grant_type", super::EXCHANGE),
            ("subject_token", jwt),
            ("subject_token_type", super::JWT),
            ("audience", "ci"),
        ];
        super::send_form(&limited.anonymous().with_address(address), &fields).await
    };
    for _ in 0..5 {
        send("192.0.2.7", &workload.issuer.token(&json!({}))).await.expect(200);
    }
    for _ in 0..3 {
        send("192.0.2.7", "x").await.expect(400);
    }
    let throttled = send("192.0.2.7", &workload.issuer.token(&json!({}))).await.expect(429);
    assert_eq!(throttled.json["error"], "slow_down");
    assert_eq!(throttled.header_values("retry-after").len(), 1);
    send("192.0.2.8", &workload.issuer.token(&json!({}))).await.expect(200);
}

#[apply(both_databases)]
async fn rules_with_stored_keys_share_the_single_use(engine: Engine) {
    let workload = Workload::start(engine).await;
    let keys = json!({"keys": [workload.issuer.key.jwk("1")]});
    workload.trust(&json!({"jwks": keys, "scopes": ["read"]})).await;
    let mut rotated = keys.clone();
    rotated["keys"].as_array_mut().unwrap().push(SigningKey::generate().jwk("2"));
    let second = workload.trust(&json!({"jwks": rotated, "scopes": ["deploy"]})).await;
    let jwt = workload.issuer.token(&json!({}));
    let with_scope = async |scope| exchange(&workload.app, &jwt, &[("audience", "ci"), ("scope", scope)]).await;
    with_scope("read").await.expect(200);
    let text = error_of(&with_scope("deploy").await, "invalid_request");
    assert!(text.contains("exchanged before"), "{text}");
    workload.app.admin().delete(&format!("{}/{second}", workload.rules_path())).await.expect(204);
}

#[apply(both_databases)]
async fn an_issuer_with_forbidden_characters_is_unknown(engine: Engine) {
    let workload = Workload::start(engine).await;
    workload.trust(&json!({})).await;
    for iss in ["https://a\u{0}", "https://ä", ""] {
        let payload = URL_SAFE_NO_PAD.encode(json!({"iss": iss}).to_string());
        error_of(&workload.exchange(&format!("e30.{payload}.c2ln")).await, "invalid_request");
    }
}

/// A stolen token must not outlive the deletion of its rule.
#[apply(both_databases)]
async fn a_token_that_was_exchanged_creates_no_rule(engine: Engine) {
    let workload = Workload::start(engine).await;
    let id = workload.account_id;
    workload.app.admin().patch(&format!("/v4/people/{id}"), &json!({"isAdmin": true})).await.expect(200);
    let rule = workload.trust(&json!({})).await;
    let token = workload.token(&json!({})).await;
    let created = token.post(&workload.rules_path(), &workload.rule(&json!({}))).await;
    created.expect_error(403, "AccessControlException");
    workload.app.admin().delete(&format!("{}/{rule}", workload.rules_path())).await.expect(204);
    assert!(!token.is_accepted().await);
    assert!(workload.rules().await.is_empty());
}

#[apply(both_databases)]
async fn an_account_gets_a_limited_number_of_tokens_per_minute(engine: Engine) {
    let workload = Workload::start(engine).await;
    workload.trust(&json!({})).await;
    let app = TestApp::start_with(workload.app.database, |config| {
        config.outbound.allow_private = true;
        config.rate_limits.token_creation_per_minute = 3;
    })
    .await;
    let jwts: Vec<String> = (0..4).map(|_| workload.issuer.token(&json!({}))).collect();
    for jwt in &jwts[..3] {
        exchange(&app, jwt, &[("audience", "ci")]).await.expect(200);
    }
    exchange(&app, &jwts[3], &[("audience", "ci")]).await.expect(429);
    app.advance_seconds(20);
    exchange(&app, &jwts[3], &[("audience", "ci")]).await.expect(200);
}
