//! JWTs of trusted issuers.

use std::net::IpAddr;

use crate::{AddressRule, Expected, IssuerKeys, SettingsError};

use super::{provider::Reply, *};

const AUDIENCE: &str = "https://tokens.example/deploy";

fn job_claims(issuer: &str) -> Value {
    json!({ "iss": issuer, "aud": [AUDIENCE], "sub": "job-1", "iat": NOW, "exp": NOW + 600, "repository_id": "7" })
}

fn jwks() -> String {
    json!({ "keys": TestKey::ALL.map(TestKey::jwk) }).to_string()
}

#[tokio::test]
async fn a_jwt_of_a_discovered_issuer_is_verified() {
    let provider = FakeProvider::start().await;
    let keys = IssuerKeys::discovered(&provider.issuer, None, AddressRule::allow_all()).unwrap();
    let expected = Expected { issuer: &provider.issuer, audience: AUDIENCE };
    let claims = job_claims(&provider.issuer);
    let token = TestKey::P256.sign(&json!({ "alg": "ES256", "kid": "p256" }), &claims.to_string());
    assert_eq!(Value::Object(keys.verify(&token, &expected, now()).await.unwrap()), claims);
    keys.clone().verify(&token, &expected, now()).await.unwrap();
    assert_eq!(provider.received("/keys").len(), 1);
    let other = Expected { issuer: "https://other.example", ..expected };
    assert_eq!(expect_denial(keys.verify(&token, &other, now()).await), Denial::Issuer);
    provider.set_keys(Reply::Json(500, json!({})));
    let keys = IssuerKeys::discovered(&provider.issuer, None, AddressRule::allow_all()).unwrap();
    expect_unavailable(keys.verify(&token, &expected, now()).await);
}

#[tokio::test]
async fn a_jwt_of_a_static_key_set_is_verified() {
    let keys = IssuerKeys::from_jwks(&jwks()).unwrap();
    let issuer = "https://kubernetes.default.svc";
    let expected = Expected { issuer, audience: AUDIENCE };
    let sign =
        |kid: &str, claims: &Value| TestKey::Ed25519.sign(&json!({ "alg": "EdDSA", "kid": kid }), &claims.to_string());
    keys.verify(&sign("ed25519", &job_claims(issuer)), &expected, now()).await.unwrap();
    let unknown = keys.verify(&sign("unknown", &job_claims(issuer)), &expected, now()).await;
    assert_eq!(expect_denial(unknown), Denial::UnknownKey);
    for (name, value, denial) in [
        ("aud", json!("https://kubernetes.default.svc"), Denial::Audience),
        ("exp", json!(NOW - 60), Denial::Expired),
        ("nbf", json!(NOW + 61), Denial::NotYetValid),
        ("iat", json!(NOW + 61), Denial::IssuedInFuture),
        ("iss", json!("https://kubernetes.default.svc/"), Denial::Issuer),
    ] {
        let mut claims = job_claims(issuer);
        claims[name] = value;
        assert_eq!(expect_denial(keys.verify(&sign("ed25519", &claims), &expected, now()).await), denial);
    }
}

/// An issuer that a user names does not open the network behind the service.
#[tokio::test]
async fn addresses_that_are_not_allowed_are_not_connected_to() {
    let provider = FakeProvider::start().await;
    let port = provider.issuer.rsplit_once(':').unwrap().1;
    let by_name = format!("http://localhost:{port}");
    let token = TestKey::P256.sign(&json!({ "alg": "ES256", "kid": "p256" }), &job_claims(&by_name).to_string());
    let verify = async |issuer: &str, rule: AddressRule| {
        let keys = IssuerKeys::discovered(issuer, None, rule).unwrap();
        keys.verify(&token, &Expected { issuer, audience: AUDIENCE }, now()).await
    };
    for issuer in [provider.issuer.as_str(), by_name.as_str(), &format!("http://[::1]:{port}")] {
        let cause =
            expect_unavailable(verify(issuer, AddressRule::new(|address: IpAddr| !address.is_loopback())).await);
        assert!(matches!(cause, UnavailableCause::AddressNotAllowed), "{issuer}: {cause:?}");
    }
    assert!(provider.received("").is_empty());
    provider.announce(&json!({ "issuer": by_name }));
    verify(&by_name, AddressRule::new(|address: IpAddr| address.is_loopback())).await.unwrap();
    // The rule holds for the endpoints of the discovery document, too.
    provider.announce(&json!({ "issuer": by_name, "jwks_uri": format!("http://127.0.0.9:{port}/keys") }));
    let other = AddressRule::new(|address: IpAddr| address != IpAddr::from([127, 0, 0, 9]));
    let cause = expect_unavailable(verify(&by_name, other).await);
    assert!(matches!(cause, UnavailableCause::AddressNotAllowed), "{cause:?}");
}

#[test]
fn a_static_key_set_is_a_jwks() {
    for text in ["", "{}", "[]", r#"{"keys": 1}"#, "-----BEGIN PUBLIC KEY-----"] {
        assert!(matches!(IssuerKeys::from_jwks(text), Err(SettingsError::KeySet)), "{text}");
    }
}

/// The signature is valid, by an RSA key of 1,024 bits.
#[tokio::test]
async fn a_short_rsa_key_is_denied() {
    let n = "nw6KUxK_cYXyKierrVa7a5kXKxan38SptYl7h5AEBBrnj5nk-rjpFjveEjxHAxCCIsw8bbmFjO1wnhTg96hr7ylXittP1V9iIXdgDieBIwww\
             0GsbpY6wvyUpKc1rxhXE2V7jCLB9YsDZaFj6poiwYmHoXdgFuwSIlpweoqR3mtE";
    let token = "eyJhbGciOiAiUlMyNTYiLCAia2lkIjogIndlYWsifQ.eyJpc3MiOiAiaHR0cHM6Ly9pc3N1ZXIuZXhhbXBsZSIsICJhdWQiOiAid29ya2xv\
                 YWQiLCAic3ViIjogImJ1aWxkLTEiLCAiaWF0IjogMTgwMDAwMDAwMCwgImV4cCI6IDE4MDAwMDA2MDB9.BujBDRuGiXcDWJ6DFgy8sXeGmLlH\
                 8SOeqJ21WgZBtS1sGZQGz_7h7muzHuj4L6UqSfWq1jjlZJYM4AoOsPtkUzvEfy3GO9Fa7e-Whp3nKO1oswbGXFVhcKgAfS3gwRMoo6KcTeLyeH\
                 OIDDPyZeAa79KOq5h5Z17F2XlC8Jpy42o";
    let keys = json!({ "keys": [{ "kty": "RSA", "kid": "weak", "n": n, "e": "AQAB" }] });
    let keys = IssuerKeys::from_jwks(&keys.to_string()).unwrap();
    let expected = Expected { issuer: "https://issuer.example", audience: "workload" };
    let denial = expect_denial(keys.verify(token, &expected, now()).await);
    assert_eq!(denial, Denial::WeakKey { minimum: 2048 });
}
