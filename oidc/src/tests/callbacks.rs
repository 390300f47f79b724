//! Callbacks and the responses of the token endpoint.

use super::{provider::Reply, *};

async fn redeem_from(provider: &FakeProvider, issuer: Option<&str>) -> Result<IdentityClaims, Error> {
    provider.issue(&TestKey::Rsa.sign(&json!({ "alg": "RS256" }), &id_claims(&provider.issuer).to_string()));
    provider.client().redeem(SECRETS[1], issuer, &flow(), now()).await
}

#[tokio::test]
async fn a_sign_in_returns_the_claims_of_the_person() {
    let provider = FakeProvider::start().await;
    let identity = redeem_claims(&provider, &id_claims(&provider.issuer)).await.unwrap();
    assert_eq!(identity.issuer, provider.issuer);
    assert_eq!(identity.subject, "248289761001");
    assert_eq!(identity.email.as_deref(), Some(SECRETS[2]));
    assert_eq!(identity.name.as_deref(), Some("Ada Lovelace"));
    assert_eq!(identity.preferred_username.as_deref(), Some("ada"));
    assert_eq!(identity.groups.iter().collect::<Vec<_>>(), ["users", "admins"]);
    assert!(identity.groups.contains("admins") && !identity.groups.contains("admin") && !identity.groups.is_empty());
    assert_eq!(identity.auth_time, Some(at(NOW - 10)));
    assert_eq!(identity.session_id.as_deref(), Some("session-1"));
    assert_eq!(identity.id_token.expose().split('.').count(), 3);
    let received: Vec<_> = provider.received("").into_iter().map(|request| request.path).collect();
    assert_eq!(received, ["/.well-known/openid-configuration", "/token", "/keys"], "userinfo is not used");
}

/// RFC 9207.
#[tokio::test]
async fn the_issuer_of_the_callback_is_compared() {
    let provider = FakeProvider::start().await;
    redeem_from(&provider, Some(&provider.issuer)).await.unwrap();
    for other in ["https://other.example", &format!("{}/", provider.issuer), ""] {
        let received = provider.received("/token").len();
        assert_eq!(expect_denial(redeem_from(&provider, Some(other)).await), Denial::IssuerParameter);
        assert_eq!(provider.received("/token").len(), received, "a code of another provider is not sent");
    }
    redeem_from(&provider, None).await.unwrap();
    provider.announce(&json!({ "authorization_response_iss_parameter_supported": true }));
    assert_eq!(expect_denial(redeem_from(&provider, None).await), Denial::IssuerParameterMissing);
    redeem_from(&provider, Some(&provider.issuer)).await.unwrap();
}

#[tokio::test]
async fn a_code_that_the_provider_rejects_is_denied() {
    let provider = FakeProvider::start().await;
    // The texts of a provider may repeat the code.
    let body = json!({ "error": "invalid_grant", "error_description": format!("no code {}", SECRETS[1]) });
    provider.set_token(Reply::Json(400, body));
    assert_eq!(expect_denial(redeem(&provider).await), Denial::Code);
    let received = provider.received("/token").len();
    for code in [String::new(), "c".repeat(8 * 1024 + 1)] {
        let result = provider.client().redeem(&code, None, &flow(), now()).await;
        assert_eq!(expect_denial(result), Denial::Code);
    }
    assert_eq!(provider.received("/token").len(), received);
}

#[tokio::test]
async fn a_rejected_client_is_an_error_of_the_configuration() {
    let provider = FakeProvider::start().await;
    for reply in [
        Reply::Json(401, json!({ "error": "invalid_client" })),
        Reply::Json(400, json!({ "error": "unauthorized_client" })),
        Reply::Json(401, json!(null)),
    ] {
        provider.set_token(reply);
        let error = redeem(&provider).await.unwrap_err();
        assert!(matches!(error, Error::ClientRejected), "{error:?}");
    }
}

#[tokio::test]
async fn a_response_without_id_token_is_denied() {
    let provider = FakeProvider::start().await;
    for body in [json!({ "access_token": "x", "token_type": "Bearer" }), json!({ "id_token": null })] {
        provider.set_token(Reply::Json(200, body));
        assert_eq!(expect_denial(redeem(&provider).await), Denial::IdTokenMissing);
    }
}

#[tokio::test]
async fn a_response_that_is_none_says_nothing_about_the_person() {
    let provider = FakeProvider::start().await;
    for text in ["", "<html>", "[]", r#"{"id_token": 1}"#, r#"{"id_token": "a.b.c", "id_token": "d.e.f"}"#] {
        provider.set_token(Reply::Text(text.to_owned()));
        let cause = expect_unavailable(redeem(&provider).await);
        assert!(matches!(cause, UnavailableCause::InvalidDocument), "{text}: {cause}");
    }
    for status in [404, 429, 500, 503] {
        provider.set_token(Reply::Json(status, json!({ "error": "server_error" })));
        let cause = expect_unavailable(redeem(&provider).await);
        assert!(matches!(cause, UnavailableCause::Status { status: found } if found == status), "{status}: {cause}");
    }
}
