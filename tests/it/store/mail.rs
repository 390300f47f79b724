//! The outbox of e-mail.

use futures_util::future::join_all;
use rstest::rstest;
use rstest_reuse::apply;
use tokenward::{
    domain::{
        event::{Action, AuditContext},
        mail::{MAX_RESETS_PER_EMAIL, MailKind, MailOutcome},
        password_link::{LinkKind, LinkValue},
        person::{Email, EmailKey},
        random::Random,
        time::Timestamp,
    },
    store::{ClaimedMail, EventFilter, EventPageStart, NewPasswordLink, PersonChange, ResetRecipient, Store},
};

use super::{ADMIN, NOW, NoCache, WORKSPACE, new_person, operator_mutation};
use crate::support::{Engine, TestApp, both_databases};

fn key() -> EmailKey {
    EmailKey::from_text("admin@example.com")
}

fn context() -> AuditContext {
    AuditContext::for_system(NOW)
}

fn new_link() -> NewPasswordLink {
    let kind = LinkKind::Reset;
    NewPasswordLink { kind, digest: LinkValue::generate(&Random::system()).digest(), expires_at: kind.expires_at(NOW) }
}

/// Changes the e-mail of the administrator, which queues a message to the old one.
async fn change_email(store: &Store, email: &str) {
    let change = PersonChange { email: Some(Email::parse(email).unwrap()), ..PersonChange::default() };
    store.update_person(WORKSPACE, ADMIN, &change, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
}

async fn claim(store: &Store, now: Timestamp) -> Vec<ClaimedMail> {
    store.claim_mail(now, now.plus_seconds(60), 8).await.unwrap()
}

#[apply(both_databases)]
async fn an_event_queues_a_message_while_a_node_sends(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    change_email(store, "first@example.com").await;
    assert!(claim(store, NOW).await.is_empty());
    store.record_mail_sender(NOW).await.unwrap();
    // An earlier time does not replace a later one.
    store.record_mail_sender(NOW.plus_seconds(-9 * 86_400)).await.unwrap();
    change_email(store, "second@example.com").await;
    let [mail] = &claim(store, NOW).await[..] else { panic!("one message") };
    assert_eq!((mail.kind, mail.recipient.as_str()), (MailKind::EmailChanged, "first@example.com"));
    assert_eq!((mail.person, mail.created_at), (Some((WORKSPACE, ADMIN)), NOW));
    let event = mail.event.as_ref().unwrap();
    assert_eq!(
        (event.action, event.details.0["previousEmail"].as_str()),
        (Action::PersonChanged, Some("first@example.com"))
    );
}

#[apply(both_databases)]
async fn one_node_claims_a_message_until_the_claim_ends(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    store.record_mail_sender(NOW).await.unwrap();
    for index in 0..5 {
        change_email(store, &format!("a{index}@example.com")).await;
    }
    let claims = join_all((0..4).map(|_| store.claim_mail(NOW, NOW.plus_seconds(60), 2))).await;
    let mut ids: Vec<i64> = claims.into_iter().flat_map(Result::unwrap).map(|mail| mail.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let rest = claim(store, NOW).await;
    assert_eq!(ids.len() + rest.len(), 5, "each message once");
    assert!(claim(store, NOW.plus_seconds(59)).await.is_empty());
    let again = claim(store, NOW.plus_seconds(60)).await;
    assert_eq!(again.len(), 5);
    let at = NOW.plus_seconds(90);
    store.finish_mail(&again[0], MailOutcome::Sent, None, None, &context()).await.unwrap();
    store.finish_mail(&again[1], MailOutcome::Deferred, Some(at), None, &context()).await.unwrap();
    assert!(claim(store, at.plus_seconds(-1)).await.is_empty());
    let ids: Vec<i64> = claim(store, at).await.iter().map(|mail| mail.id).collect();
    assert_eq!(ids, [again[1].id]);
    assert_eq!(store.purge_mail(NOW, 10).await.unwrap(), 0);
    assert_eq!(store.purge_mail(NOW.plus_seconds(1), 3).await.unwrap(), 3);
    assert_eq!(store.purge_mail(NOW.plus_seconds(1), 10).await.unwrap(), 2);
}

#[apply(both_databases)]
async fn a_message_that_is_given_up_has_one_event(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    store.record_mail_sender(NOW).await.unwrap();
    change_email(store, "second@example.com").await;
    let mail = claim(store, NOW).await.remove(0);
    let person = store.find_mail_recipient(WORKSPACE, ADMIN).await.unwrap().unwrap();
    for _ in 0..2 {
        store.finish_mail(&mail, MailOutcome::Rejected, None, Some(&person), &context()).await.unwrap();
    }
    let events = store.list_events(&EventFilter::all(WORKSPACE), EventPageStart::default(), 2).await.unwrap();
    assert_eq!((events[0].action, events[0].person_id), (Action::MailGivenUp, Some(ADMIN)));
    assert_ne!(events[1].action, Action::MailGivenUp);
    assert_eq!(events[0].details.to_json_string(), r#"{"kind":"email_changed","outcome":"rejected"}"#);
}

#[apply(both_databases)]
async fn requests_for_links_are_limited_per_address_over_all_nodes(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let hour_ago = NOW.plus_seconds(-3_600);
    let queue = async |email: &str, at| {
        store.queue_reset_request(&EmailKey::from_text(email), None, at, hour_ago).await.unwrap()
    };
    // Simultaneous requests count each other.
    let queued = join_all((0..8).map(|_| queue("unknown@example.com", NOW))).await;
    assert_eq!(
        queued.into_iter().filter(|is_queued| *is_queued).count(),
        usize::try_from(MAX_RESETS_PER_EMAIL).unwrap()
    );
    assert!(!queue("unknown@example.com", NOW).await && queue("admin@example.com", NOW).await);
    assert_eq!(claim(store, NOW).await.len(), 4);
    // The earlier requests are not counted any more.
    let (later, counted_since) = (NOW.plus_seconds(3_601), NOW);
    let address = "192.0.2.1".parse().ok();
    assert!(
        store
            .queue_reset_request(&EmailKey::from_text("unknown@example.com"), address, later, counted_since)
            .await
            .unwrap()
    );
    let [mail] = &claim(store, later).await.into_iter().filter(|mail| mail.created_at == later).collect::<Vec<_>>()[..]
    else {
        panic!("one message")
    };
    assert_eq!(
        (mail.kind, mail.person, mail.address, mail.event.is_none()),
        (MailKind::PasswordReset, None, address, true)
    );
}

#[apply(both_databases)]
async fn only_an_enabled_account_with_a_password_gets_a_link(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let link = new_link();
    let ResetRecipient::Created(person) = store.insert_reset_link(&key(), &link, &context()).await.unwrap() else {
        panic!("a link")
    };
    assert_eq!(person.id, ADMIN);
    assert!(store.find_password_link(LinkKind::Reset, &link.digest, NOW).await.unwrap().is_some());
    assert!(store.find_password_link(LinkKind::Invite, &link.digest, NOW).await.unwrap().is_none());
    let newer = new_link();
    store.insert_reset_link(&key(), &newer, &context()).await.unwrap();
    assert!(store.find_password_link(LinkKind::Reset, &link.digest, NOW).await.unwrap().is_none());
    let mut invited = new_person("ada@example.com");
    invited.password_hash = None;
    let eve =
        store.insert_person(WORKSPACE, &new_person("eve@example.com"), &operator_mutation()).await.unwrap().unwrap();
    store.insert_person(WORKSPACE, &invited, &operator_mutation()).await.unwrap();
    let disable = PersonChange { is_disabled: Some(true), ..PersonChange::default() };
    store.update_person(WORKSPACE, eve.id, &disable, &operator_mutation()).await.unwrap().wait_for(&NoCache).await;
    assert_eq!(store.find_mail_recipient(WORKSPACE, eve.id).await.unwrap(), None);
    for email in ["ada@example.com", "eve@example.com", "unknown@example.com"] {
        let result = store.insert_reset_link(&EmailKey::from_text(email), &new_link(), &context()).await.unwrap();
        assert_eq!(result, ResetRecipient::None, "{email}");
    }
}
