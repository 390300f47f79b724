//! Requests to the provider, by the browser and by this service.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use url::{Url, form_urlencoded};

use super::*;

fn query_of(url: &Url) -> BTreeMap<String, String> {
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let query: BTreeMap<_, _> = pairs.iter().cloned().collect();
    assert_eq!(query.len(), pairs.len(), "a parameter is there twice: {url}");
    query
}

fn form_of(body: &str) -> BTreeMap<String, String> {
    form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

#[tokio::test]
async fn the_authorization_request_has_all_parameters_and_no_secret() {
    let provider = FakeProvider::start().await;
    let flow = flow();
    let url = provider.client().authorization_url(&flow).await.unwrap();
    assert!(url.as_str().starts_with(&format!("{}/authorize?", provider.issuer)), "{url}");
    // The SHA-256 of the code verifier, computed with another program.
    let challenge = "9F3IKnUj0Ul0zqBQ4wKOi_BqjuhVqdYwNOu0-57MIwU";
    let expected = [
        ("client_id", CLIENT_ID),
        ("code_challenge", challenge),
        ("code_challenge_method", "S256"),
        ("max_age", "31536000"),
        ("nonce", flow.nonce()),
        ("redirect_uri", "https://tokens.example/sso/login/callback"),
        ("response_mode", "query"),
        ("response_type", "code"),
        ("scope", "openid email groups"),
        ("state", flow.state()),
    ];
    assert_eq!(query_of(&url), expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert!(!url.as_str().contains(flow.code_verifier()));
}

#[tokio::test]
async fn a_proof_asks_for_a_new_authentication() {
    let provider = FakeProvider::start().await;
    let flow = Flow::from_bytes([7; 96], Prompt::Login { since: now() });
    let query = query_of(&provider.client().authorization_url(&flow).await.unwrap());
    assert_eq!((query["prompt"].as_str(), query["max_age"].as_str()), ("login", "0"));
}

#[tokio::test]
async fn the_query_of_the_authorization_endpoint_is_kept() {
    let provider = FakeProvider::start().await;
    provider.announce(&json!({ "authorization_endpoint": format!("{}/authorize?tenant=a%26b", provider.issuer) }));
    let mut with_openid = settings(&provider.issuer);
    with_openid.scopes = vec!["openid".to_owned()];
    let client = provider.client_with(with_openid, std::time::Duration::from_secs(5));
    let query = query_of(&client.authorization_url(&flow()).await.unwrap());
    assert_eq!((query["tenant"].as_str(), query["scope"].as_str()), ("a&b", "openid"));
}

#[tokio::test]
async fn the_code_is_exchanged_with_its_verifier() {
    let provider = FakeProvider::start().await;
    redeem_claims(&provider, &id_claims(&provider.issuer)).await.unwrap();
    let requests = provider.received("/token");
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    let flow = flow();
    let expected = [
        ("code", SECRETS[1]),
        ("code_verifier", flow.code_verifier()),
        ("grant_type", "authorization_code"),
        ("redirect_uri", "https://tokens.example/sso/login/callback"),
    ];
    assert_eq!(form_of(&request.body), expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
}

/// RFC 6749, section 2.3.1: both parts are encoded as in forms, then as HTTP Basic demands.
#[tokio::test]
async fn the_client_secret_is_sent_as_announced() {
    let provider = FakeProvider::start().await;
    let basic = format!("Basic {}", STANDARD.encode(format!("{CLIENT_ID}:p%25s%3Asecret-7391")));
    for (announced, is_in_header) in [
        (json!(null), true),
        (json!(["client_secret_post", "client_secret_basic"]), true),
        (json!(["private_key_jwt", "client_secret_post"]), false),
    ] {
        provider.announce(&json!({ "token_endpoint_auth_methods_supported": announced }));
        redeem_claims(&provider, &id_claims(&provider.issuer)).await.unwrap();
        let request = provider.received("/token").pop().unwrap();
        let form = form_of(&request.body);
        if is_in_header {
            assert_eq!(request.authorization.as_deref(), Some(basic.as_str()), "{announced}");
            assert!(!form.contains_key("client_secret") && !form.contains_key("client_id"), "{announced}");
        } else {
            assert_eq!((form["client_id"].as_str(), form["client_secret"].as_str()), (CLIENT_ID, SECRETS[0]));
            assert_eq!(request.authorization, None);
        }
    }
}

#[tokio::test]
async fn the_client_secret_is_not_sent_in_a_way_that_is_not_announced() {
    let provider = FakeProvider::start().await;
    provider.announce(&json!({ "token_endpoint_auth_methods_supported": ["private_key_jwt"] }));
    let cause = expect_unavailable(redeem_claims(&provider, &id_claims(&provider.issuer)).await);
    assert!(matches!(cause, UnavailableCause::ClientAuthentication), "{cause}");
    assert!(provider.received("/token").is_empty());
}

#[tokio::test]
async fn a_public_client_sends_its_id_and_no_secret() {
    let provider = FakeProvider::start().await;
    provider.announce(&json!({ "token_endpoint_auth_methods_supported": ["none"] }));
    provider.issue(&TestKey::Rsa.sign(&json!({ "alg": "RS256" }), &id_claims(&provider.issuer).to_string()));
    let public = ClientSettings { client_secret: None, ..settings(&provider.issuer) };
    let client = provider.client_with(public, std::time::Duration::from_secs(5));
    client.redeem(SECRETS[1], None, &flow(), now()).await.unwrap();
    let request = provider.received("/token").pop().unwrap();
    let form = form_of(&request.body);
    assert_eq!(form["client_id"], CLIENT_ID);
    assert!(!form.contains_key("client_secret") && request.authorization.is_none());
}

#[tokio::test]
async fn a_sign_out_at_the_provider_is_offered_if_it_is_announced() {
    let provider = FakeProvider::start().await;
    let client = provider.client();
    let url = client.end_session_url(Some("a.b.c")).await.unwrap().unwrap();
    assert!(url.as_str().starts_with(&format!("{}/end-session?", provider.issuer)), "{url}");
    let mut expected = BTreeMap::from([
        ("client_id".to_owned(), CLIENT_ID.to_owned()),
        ("id_token_hint".to_owned(), "a.b.c".to_owned()),
        ("post_logout_redirect_uri".to_owned(), "https://tokens.example/".to_owned()),
    ]);
    assert_eq!(query_of(&url), expected);
    expected.remove("id_token_hint");
    assert_eq!(query_of(&client.end_session_url(None).await.unwrap().unwrap()), expected);
    provider.announce(&json!({ "end_session_endpoint": null }));
    assert_eq!(provider.client().end_session_url(None).await.unwrap(), None);
}

#[test]
fn flows_are_restored_from_their_parts() {
    let flow = flow();
    assert_eq!(flow.state(), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
    assert_eq!(flow.nonce(), "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8");
    assert_eq!(flow.code_verifier(), "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8");
    let parts = || [flow.state(), flow.nonce(), flow.code_verifier()].map(str::to_owned);
    let [state, nonce, verifier] = parts();
    let restored = Flow::from_parts(state, nonce, verifier, Prompt::Login { since: now() }).unwrap();
    assert_eq!([restored.state(), restored.nonce(), restored.code_verifier()], parts());
    assert_eq!(restored.prompt(), Prompt::Login { since: now() });
    // An empty nonce would be equal to an empty one in an ID token.
    for broken in ["", "short", &"a".repeat(44), &format!("{} ", &flow.state()[1..])] {
        for part in 0..3 {
            let mut parts = parts();
            broken.clone_into(&mut parts[part]);
            let [state, nonce, verifier] = parts;
            assert!(Flow::from_parts(state, nonce, verifier, Prompt::None).is_err(), "{broken:?}");
        }
    }
}
