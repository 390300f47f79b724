//! Algorithms, keys and signatures.

use ring::hmac;

use super::{
    signing::{encode, message, rsa_components},
    *,
};

async fn redeem_token(provider: &FakeProvider, token: &str) -> Result<IdentityClaims, Error> {
    provider.issue(token);
    redeem(provider).await
}

const PAIRS: [(TestKey, &str); 9] = [
    (TestKey::Rsa, "RS256"),
    (TestKey::Rsa, "RS384"),
    (TestKey::Rsa, "RS512"),
    (TestKey::Rsa, "PS256"),
    (TestKey::Rsa, "PS384"),
    (TestKey::Rsa, "PS512"),
    (TestKey::P256, "ES256"),
    (TestKey::P384, "ES384"),
    (TestKey::Ed25519, "EdDSA"),
];

#[tokio::test]
async fn every_accepted_algorithm_verifies() {
    let provider = FakeProvider::start().await;
    let claims = id_claims(&provider.issuer).to_string();
    for (key, algorithm) in PAIRS {
        for header in [json!({ "alg": algorithm, "kid": key.id() }), json!({ "alg": algorithm, "typ": "JWT" })] {
            let result = redeem_token(&provider, &key.sign(&header, &claims)).await;
            assert!(result.is_ok(), "{header}: {result:?}");
        }
    }
}

#[tokio::test]
async fn every_changed_byte_of_a_signature_is_detected() {
    let provider = FakeProvider::start().await;
    let claims = id_claims(&provider.issuer).to_string();
    for (key, algorithm) in PAIRS {
        let token = key.sign(&json!({ "alg": algorithm, "kid": key.id() }), &claims);
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let first = if signature.starts_with('A') { "B" } else { "A" };
        let mut cases = vec![format!("{signed}.{first}{}", &signature[1..]), format!("{signed}.")];
        let other = claims.replace("248289761001", "248289761002");
        let payload = encode(other.as_bytes());
        cases.push(format!("{}.{payload}.{signature}", signed.split_once('.').unwrap().0));
        for changed in cases {
            assert_eq!(expect_denial(redeem_token(&provider, &changed).await), Denial::Signature, "{algorithm}");
        }
    }
}

#[tokio::test]
async fn a_token_without_signature_is_denied() {
    let provider = FakeProvider::start().await;
    let claims = id_claims(&provider.issuer).to_string();
    for algorithm in ["none", "None", "NONE", "", "HS256", "ES512", "RS1", "rs256"] {
        let header = json!({ "alg": algorithm, "kid": "rsa" });
        let token = format!("{}.", message(&header, &claims));
        assert_eq!(expect_denial(redeem_token(&provider, &token).await), Denial::Algorithm, "{algorithm}");
    }
}

/// The public key is known to everyone. As the secret of an HMAC it would sign anything.
#[tokio::test]
async fn an_hmac_with_the_public_key_is_denied() {
    let provider = FakeProvider::start().await;
    let claims = id_claims(&provider.issuer).to_string();
    let components = rsa_components();
    let jwk = TestKey::Rsa.jwk();
    let secrets = [components.n.as_slice(), jwk["n"].as_str().unwrap().as_bytes(), b""];
    // An issuer that publishes a shared secret, too.
    let shared = json!({ "kty": "oct", "kid": "shared", "alg": "HS256", "k": encode(&components.n) });
    provider.publish(&[TestKey::Rsa.jwk(), shared]);
    for secret in secrets {
        for kid in ["rsa", "shared"] {
            let message = message(&json!({ "alg": "HS256", "kid": kid }), &claims);
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
            let token = format!("{message}.{}", encode(tag.as_ref()));
            assert_eq!(expect_denial(redeem_token(&provider, &token).await), Denial::Algorithm, "{kid}");
        }
    }
}

#[tokio::test]
async fn the_algorithm_of_the_header_must_fit_the_key() {
    let provider = FakeProvider::start().await;
    let claims = id_claims(&provider.issuer).to_string();
    for (key, signed_by, header) in [
        (TestKey::Rsa, "RS256", json!({ "alg": "ES256", "kid": "rsa" })),
        (TestKey::Rsa, "RS256", json!({ "alg": "EdDSA", "kid": "rsa" })),
        (TestKey::P256, "ES256", json!({ "alg": "RS256", "kid": "p256" })),
        (TestKey::P256, "ES256", json!({ "alg": "ES384", "kid": "p256" })),
        (TestKey::Ed25519, "EdDSA", json!({ "alg": "ES256", "kid": "ed25519" })),
    ] {
        let token = key.sign_as(signed_by, &header, &claims);
        assert_eq!(expect_denial(redeem_token(&provider, &token).await), Denial::AlgorithmOfKey, "{header}");
    }
    // Without a key ID only the fitting key is tried.
    let token = TestKey::Rsa.sign_as("RS256", &json!({ "alg": "ES256" }), &claims);
    assert_eq!(expect_denial(redeem_token(&provider, &token).await), Denial::Signature);
}

#[tokio::test]
async fn a_key_with_an_algorithm_is_used_for_it_only() {
    let provider = FakeProvider::start().await;
    let claims = id_claims(&provider.issuer).to_string();
    let mut jwk = TestKey::Rsa.jwk();
    jwk["alg"] = json!("PS256");
    provider.publish(&[jwk]);
    let sign = |algorithm: &str| TestKey::Rsa.sign(&json!({ "alg": algorithm, "kid": "rsa" }), &claims);
    redeem_token(&provider, &sign("PS256")).await.unwrap();
    for other in ["RS256", "PS384"] {
        assert_eq!(expect_denial(redeem_token(&provider, &sign(other)).await), Denial::AlgorithmOfKey);
    }
}

#[tokio::test]
async fn keys_that_are_not_for_signatures_are_not_used() {
    let provider = FakeProvider::start().await;
    let token = TestKey::Rsa.sign(&json!({ "alg": "RS256", "kid": "rsa" }), &id_claims(&provider.issuer).to_string());
    for (member, value, is_used) in [
        ("use", json!("enc"), false),
        ("key_ops", json!(["encrypt"]), false),
        ("alg", json!("RSA-OAEP"), false),
        ("alg", json!("ES256"), false),
        ("kty", json!("oct"), false),
        ("n", json!("AAAA"), false),
        ("n", json!("not base64!"), false),
        ("key_ops", json!(["verify"]), true),
        ("x5c", json!(["unused"]), true),
    ] {
        let mut jwk = TestKey::Rsa.jwk();
        jwk[member] = value.clone();
        provider.publish(&[json!("not a key"), jwk]);
        let result = redeem_token(&provider, &token).await;
        if is_used {
            assert!(result.is_ok(), "{member} {value}: {result:?}");
        } else {
            assert_eq!(expect_denial(result), Denial::UnknownKey, "{member} {value}");
        }
    }
    let mut padded = TestKey::Rsa.jwk();
    padded["n"] = json!(encode(&[&[0], rsa_components().n.as_slice()].concat()));
    provider.publish(&[padded]);
    redeem_token(&provider, &token).await.unwrap();
}

#[tokio::test]
async fn the_token_names_no_key_of_its_own() {
    let provider = FakeProvider::start().await;
    provider.publish(&[TestKey::P256.jwk()]);
    let header = json!({ "alg": "RS256", "kid": "p256", "jwk": TestKey::Rsa.jwk(), "jku": "https://evil.example" });
    let token = TestKey::Rsa.sign(&header, &id_claims(&provider.issuer).to_string());
    assert_eq!(expect_denial(redeem_token(&provider, &token).await), Denial::AlgorithmOfKey);
}

#[tokio::test]
async fn headers_with_extensions_or_other_types_are_denied() {
    let provider = FakeProvider::start().await;
    let claims = id_claims(&provider.issuer).to_string();
    for (header, expected) in [
        (json!({ "alg": "RS256", "crit": ["b64"], "b64": false }), Denial::CriticalHeader),
        (json!({ "alg": "RS256", "crit": [] }), Denial::CriticalHeader),
        (json!({ "alg": "RS256", "typ": "logout+jwt" }), Denial::Type),
        (json!({ "alg": "RS256", "typ": "at+jwt" }), Denial::Type),
        (json!({ "alg": "RS256", "typ": "application/secevent+jwt" }), Denial::Type),
        (json!({ "alg": "RS256", "kid": 1 }), Denial::Malformed),
    ] {
        let token = TestKey::Rsa.sign(&header, &claims);
        assert_eq!(expect_denial(redeem_token(&provider, &token).await), expected, "{header}");
    }
    let header = json!({ "alg": "RS256", "typ": "application/JWT" });
    redeem_token(&provider, &TestKey::Rsa.sign(&header, &claims)).await.unwrap();
}

#[tokio::test]
async fn texts_that_are_no_jwt_are_denied() {
    let provider = FakeProvider::start().await;
    let header = encode(br#"{"alg":"RS256","alg":"RS256"}"#);
    for (token, expected) in [
        ("", Denial::Malformed),
        ("a", Denial::Malformed),
        ("a.b", Denial::Malformed),
        ("a.b.c", Denial::Malformed),
        ("....", Denial::Malformed),
        ("\u{0}.\u{0}.\u{0}", Denial::Malformed),
        (&format!("{header}.e30."), Denial::DuplicateClaim),
        // An encrypted token has five parts.
        (&format!("{}.a.b.c.d", encode(br#"{"alg":"RS256"}"#)), Denial::Malformed),
    ] {
        assert_eq!(expect_denial(redeem_token(&provider, token).await), expected, "{token:?}");
    }
    let long = format!("{}.{}.", encode(br#"{"alg":"RS256"}"#), "A".repeat(256 * 1024));
    let result = provider.client().verify_logout_token(&long, now()).await;
    assert_eq!(expect_denial(result), Denial::TooLong { limit: 256 * 1024 });
}
