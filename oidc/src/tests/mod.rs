//! Tests of the relying party against a provider on a loopback address.

mod algorithms;
mod callbacks;
mod debug;
mod groups;
mod id_tokens;
mod issuer_keys;
mod key_rotation;
mod logout;
mod outages;
mod provider;
mod requests;
mod settings;
mod signing;
mod tls;

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::{ClientSettings, Denial, Error, Flow, IdentityClaims, Prompt, Secret, UnavailableCause};

use provider::FakeProvider;
use signing::TestKey;

/// The seconds since 1970 at which all tests take place.
const NOW: u64 = 1_800_000_000;
const CLIENT_ID: &str = "tokenward";
/// Texts that no error, log and `Debug` output may have.
const SECRETS: [&str; 3] = ["p%s:secret-7391", "one-time-code-8113", "ada.lovelace@example.org"];

fn now() -> SystemTime {
    at(NOW)
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn flow() -> Flow {
    Flow::from_bytes(std::array::from_fn(|n| u8::try_from(n).unwrap()), Prompt::None)
}

/// Returns settings with a client secret whose characters need encoding.
fn settings(issuer: &str) -> ClientSettings {
    ClientSettings {
        issuer: issuer.to_owned(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: Some(Secret::new(SECRETS[0].to_owned())),
        scopes: vec!["email".to_owned(), "groups".to_owned()],
        subject_claim: "sub".to_owned(),
        groups_claim: "groups".to_owned(),
        ca_file: None,
        redirect_uri: "https://tokens.example/sso/login/callback".to_owned(),
        post_logout_redirect_uri: "https://tokens.example/".to_owned(),
    }
}

/// Returns the claims of an ID token that is accepted.
fn id_claims(issuer: &str) -> Value {
    json!({
        "iss": issuer,
        "aud": CLIENT_ID,
        "sub": "248289761001",
        "nonce": flow().nonce(),
        "iat": NOW,
        "exp": NOW + 300,
        "email": SECRETS[2],
        "email_verified": true,
        "name": "Ada Lovelace",
        "preferred_username": "ada",
        "groups": ["users", "admins"],
        "sid": "session-1",
        "auth_time": NOW - 10,
    })
}

/// Signs in with an ID token of the claims, by an RSA key of the provider.
async fn redeem_claims(provider: &FakeProvider, claims: &Value) -> Result<IdentityClaims, Error> {
    provider.issue(&TestKey::Rsa.sign(&json!({ "alg": "RS256", "kid": "rsa" }), &claims.to_string()));
    redeem(provider).await
}

/// Signs in with what the token endpoint of the provider responds.
async fn redeem(provider: &FakeProvider) -> Result<IdentityClaims, Error> {
    let result = provider.client().redeem(SECRETS[1], None, &flow(), now()).await;
    if let Err(error) = &result {
        assert_no_secret(error);
    }
    result
}

/// Returns the cause of a denied sign-in.
async fn denial_of(provider: &FakeProvider, claims: &Value) -> Denial {
    expect_denial(redeem_claims(provider, claims).await)
}

fn expect_denial<T: std::fmt::Debug>(result: Result<T, Error>) -> Denial {
    match result {
        Err(Error::Denied(denial)) => denial,
        other => panic!("not denied: {other:?}"),
    }
}

fn expect_unavailable<T: std::fmt::Debug>(result: Result<T, Error>) -> UnavailableCause {
    match result {
        Err(Error::Unavailable(unavailable)) => {
            assert_no_secret(&unavailable);
            unavailable.cause
        }
        other => panic!("not unavailable: {other:?}"),
    }
}

/// Asserts that neither the texts of an error and its causes, nor its `Debug` output, has a secret.
fn assert_no_secret<E: std::error::Error>(error: &E) {
    let mut texts = vec![format!("{error:?}"), error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        texts.push(cause.to_string());
        source = cause.source();
    }
    let flow = flow();
    for text in texts {
        for secret in SECRETS.iter().copied().chain([flow.state(), flow.nonce(), flow.code_verifier()]) {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
