//! The claims of ID tokens.

use super::*;

/// Returns accepted claims with some of them changed; `null` removes a claim.
fn changed(provider: &FakeProvider, changes: &Value) -> Value {
    let mut claims = id_claims(&provider.issuer);
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

async fn assert_denied(cases: impl IntoIterator<Item = (Value, Denial)>) {
    let provider = FakeProvider::start().await;
    for (changes, expected) in cases {
        assert_eq!(denial_of(&provider, &changed(&provider, &changes)).await, expected, "{changes}");
    }
}

async fn assert_accepted(cases: impl IntoIterator<Item = Value>) {
    let provider = FakeProvider::start().await;
    for changes in cases {
        let result = redeem_claims(&provider, &changed(&provider, &changes)).await;
        assert!(result.is_ok(), "{changes}: {result:?}");
    }
}

fn missing(claim: &str) -> Denial {
    Denial::MissingClaim { claim: claim.to_owned() }
}

fn invalid(claim: &str) -> Denial {
    Denial::InvalidClaim { claim: claim.to_owned() }
}

#[tokio::test]
async fn the_issuer_is_compared_byte_for_byte() {
    let provider = FakeProvider::start().await;
    for issuer in [
        format!("{}/", provider.issuer),
        provider.issuer.to_uppercase(),
        "https://login.example.org/other-tenant".to_owned(),
    ] {
        assert_eq!(denial_of(&provider, &changed(&provider, &json!({ "iss": issuer }))).await, Denial::Issuer);
    }
    assert_eq!(denial_of(&provider, &changed(&provider, &json!({ "iss": null }))).await, missing("iss"));
    let list = json!({ "iss": [provider.issuer] });
    assert_eq!(denial_of(&provider, &changed(&provider, &list)).await, invalid("iss"));
}

#[tokio::test]
async fn an_issuer_that_ends_in_a_slash_is_another_one() {
    let provider = FakeProvider::start_at("/tenant/").await;
    redeem_claims(&provider, &id_claims(&provider.issuer)).await.unwrap();
    assert_eq!(provider.received("/tenant/.well-known/openid-configuration").len(), 1);
    let without = provider.issuer.trim_end_matches('/').to_owned();
    assert_eq!(denial_of(&provider, &id_claims(&without)).await, Denial::Issuer);
}

#[tokio::test]
async fn the_audience_contains_this_client() {
    assert_denied([
        (json!({ "aud": "other" }), Denial::Audience),
        (json!({ "aud": ["other", "third"] }), Denial::Audience),
        (json!({ "aud": [] }), Denial::Audience),
        (json!({ "aud": "tokenward " }), Denial::Audience),
        (json!({ "aud": null }), missing("aud")),
        (json!({ "aud": [CLIENT_ID, 1] }), invalid("aud")),
        (json!({ "aud": { "tokenward": true } }), invalid("aud")),
    ])
    .await;
    assert_accepted([json!({ "aud": CLIENT_ID }), json!({ "aud": [CLIENT_ID] })]).await;
}

#[tokio::test]
async fn the_authorized_party_is_this_client() {
    assert_denied([
        (json!({ "azp": "other" }), Denial::AuthorizedParty),
        (json!({ "aud": [CLIENT_ID, "other"] }), Denial::AuthorizedParty),
        (json!({ "aud": [CLIENT_ID, "other"], "azp": "other" }), Denial::AuthorizedParty),
        (json!({ "azp": [CLIENT_ID] }), invalid("azp")),
    ])
    .await;
    assert_accepted([json!({ "azp": CLIENT_ID }), json!({ "aud": [CLIENT_ID, "other"], "azp": CLIENT_ID })]).await;
}

#[tokio::test]
async fn times_are_checked_with_a_minute_of_leeway() {
    assert_denied([
        (json!({ "exp": NOW - 60 }), Denial::Expired),
        (json!({ "exp": NOW - 86_400 }), Denial::Expired),
        (json!({ "exp": 0 }), Denial::Expired),
        (json!({ "nbf": NOW + 61 }), Denial::NotYetValid),
        (json!({ "iat": NOW + 61 }), Denial::IssuedInFuture),
        (json!({ "exp": null }), missing("exp")),
        (json!({ "iat": null }), missing("iat")),
        (json!({ "exp": "1800000300" }), invalid("exp")),
        (json!({ "exp": -1 }), invalid("exp")),
        (json!({ "exp": u64::MAX }), invalid("exp")),
        (json!({ "exp": 1e300 }), invalid("exp")),
        (json!({ "nbf": true }), invalid("nbf")),
        (json!({ "iat": "now" }), invalid("iat")),
        (json!({ "auth_time": "now" }), invalid("auth_time")),
    ])
    .await;
    assert_accepted([
        json!({ "exp": NOW - 59 }),
        json!({ "nbf": NOW + 60 }),
        json!({ "iat": NOW + 60 }),
        json!({ "iat": 1_799_999_990.75, "exp": 1_800_000_300.5 }),
        json!({ "auth_time": null }),
    ])
    .await;
}

#[tokio::test]
async fn the_nonce_is_that_of_the_flow() {
    let flow = flow();
    assert_denied([
        (json!({ "nonce": null }), missing("nonce")),
        (json!({ "nonce": "" }), invalid("nonce")),
        (json!({ "nonce": flow.state() }), Denial::Nonce),
        (json!({ "nonce": flow.nonce()[1..] }), Denial::Nonce),
        (json!({ "nonce": format!("{}=", flow.nonce()) }), Denial::Nonce),
        (json!({ "nonce": [flow.nonce()] }), invalid("nonce")),
    ])
    .await;
}

#[tokio::test]
async fn a_proof_demands_a_fresh_authentication() {
    let provider = FakeProvider::start().await;
    let bytes = std::array::from_fn(|n| u8::try_from(n).unwrap());
    let flow = Flow::from_bytes(bytes, Prompt::Login { since: at(NOW - 200) });
    for (auth_time, expected) in [
        (json!(NOW - 260), None),
        (json!(NOW), None),
        (json!(NOW + 60), None),
        (json!(NOW - 261), Some(Denial::AuthenticationTooOld)),
        (json!(0), Some(Denial::AuthenticationTooOld)),
        (json!(NOW + 61), Some(Denial::AuthenticationTooOld)),
        (json!(null), Some(missing("auth_time"))),
    ] {
        let claims = changed(&provider, &json!({ "auth_time": auth_time }));
        provider.issue(&TestKey::Rsa.sign(&json!({ "alg": "RS256" }), &claims.to_string()));
        let result = provider.client().redeem(SECRETS[1], None, &flow, now()).await;
        match expected {
            None => assert!(result.is_ok(), "{auth_time}: {result:?}"),
            Some(denial) => assert_eq!(expect_denial(result), denial, "{auth_time}"),
        }
    }
}

#[tokio::test]
async fn the_subject_is_a_text_of_1_to_255_characters() {
    assert_denied([
        (json!({ "sub": null }), missing("sub")),
        (json!({ "sub": "" }), invalid("sub")),
        (json!({ "sub": 248_289 }), invalid("sub")),
        (json!({ "sub": "a".repeat(256) }), invalid("sub")),
        (json!({ "sub": "a\u{0}b" }), invalid("sub")),
    ])
    .await;
    assert_accepted([json!({ "sub": "ä".repeat(255) })]).await;
}

#[tokio::test]
async fn another_claim_may_be_the_subject() {
    let provider = FakeProvider::start().await;
    let client = || {
        let by_object = ClientSettings { subject_claim: "oid".to_owned(), ..settings(&provider.issuer) };
        provider.client_with(by_object, std::time::Duration::from_secs(5))
    };
    let sign = |claims: &Value| TestKey::Rsa.sign(&json!({ "alg": "RS256" }), &claims.to_string());
    provider.issue(&sign(&changed(&provider, &json!({ "oid": "object-1" }))));
    assert_eq!(client().redeem("c", None, &flow(), now()).await.unwrap().subject, "object-1");
    provider.issue(&sign(&id_claims(&provider.issuer)));
    assert_eq!(expect_denial(client().redeem("c", None, &flow(), now()).await), missing("oid"));
}

#[tokio::test]
async fn an_unverified_email_is_left_out() {
    let provider = FakeProvider::start().await;
    for (is_verified, email) in [
        (json!(null), Some(SECRETS[2])),
        (json!(true), Some(SECRETS[2])),
        (json!("true"), Some(SECRETS[2])),
        (json!(false), None),
        (json!("false"), None),
    ] {
        let claims = changed(&provider, &json!({ "email_verified": is_verified }));
        let identity = redeem_claims(&provider, &claims).await.unwrap();
        assert_eq!(identity.email.as_deref(), email, "{is_verified}");
    }
    for email in [json!(null), json!("")] {
        let identity = redeem_claims(&provider, &changed(&provider, &json!({ "email": email }))).await.unwrap();
        assert_eq!(identity.email, None);
    }
    assert_denied([
        (json!({ "email_verified": 1 }), invalid("email_verified")),
        (json!({ "email_verified": "False" }), invalid("email_verified")),
        (json!({ "email": [SECRETS[2]] }), invalid("email")),
    ])
    .await;
}

#[tokio::test]
async fn the_other_claims_are_optional_texts() {
    let provider = FakeProvider::start().await;
    let none = json!({ "name": null, "preferred_username": "", "sid": null, "email": null });
    let identity = redeem_claims(&provider, &changed(&provider, &none)).await.unwrap();
    assert_eq!((identity.name, identity.preferred_username, identity.session_id), (None, None, None));
    assert_denied([
        (json!({ "name": 1 }), invalid("name")),
        (json!({ "preferred_username": "a\u{0}" }), invalid("preferred_username")),
        (json!({ "sid": {} }), invalid("sid")),
    ])
    .await;
}

/// Parsers disagree about which value of a duplicate counts.
#[tokio::test]
async fn a_duplicate_claim_is_denied_at_any_depth() {
    let provider = FakeProvider::start().await;
    let claims = id_claims(&provider.issuer).to_string();
    let with = |member: &str| format!("{{{member},{}", &claims[1..]);
    for payload in [
        with(r#""sub":"admin""#),
        with(r#""groups":[]"#),
        with(r#""nonce":"x""#),
        with(r#""other":1,"other":2"#),
        with(r#""other":[{"a":1,"a":2}]"#),
        // The same name, escaped.
        with(r#""gr\u006fups":[]"#),
    ] {
        provider.issue(&TestKey::Rsa.sign(&json!({ "alg": "RS256" }), &payload));
        assert_eq!(expect_denial(redeem(&provider).await), Denial::DuplicateClaim, "{payload}");
    }
}

#[tokio::test]
async fn a_payload_that_is_no_object_is_denied() {
    let provider = FakeProvider::start().await;
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for payload in ["", "null", "[]", "\"text\"", "{} {}", "\u{feff}{}", deep.as_str()] {
        provider.issue(&TestKey::Rsa.sign(&json!({ "alg": "RS256" }), payload));
        let denial = expect_denial(redeem(&provider).await);
        assert_eq!(denial, Denial::Malformed, "{payload:.20}");
    }
}
