//! Webhooks, and their outbox.

use std::time::Duration;

use futures_util::future::join_all;
use rstest::rstest;
use rstest_reuse::apply;
use tokenward::{
    domain::{
        event::{Action, AuditContext},
        id::WorkspaceId,
        random::Random,
        time::Timestamp,
        token::Lifetime,
        webhook::{
            Attempt, AttemptOutcome, Delivery, DeliveryState, EventSelection, MAX_WEBHOOKS, RETRY_SECONDS,
            SigningSecret, Webhook,
        },
    },
    store::{
        ClaimedBatch, EventFilter, EventPageStart, NewWebhook, Retry, Store, WebhookChange, WebhookContent,
        WebhookInsert, WebhookTest,
    },
};
use uuid::Uuid;

use super::{ADMIN, NOW, WORKSPACE, issue_token, operator_mutation};
use crate::support::{Engine, TestApp, both_databases, both_databases_multi_thread};

const LABEL: &str = "https://hooks.example.com";

/// Returns the label of each URL of these tests.
fn label(_: &str) -> String {
    LABEL.to_owned()
}

fn content(events: EventSelection, is_enabled: bool) -> WebhookContent {
    WebhookContent { url: format!("{LABEL}/secret-path"), label: LABEL.to_owned(), events, is_enabled }
}

fn new_webhook(events: EventSelection, is_enabled: bool) -> NewWebhook {
    let random = Random::system();
    NewWebhook {
        id: Uuid::from_bytes(random.bytes()),
        workspace_id: WORKSPACE,
        content: content(events, is_enabled),
        secret: SigningSecret::generate(&random),
    }
}

async fn insert(store: &Store, events: EventSelection, is_enabled: bool) -> Webhook {
    match store.insert_webhook(&new_webhook(events, is_enabled), &operator_mutation()).await.unwrap() {
        WebhookInsert::Created(webhook) => webhook,
        other => panic!("{other:?}"),
    }
}

/// Returns a webhook that receives the creation of tokens, with one event of it in the outbox.
async fn webhook_with_event(store: &Store) -> Webhook {
    let webhook = insert(store, EventSelection::Only(vec![Action::TokenCreated]), true).await;
    issue_token(store, ADMIN, Lifetime::Forever, NOW).await;
    webhook
}

async fn deliveries(store: &Store, webhook: &Webhook) -> Vec<Delivery> {
    store.list_webhook_deliveries(WORKSPACE, webhook.id, i64::MAX, 100).await.unwrap()
}

async fn actions(store: &Store, webhook: &Webhook) -> Vec<String> {
    deliveries(store, webhook).await.into_iter().filter_map(|delivery| delivery.action).collect()
}

/// Claims up to 8 deliveries for a minute.
async fn claim(store: &Store, webhook: &Webhook, now: Timestamp) -> Option<ClaimedBatch> {
    store.claim_webhook_deliveries(webhook.id, now, now.plus_seconds(60), 8).await.unwrap()
}

/// Records an attempt. A failed one pauses the delivery and the webhook for ten seconds.
async fn finish(store: &Store, webhook: &Webhook, delivery_id: i64, outcome: AttemptOutcome, at: Timestamp) -> bool {
    let status = (outcome == AttemptOutcome::Rejected).then_some(500);
    let attempt = Attempt { began_at: at, duration: Duration::from_millis(7), outcome, status };
    let retry = Retry { delivery_at: Some(at.plus_seconds(10)), webhook_at: at.plus_seconds(10) };
    let context = AuditContext::for_system(at);
    store.finish_webhook_delivery((webhook.id, LABEL), delivery_id, &attempt, retry, &context).await.unwrap()
}

async fn due(store: &Store, now: Timestamp) -> Vec<(Uuid, bool)> {
    let due = store.list_due_webhooks(now, 100).await.unwrap();
    due.into_iter().map(|webhook| (webhook.id, webhook.is_failing)).collect()
}

#[apply(both_databases)]
async fn each_enabled_webhook_gets_the_events_that_it_selects(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let all = insert(store, EventSelection::All, true).await;
    let created = insert(store, EventSelection::Only(vec![Action::TokenCreated, Action::TokenLeaked]), true).await;
    let other = insert(store, EventSelection::Only(vec![Action::TokensDeleted]), true).await;
    let disabled = insert(store, EventSelection::All, false).await;
    issue_token(store, ADMIN, Lifetime::Forever, NOW).await;
    let new = "webhook.created";
    assert_eq!(actions(store, &all).await, ["token.created", new, new, new, new]);
    assert_eq!(actions(store, &created).await, ["token.created"]);
    assert!(actions(store, &other).await.is_empty() && actions(store, &disabled).await.is_empty());
    let [delivery] = &deliveries(store, &created).await[..] else { panic!("one delivery") };
    let events = store.list_events(&EventFilter::all(WORKSPACE), EventPageStart::default(), 1).await.unwrap();
    assert_eq!((delivery.event_id, delivery.state), (Some(events[0].id), DeliveryState::Pending));
    assert_eq!(store.find_event(WORKSPACE, events[0].seq.unwrap()).await.unwrap().as_ref(), Some(&events[0]));
    assert_eq!(store.find_event(WORKSPACE, 1_000).await.unwrap(), None);
    // The events of other workspaces do not arrive.
    let elsewhere = store.list_webhook_deliveries(WorkspaceId::new(2), all.id, i64::MAX, 10).await.unwrap();
    assert!(elsewhere.is_empty());
    assert_eq!(store.list_webhook_deliveries(WORKSPACE, all.id, i64::MAX, 2).await.unwrap().len(), 2);
}

#[apply(both_databases)]
async fn an_event_that_is_rolled_back_is_not_sent(engine: Engine) {
    let app = TestApp::start(engine).await;
    let webhook = insert(&app.store, EventSelection::All, true).await;
    let before = deliveries(&app.store, &webhook).await.len();
    let unknown = Uuid::from_bytes([7; 16]);
    let (change, mutation) = (WebhookChange::default(), operator_mutation());
    let changed = app.store.update_webhook(WORKSPACE, unknown, &change, label, &mutation);
    assert_eq!(changed.await.unwrap(), None);
    assert!(!app.store.delete_webhook(WORKSPACE, unknown, LABEL, &operator_mutation()).await.unwrap());
    assert_eq!(deliveries(&app.store, &webhook).await.len(), before);
}

#[apply(both_databases)]
async fn webhooks_are_changed_and_deleted_with_events(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let webhook = insert(store, EventSelection::All, true).await;
    assert_eq!(store.list_webhooks(WORKSPACE).await.unwrap(), std::slice::from_ref(&webhook));
    assert_eq!(store.find_webhook(WORKSPACE, webhook.id).await.unwrap(), Some(webhook.clone()));
    assert_eq!(store.find_webhook(WorkspaceId::new(2), webhook.id).await.unwrap(), None);
    let leaked = EventSelection::Only(vec![Action::TokenLeaked]);
    // Each change keeps what it does not name, so concurrent ones do not undo each other.
    let mut changed = webhook.clone();
    for change in [
        WebhookChange { events: Some(leaked.clone()), ..WebhookChange::default() },
        WebhookChange { is_enabled: Some(false), ..WebhookChange::default() },
    ] {
        let mutation = operator_mutation();
        changed = store.update_webhook(WORKSPACE, webhook.id, &change, label, &mutation).await.unwrap().unwrap();
    }
    assert_eq!((changed.is_enabled, changed.events, changed.url), (false, leaked, webhook.url.clone()));
    assert!(store.delete_webhook(WORKSPACE, webhook.id, LABEL, &operator_mutation()).await.unwrap());
    assert!(!store.delete_webhook(WORKSPACE, webhook.id, LABEL, &operator_mutation()).await.unwrap());
    let events = store.list_events(&EventFilter::all(WORKSPACE), EventPageStart::default(), 4).await.unwrap();
    let recorded: Vec<_> = events.iter().map(|event| (event.action, event.label.as_str())).collect();
    let expected = [Action::WebhookDeleted, Action::WebhookChanged, Action::WebhookChanged, Action::WebhookCreated];
    assert_eq!(recorded, expected.map(|action| (action, LABEL)));
    assert!(events.iter().all(|event| event.target == webhook.id.to_string()));
}

#[apply(both_databases)]
async fn a_workspace_has_a_maximum_number_of_webhooks(engine: Engine) {
    let app = TestApp::start(engine).await;
    let inserts = (0..MAX_WEBHOOKS + 3).map(|_| {
        let store = app.store.clone();
        async move { store.insert_webhook(&new_webhook(EventSelection::All, true), &operator_mutation()).await.unwrap() }
    });
    let outcomes = join_all(inserts).await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == WebhookInsert::TooMany).count(), 3);
    let mut elsewhere = new_webhook(EventSelection::All, true);
    elsewhere.workspace_id = WorkspaceId::new(99);
    let outcome = app.store.insert_webhook(&elsewhere, &operator_mutation()).await.unwrap();
    assert_eq!(outcome, WebhookInsert::WorkspaceNotFound);
}

#[apply(both_databases)]
async fn a_test_event_reaches_only_the_webhook_that_it_names(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let selects_nothing_of_it = insert(store, EventSelection::Only(vec![Action::TokenLeaked]), true).await;
    let other = insert(store, EventSelection::Only(vec![Action::WebhookTested]), true).await;
    let test = async |id| store.test_webhook(WORKSPACE, id, LABEL, &operator_mutation()).await.unwrap();
    assert_eq!(test(selects_nothing_of_it.id).await, WebhookTest::Queued);
    assert_eq!(actions(store, &selects_nothing_of_it).await, ["webhook.tested"]);
    assert!(actions(store, &other).await.is_empty());
    assert_eq!(test(Uuid::from_bytes([7; 16])).await, WebhookTest::NotFound);
    let disabled = insert(store, EventSelection::All, false).await;
    assert_eq!(test(disabled.id).await, WebhookTest::Disabled);
}

#[apply(both_databases_multi_thread)]
async fn a_delivery_is_claimed_by_one_node_until_its_lease_ends(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let webhook = webhook_with_event(store).await;
    assert_eq!(due(store, NOW).await, [(webhook.id, false)]);
    let claims = join_all((0..6).map(|_| claim(store, &webhook, NOW))).await;
    let [batch] = &claims.into_iter().flatten().collect::<Vec<_>>()[..] else { panic!("one node claims it") };
    assert_eq!((batch.url.as_str(), batch.deliveries.len()), ("https://hooks.example.com/secret-path", 1));
    assert_eq!(batch.deliveries[0].event.as_ref().unwrap().action, Action::TokenCreated);
    assert_eq!(batch.deliveries[0].retry_until, NOW.plus_seconds(RETRY_SECONDS));
    assert!(!format!("{batch:?}").contains("secret-path"), "{batch:?}");
    assert!(due(store, NOW.plus_seconds(59)).await.is_empty());
    assert!(claim(store, &webhook, NOW.plus_seconds(59)).await.is_none());
    // The node has crashed.
    let again = claim(store, &webhook, NOW.plus_seconds(60)).await.unwrap();
    assert_eq!(again.deliveries[0].id, batch.deliveries[0].id);
    assert!(!finish(store, &webhook, again.deliveries[0].id, AttemptOutcome::Succeeded, NOW.plus_seconds(61)).await);
    // The first node was only slow. Its failure does not repeat the delivery.
    assert!(!finish(store, &webhook, again.deliveries[0].id, AttemptOutcome::TimedOut, NOW.plus_seconds(62)).await);
    let [delivery] = &deliveries(store, &webhook).await[..] else { panic!("one delivery") };
    assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Succeeded, 2));
    assert_eq!((delivery.duration_millis, delivery.outcome), (Some(7), Some(AttemptOutcome::Succeeded)));
    assert_eq!((delivery.response_status, delivery.next_attempt_at), (None, None));
}

#[apply(both_databases)]
async fn a_failing_webhook_pauses_and_is_disabled_after_three_days(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let webhook = webhook_with_event(store).await;
    let id = claim(store, &webhook, NOW).await.unwrap().deliveries[0].id;
    assert!(!finish(store, &webhook, id, AttemptOutcome::Rejected, NOW).await);
    let [delivery] = &deliveries(store, &webhook).await[..] else { panic!("one delivery") };
    assert_eq!((delivery.state, delivery.response_status), (DeliveryState::Pending, Some(500)));
    assert_eq!(delivery.next_attempt_at, Some(NOW.plus_seconds(10)));
    // New events wait as well.
    issue_token(store, ADMIN, Lifetime::Forever, NOW).await;
    assert!(due(store, NOW.plus_seconds(9)).await.is_empty());
    assert!(claim(store, &webhook, NOW.plus_seconds(9)).await.is_none());
    let later = NOW.plus_seconds(10);
    assert_eq!(due(store, later).await, [(webhook.id, true)]);
    assert_eq!(
        store.test_webhook(WORKSPACE, webhook.id, LABEL, &operator_mutation()).await.unwrap(),
        WebhookTest::Queued
    );
    assert_eq!(due(store, NOW.plus_seconds(1)).await, [(webhook.id, true)], "a test ends the pause");
    let batch = claim(store, &webhook, later).await.unwrap();
    assert_eq!((batch.deliveries.len(), batch.failing_since), (3, Some(NOW)));
    let last = NOW.plus_seconds(RETRY_SECONDS);
    assert!(!finish(store, &webhook, id, AttemptOutcome::ConnectionFailed, last.plus_seconds(-1)).await);
    assert!(finish(store, &webhook, id, AttemptOutcome::ConnectionFailed, last).await);
    assert!(!finish(store, &webhook, id, AttemptOutcome::ConnectionFailed, last).await, "disabled once");
    let found = store.find_webhook(WORKSPACE, webhook.id).await.unwrap().unwrap();
    assert!(!found.is_enabled && due(store, last.plus_seconds(100)).await.is_empty());
    let events = store.list_events(&EventFilter::all(WORKSPACE), EventPageStart::default(), 1).await.unwrap();
    assert_eq!((events[0].action, events[0].label.as_str()), (Action::WebhookDisabled, LABEL));
    assert!(deliveries(store, &webhook).await.iter().all(|delivery| delivery.next_attempt_at.is_none()));
    // What waited is sent when it is enabled again.
    let enabled = WebhookChange { is_enabled: Some(true), ..WebhookChange::default() };
    store.update_webhook(WORKSPACE, webhook.id, &enabled, label, &super::mutation_at(last)).await.unwrap().unwrap();
    let batch = claim(store, &webhook, last.plus_seconds(100)).await.unwrap();
    assert_eq!((batch.failing_since, batch.enabled_at), (None, last));
}

/// Only another URL and enabling it again give a webhook more time.
#[apply(both_databases)]
async fn a_change_of_other_fields_does_not_extend_the_three_days(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let webhook = webhook_with_event(store).await;
    let id = claim(store, &webhook, NOW).await.unwrap().deliveries[0].id;
    finish(store, &webhook, id, AttemptOutcome::Rejected, NOW).await;
    let later = NOW.plus_seconds(60);
    let change = async |change: WebhookChange| {
        store.update_webhook(WORKSPACE, webhook.id, &change, label, &super::mutation_at(later)).await.unwrap().unwrap()
    };
    for (what, same) in [
        ("nothing", WebhookChange::default()),
        ("events", WebhookChange { events: Some(EventSelection::All), ..WebhookChange::default() }),
        ("already enabled", WebhookChange { is_enabled: Some(true), ..WebhookChange::default() }),
        ("the same URL", WebhookChange { url: Some(webhook.url.clone()), ..WebhookChange::default() }),
    ] {
        let changed = change(same).await;
        assert_eq!((changed.failing_since, changed.updated_at), (Some(NOW), later), "{what}");
    }
    let batch = claim(store, &webhook, later.plus_seconds(60)).await.unwrap();
    assert_eq!((batch.failing_since, batch.enabled_at), (Some(NOW), webhook.created_at));
    let disabled = change(WebhookChange { is_enabled: Some(false), ..WebhookChange::default() }).await;
    assert_eq!(disabled.failing_since, Some(NOW));
    let enabled = change(WebhookChange { is_enabled: Some(true), ..WebhookChange::default() }).await;
    assert_eq!(enabled.failing_since, None);
    finish(store, &webhook, id, AttemptOutcome::Rejected, later).await;
    let url = Some("https://hooks.example.org/".to_owned());
    assert_eq!(change(WebhookChange { url, ..WebhookChange::default() }).await.failing_since, None);
}

#[apply(both_databases)]
async fn a_success_ends_the_count_of_the_three_days(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let webhook = webhook_with_event(store).await;
    issue_token(store, ADMIN, Lifetime::Forever, NOW).await;
    let batch = claim(store, &webhook, NOW).await.unwrap();
    let [first, second] = &batch.deliveries[..] else { panic!("two deliveries") };
    finish(store, &webhook, first.id, AttemptOutcome::TimedOut, NOW).await;
    finish(store, &webhook, second.id, AttemptOutcome::Succeeded, NOW).await;
    assert_eq!(store.find_webhook(WORKSPACE, webhook.id).await.unwrap().unwrap().failing_since, None);
    let end = NOW.plus_seconds(RETRY_SECONDS);
    assert!(!finish(store, &webhook, first.id, AttemptOutcome::TimedOut, end).await);
    // A purged event is not a failure of the receiver.
    assert!(!finish(store, &webhook, first.id, AttemptOutcome::EventPurged, end.plus_seconds(RETRY_SECONDS)).await);
}

#[apply(both_databases)]
async fn old_deliveries_are_purged_in_batches(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let webhook = webhook_with_event(store).await;
    issue_token(store, ADMIN, Lifetime::Forever, NOW).await;
    assert_eq!(store.purge_webhook_deliveries(NOW, 10).await.unwrap(), 0);
    assert_eq!(store.purge_webhook_deliveries(NOW.plus_seconds(1), 1).await.unwrap(), 1);
    assert_eq!(store.purge_webhook_deliveries(NOW.plus_seconds(1), 10).await.unwrap(), 1);
    assert!(deliveries(store, &webhook).await.is_empty());
}

/// A node of a newer version sends the event when the claim has ended.
#[apply(both_databases)]
async fn an_event_of_a_newer_program_stays_in_the_outbox(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    let webhook = insert(&app.store, EventSelection::All, true).await;
    app.execute_sql("update event set action = 'newer.action'").await;
    let (now, until) = (NOW.plus_seconds(1), NOW.plus_seconds(60));
    let claimed = app.store.claim_webhook_deliveries(webhook.id, now, until, 10).await.unwrap();
    assert!(claimed.is_none_or(|batch| batch.deliveries.is_empty()));
    let after = app.store.claim_webhook_deliveries(webhook.id, until, until.plus_seconds(60), 10).await.unwrap();
    assert!(after.is_some(), "the delivery is claimed again");
}
