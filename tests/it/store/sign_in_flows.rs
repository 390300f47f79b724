//! Sign-ins through identity providers that redirect the browser, and logouts there.

use futures_util::future::join_all;
use rstest::rstest;
use rstest_reuse::apply;
use tokenward::{
    domain::{
        authority::VerifiedCredential,
        draft_key::DraftKey,
        event::RequestContext,
        random::Random,
        session::{SessionValue, UserAgent},
        sign_in_flow::{FlowPurpose, ReceivedResponse, SignInFlow, TextDigest},
    },
    store::{AcceptedResponse, NewExternalIdentity, NewSession, ProviderLogout, Store},
};
use uuid::Uuid;

use super::{NOW, NoCache, WORKSPACE, new_person, operator_mutation};
use crate::support::{Engine, TestApp, both_databases};

fn flow(provider: &str) -> SignInFlow {
    SignInFlow {
        provider: provider.to_owned(),
        nonce: "n".repeat(43),
        code_verifier: "v".repeat(43),
        next_path: "/admin?search=a%20b".to_owned(),
        purpose: FlowPurpose::SignIn,
        created_at: NOW,
    }
}

#[apply(both_databases)]
async fn a_flow_is_taken_once_by_its_provider_and_in_time(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let [first, second] = ["first", "second"].map(TextDigest::of);
    store.insert_sign_in_flow(&first, &flow("login")).await.unwrap();
    let before = NOW.plus_seconds(-1);
    assert_eq!(store.take_sign_in_flow(&second, "login", before).await.unwrap(), None);
    assert_eq!(store.take_sign_in_flow(&first, "other", before).await.unwrap(), None);
    assert_eq!(store.take_sign_in_flow(&first, "login", NOW).await.unwrap(), None, "too old");
    let taken = join_all((0..4).map(|_| store.take_sign_in_flow(&first, "login", before))).await;
    let taken: Vec<SignInFlow> = taken.into_iter().filter_map(|taken| taken.unwrap()).collect();
    assert_eq!(taken, [flow("login")]);
    store.insert_sign_in_flow(&second, &flow("login")).await.unwrap();
    assert_eq!(store.purge_sign_in_flows(before, before, before).await.unwrap(), 0);
    assert_eq!(store.purge_sign_in_flows(NOW, NOW, NOW).await.unwrap(), 1);
    assert_eq!(store.take_sign_in_flow(&second, "login", before).await.unwrap(), None);
}

/// Creates a session of a session at the provider.
async fn create_session(store: &Store, person_id: tokenward::domain::id::PersonId, identity_id: Uuid, sid: &str) {
    let random = Random::system();
    let new = NewSession {
        id: Uuid::from_bytes(random.bytes()),
        digest: SessionValue::generate(&random).digest(),
        workspace_id: WORKSPACE,
        person_id,
        email: "ada@example.com".into(),
        created_at: NOW,
        provider_authenticated_at: None,
        user_agent: UserAgent::from_header("a browser"),
        draft_key: DraftKey::generate(&random),
        provider_session_id: Some(sid.to_owned()),
        origin: RequestContext::default(),
    };
    assert!(store.insert_session(&new, &VerifiedCredential::Identity(identity_id)).await.unwrap());
}

#[apply(both_databases)]
async fn sessions_of_a_subject_or_of_a_provider_session_are_deleted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let person = store.insert_person(WORKSPACE, &new_person("ada@example.com"), &operator_mutation()).await.unwrap();
    let ada = person.unwrap();
    let id = Uuid::from_u128(7);
    let identity = NewExternalIdentity {
        id,
        provider: "login".to_owned(),
        issuer: "https://a".to_owned(),
        subject: "s".to_owned(),
        label: "ada".to_owned(),
    };
    store.link_identity(&ada, &identity, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    let count = async || store.list_sessions(WORKSPACE, ada.id).await.unwrap().len();
    for sid in ["1", "2", "3"] {
        create_session(store, ada.id, id, sid).await;
    }
    let sessions = store.list_sessions(WORKSPACE, ada.id).await.unwrap();
    assert!(sessions.iter().all(|session| session.provider.as_deref() == Some("login")));
    let end = async |token: u64, provider: &str, issuer: &str, subject: Option<&str>, session_id: Option<&str>| {
        let token = TextDigest::of(&token.to_string());
        let logout = ProviderLogout { issuer, subject, session_id, token, expires_at: NOW };
        store.end_provider_sessions(provider, &logout).await.unwrap()
    };
    for (n, (provider, issuer, subject, sid)) in (0..).zip([
        ("other", "https://a", Some("s"), None),
        ("login", "https://b", Some("s"), None),
        ("login", "https://a", Some("other"), None),
        ("login", "https://a", None, Some("4")),
        ("login", "https://a", Some("other"), Some("1")),
        ("login", "https://a", None, None),
    ]) {
        assert_eq!(end(n, provider, issuer, subject, sid).await, Some(0));
    }
    assert_eq!(count().await, 3);
    let at_once = join_all((0..4).map(|_| end(10, "login", "https://a", None, Some("1")))).await;
    assert_eq!(at_once.into_iter().flatten().collect::<Vec<_>>(), [1], "a token is used once");
    assert_eq!(end(11, "login", "https://a", Some("s"), Some("2")).await, Some(1));
    assert_eq!(end(11, "login", "https://a", Some("s"), None).await, None);
    assert_eq!(count().await, 1);
    assert_eq!(store.purge_sign_in_flows(NOW, NOW, NOW.plus_seconds(-1)).await.unwrap(), 0);
    assert!(store.purge_sign_in_flows(NOW, NOW, NOW).await.unwrap() > 0);
    assert_eq!(end(11, "login", "https://a", Some("s"), None).await, Some(1));
    assert_eq!(count().await, 0);
}

#[apply(both_databases)]
async fn a_response_is_accepted_and_taken_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let received = ReceivedResponse { document: b"<Response/>".to_vec(), received_at: NOW };
    let accepted = |issuer: &'static str, assertion: &str, reference: &str| AcceptedResponse {
        issuer,
        assertion: TextDigest::of(assertion),
        expires_at: NOW.plus_seconds(60),
        reference: TextDigest::of(reference),
        provider: "adfs",
        received: &received,
    };
    let references: Vec<String> = (0..4).map(|n| format!("reference {n}")).collect();
    let at_once = references.iter().map(|reference| store.accept_saml_response(accepted("idp", "1", reference)));
    let at_once: Vec<bool> = join_all(at_once).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(at_once.iter().filter(|is_accepted| **is_accepted).count(), 1, "{at_once:?}");
    assert!(store.accept_saml_response(accepted("other", "1", "other")).await.unwrap());
    let winner = at_once.iter().position(|is_accepted| *is_accepted).unwrap();
    let before = NOW.plus_seconds(-1);
    for (n, reference) in references.iter().enumerate() {
        let digest = TextDigest::of(reference);
        assert_eq!(store.take_saml_response(&digest, "twin", before).await.unwrap(), None);
        assert_eq!(store.take_saml_response(&digest, "adfs", NOW).await.unwrap(), None, "too old");
        let taken = join_all((0..4).map(|_| store.take_saml_response(&digest, "adfs", before))).await;
        let taken: Vec<ReceivedResponse> = taken.into_iter().filter_map(|taken| taken.unwrap()).collect();
        assert_eq!(taken, if n == winner { vec![received.clone()] } else { vec![] });
    }
    // The response of the other issuer, and both assertions.
    assert_eq!(store.purge_sign_in_flows(NOW, before, NOW).await.unwrap(), 0);
    assert_eq!(store.purge_sign_in_flows(NOW, NOW, NOW.plus_seconds(60)).await.unwrap(), 3);
    assert_eq!(format!("{received:?}"), "ReceivedResponse { received_at: 2026-01-01T00:00:00.000Z, .. }");
}
