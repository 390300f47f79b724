//! Logout tokens (OpenID Connect Back-Channel Logout 1.0).

use super::*;

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

async fn verify(provider: &FakeProvider, header: &Value, changes: &Value) -> Result<crate::LogoutClaims, Error> {
    let mut claims = json!({
        "iss": provider.issuer,
        "aud": CLIENT_ID,
        "iat": NOW,
        "exp": NOW + 120,
        "jti": "id-1",
        "sub": "248289761001",
        "sid": "session-1",
        "events": { EVENT: {} },
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    // `null` removes a claim, except for the nonce.
    claims.as_object_mut().unwrap().retain(|name, value| name == "nonce" || !value.is_null());
    let token = TestKey::Rsa.sign(header, &claims.to_string());
    provider.client().verify_logout_token(&token, now()).await
}

#[tokio::test]
async fn a_logout_token_names_a_person_or_a_session() {
    let provider = FakeProvider::start().await;
    let header = json!({ "alg": "RS256", "typ": "logout+jwt" });
    let claims = verify(&provider, &header, &json!({})).await.unwrap();
    assert_eq!((claims.issuer.as_str(), claims.jti.as_str()), (provider.issuer.as_str(), "id-1"));
    assert_eq!((claims.subject.as_deref(), claims.session_id.as_deref()), (Some("248289761001"), Some("session-1")));
    assert_eq!(claims.expires_at, at(NOW + 120));
    let claims = verify(&provider, &header, &json!({ "sub": null })).await.unwrap();
    assert_eq!((claims.subject, claims.session_id.as_deref()), (None, Some("session-1")));
    let claims = verify(&provider, &header, &json!({ "sid": null })).await.unwrap();
    assert_eq!((claims.subject.as_deref(), claims.session_id), (Some("248289761001"), None));
}

#[tokio::test]
async fn the_type_is_that_of_logout_tokens_or_absent() {
    let provider = FakeProvider::start().await;
    for header in [
        json!({ "alg": "RS256" }),
        json!({ "alg": "RS256", "typ": "JWT" }),
        json!({ "alg": "RS256", "typ": "application/logout+jwt" }),
    ] {
        verify(&provider, &header, &json!({})).await.unwrap();
    }
    let header = json!({ "alg": "RS256", "typ": "at+jwt" });
    assert_eq!(expect_denial(verify(&provider, &header, &json!({})).await), Denial::Type);
}

#[tokio::test]
async fn other_tokens_are_denied() {
    let provider = FakeProvider::start().await;
    let missing = |claim: &str| Denial::MissingClaim { claim: claim.to_owned() };
    let invalid = |claim: &str| Denial::InvalidClaim { claim: claim.to_owned() };
    for (changes, expected) in [
        (json!({ "iss": "https://evil.example" }), Denial::Issuer),
        (json!({ "aud": "other" }), Denial::Audience),
        (json!({ "aud": ["other"] }), Denial::Audience),
        (json!({ "exp": NOW - 61 }), Denial::Expired),
        (json!({ "iat": NOW + 61 }), Denial::IssuedInFuture),
        (json!({ "nbf": NOW + 61 }), Denial::NotYetValid),
        (json!({ "iat": null }), missing("iat")),
        (json!({ "exp": null }), missing("exp")),
        (json!({ "jti": null }), missing("jti")),
        (json!({ "jti": "" }), invalid("jti")),
        (json!({ "sid": "" }), invalid("sid")),
        (json!({ "sub": null, "sid": null }), Denial::LogoutSubject),
        (json!({ "events": null }), Denial::LogoutEvent),
        (json!({ "events": {} }), Denial::LogoutEvent),
        (json!({ "events": [EVENT] }), Denial::LogoutEvent),
        (json!({ "events": { EVENT: true } }), Denial::LogoutEvent),
        (json!({ "nonce": "n" }), Denial::LogoutNonce),
        (json!({ "nonce": null }), Denial::LogoutNonce),
    ] {
        let result = verify(&provider, &json!({ "alg": "RS256" }), &changes).await;
        assert_eq!(expect_denial(result), expected, "{changes}");
    }
}

/// Each kind of token is useless in place of the other.
#[tokio::test]
async fn id_tokens_and_logout_tokens_are_not_interchangeable() {
    let provider = FakeProvider::start().await;
    let id_token = TestKey::Rsa.sign(&json!({ "alg": "RS256" }), &id_claims(&provider.issuer).to_string());
    let result = provider.client().verify_logout_token(&id_token, now()).await;
    assert_eq!(expect_denial(result), Denial::LogoutEvent);
    let mut claims = id_claims(&provider.issuer);
    claims.as_object_mut().unwrap().remove("nonce");
    claims["events"] = json!({ EVENT: {} });
    assert_eq!(denial_of(&provider, &claims).await, Denial::MissingClaim { claim: "nonce".to_owned() });
}
