//! Authorization at the moment of the commit: a right that was taken away before a request is committed does not act any more.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokenward::{
    domain::{
        event::Action,
        session::SessionValue,
        setting::{Key, Value as Setting},
        token::{Description, Lifetime},
    },
    service::{
        Actor, Refusal,
        people::{Add, By, Change},
        sign_in::Via,
        tokens::Once,
    },
    store::{EventFilter, EventStart},
};
use tokenward_guard::{Verify as _, token_format::BearerToken};
use tokio::sync::Notify;

use crate::support::{Bearer, Engine, PASSWORD, Person, TestApp};

on_both!(
    a_disabled_administrator_stays_disabled,
    a_demoted_administrator_stays_demoted,
    nobody_is_added_after_the_administrator_was_removed,
    a_deleted_token_changes_nothing_more,
    a_caller_who_lost_the_right_writes_nothing,
);

/// A second node where there can be one, else the same.
async fn other_node(app: &TestApp) -> Option<TestApp> {
    match app.database.engine {
        Engine::Postgres => Some(TestApp::with(app.database.for_another_node(), |_| ()).await),
        Engine::Sqlite => None,
    }
}

/// The same token, presented to another node.
fn at(app: &TestApp, token: &Bearer) -> Bearer {
    let client = app.presenting(&[&format!("Bearer {}", token.value)]);
    Bearer::new(client, &token.value, &token.token_id)
}

/// Sends the same change again and again over so many connections, until each is refused. Notifies when all of them are under way.
async fn insist(token: Bearer, path: String, body: Value, connections: usize, under_way: Arc<Notify>) {
    let begun = AtomicUsize::new(0);
    join_all((0..connections).map(|_| async {
        let mut is_first = true;
        loop {
            let status = token.patch(&path, &body).await.status;
            if std::mem::take(&mut is_first) && begun.fetch_add(1, Ordering::SeqCst) + 1 == connections {
                under_way.notify_one();
            }
            match status {
                200 => {}
                401 | 403 => return,
                other => panic!("{other}"),
            }
        }
    }))
    .await;
}

/// Plays one administrator who insists on being one against another who decides otherwise.
async fn against(app: &TestApp, decision: Value, is_kept: impl Fn(&Value) -> bool) {
    let second = other_node(app).await;
    for connections in [1, 4, 24] {
        let eve = app.admin().add(&format!("eve{connections}"), true).await;
        let token = eve.bearer().await;
        let token = second.as_ref().map_or_else(|| token.clone(), |node| at(node, &token));
        let path = format!("/v4/people/{}", eve.id);
        let under_way = Arc::new(Notify::new());
        let body = json!({"isAdmin": true, "isDisabled": false});
        let insisting = insist(token, path.clone(), body, connections, Arc::clone(&under_way));
        let deciding = async {
            under_way.notified().await;
            app.admin().change(eve.id, decision.clone()).await.expect(200);
        };
        tokio::join!(insisting, deciding);
        let found = app.admin().get(&path).await.expect(200);
        assert!(is_kept(&found.json), "{connections} connections: {}", found.json);
    }
}

async fn a_disabled_administrator_stays_disabled(app: TestApp) {
    against(&app, json!({"isDisabled": true}), |person| person["isDisabled"] == true).await;
}

async fn a_demoted_administrator_stays_demoted(app: TestApp) {
    against(&app, json!({"isAdmin": false}), |person| person["isAdmin"] == false).await;
}

/// What the audit log holds, oldest first: action, actor, target, token.
async fn events(app: &TestApp) -> Vec<(Action, Option<i64>, String, Option<String>)> {
    let filter = EventFilter { workspace_id: 1, ..EventFilter::default() };
    let mut events = app.store.list_events(&filter, EventStart::default(), 1_000).await.unwrap();
    events.reverse();
    events
        .into_iter()
        .map(|event| (event.action, event.act.person_id, event.target, event.act.token_id.map(|id| id.to_string())))
        .collect()
}

async fn nobody_is_added_after_the_administrator_was_removed(app: TestApp) {
    let second = other_node(&app).await;
    let eve = app.admin().add("eve", true).await;
    let token = eve.bearer().await;
    let token = second.as_ref().map_or_else(|| token.clone(), |node| at(node, &token));
    let first = Notify::new();
    let adding = join_all((0..60).map(|n| {
        let (token, first) = (&token, &first);
        async move {
            let email = format!("late{n}@example.com");
            let body = json!({"email": email, "name": "Late", "password": PASSWORD, "isAdmin": true});
            let status = token.post("/v4/people", &body).await.status;
            assert!(matches!(status, 201 | 401), "{status}");
            first.notify_one();
        }
    }));
    let removing = async {
        first.notified().await;
        app.admin().delete(&format!("/v4/people/{}", eve.id)).await.expect(204);
    };
    tokio::join!(adding, removing);
    let events = events(&app).await;
    let removed = events
        .iter()
        .position(|(action, _, target, _)| *action == Action::PersonRemoved && *target == eve.id.to_string());
    let late = events[removed.unwrap()..].iter().filter(|(_, actor, ..)| *actor == Some(eve.id)).count();
    assert_eq!(late, 0, "{events:?}");
}

async fn a_deleted_token_changes_nothing_more(app: TestApp) {
    let second = other_node(&app).await;
    let token = app.admin().bearer().await;
    let elsewhere = second.as_ref().map_or_else(|| token.clone(), |node| at(node, &token));
    let under_way = Arc::new(Notify::new());
    let body = json!({"configuration": [{"key": "feature.apiAccessTokens.maxLifetimeDays", "value": 30}]});
    let path = "/v4/workspaces/current/configuration".to_owned();
    let insisting = insist(elsewhere, path, body, 24, Arc::clone(&under_way));
    let deleting = async {
        under_way.notified().await;
        app.admin().delete(&token.path()).await.expect(204);
    };
    tokio::join!(insisting, deleting);
    let events = events(&app).await;
    let deleted = events
        .iter()
        .position(|(action, _, target, _)| *action == Action::TokenDeleted && *target == token.token_id)
        .unwrap();
    let late = events[deleted + 1..].iter().filter(|(.., by)| by.as_ref() == Some(&token.token_id)).count();
    assert_eq!(late, 0, "{events:?}");
}

/// An administrator as the service knew them before something was taken away: by token, by password and by web session.
async fn actors(app: &TestApp, person: &Person) -> [Actor; 3] {
    let token = person.bearer().await;
    let presented = BearerToken::parse(&token.value).unwrap();
    let principal = app.app.tokens().verify(presented).await.unwrap();
    let proof = app.app.sign_in().by_password(&person.email, PASSWORD, Via::Request).await.unwrap();
    let visitor = app.signed_in(&person.email).await;
    let cookie = visitor.cookie().unwrap();
    let value = SessionValue::parse(cookie.split_once('=').unwrap().1).unwrap();
    let visit = app.app.sessions().find(&value).await.unwrap().unwrap();
    [Actor::of(principal, None).unwrap(), Actor::of(proof.principal.clone(), Some(&proof)).unwrap(), visit.actor()]
}

/// Tries every mutation of the services; gives what each said.
async fn mutate(app: &TestApp, actor: &Actor, victim: &Person, token: uuid::Uuid) -> Vec<(&'static str, Refusal)> {
    let services = &app.app;
    let by = By::Person(actor);
    let add = || Add {
        email: "late@example.com",
        name: "Late",
        password: PASSWORD,
        is_admin: true,
        is_platform_admin: false,
        force_password_change: false,
    };
    let change = Change { name: Some("changed"), ..Change::default() };
    let setting = [(Key::AllowUsers, Setting::Switch(true))];
    let keys = [Key::AllowUsers.as_str().to_owned()];
    let person = app.store.find_person(1, victim.id).await.unwrap().unwrap();
    let mut said: Vec<(&'static str, Option<Refusal>)> = Vec::new();
    said.push(("add", services.people().add(by, 1, add()).await.err()));
    said.push(("change", services.people().change(by, 1, victim.id, &change).await.err()));
    said.push(("remove", services.people().remove(actor, victim.id).await.err()));
    said.push(("set", services.workspaces().set(actor, 1, &setting).await.err()));
    said.push(("reset", services.workspaces().reset(actor, 1, &keys).await.err()));
    said.push(("create", services.workspaces().create(by, "Late", add()).await.err()));
    said.push(("rename", services.workspaces().rename(by, 1, "Late").await.err()));
    said.push(("delete", services.tokens().delete(actor, token).await.err()));
    said.push(("delete_family", services.tokens().delete_family(actor, token).await.err()));
    said.push(("delete_all", services.tokens().delete_all(actor, victim.id).await.err()));
    said.push(("end_all_of", services.sessions().end_all_of(actor, &person).await.err()));
    let issued = services.tokens().issue(actor, Lifetime::Seconds(60), Description::default(), Once::Never).await;
    said.push(("issue", issued.err()));
    said.push(("delete_all own", services.tokens().delete_all(actor, actor.person_id).await.err()));
    said.push(("end_others", services.sessions().end_others(actor, uuid::Uuid::nil()).await.err()));
    said.into_iter().map(|(name, refusal)| (name, refusal.unwrap_or_else(|| panic!("{name} was done")))).collect()
}

/// How many events there are, and what the state that mutations would change looks like.
async fn state(app: &TestApp, victim: &Person) -> (usize, String) {
    let admin = app.admin();
    let people = admin.get("/v4/people?limit=1000").await.expect(200).text;
    let tokens = admin.get(&format!("/v4/apiAccessTokens?personId={}", victim.id)).await.expect(200).text;
    let settings = admin.get("/v4/workspaces/current/configuration").await.expect(200).text;
    let sessions = app.store.list_sessions(1, victim.id).await.unwrap().len();
    let told = events(app).await;
    let count = told.iter().filter(|(action, ..)| *action != Action::PasswordAccepted).count();
    (count, format!("{people}{tokens}{settings}{sessions}"))
}

async fn a_caller_who_lost_the_right_writes_nothing(app: TestApp) {
    let admin = app.admin();
    let victim = app.admin().add("victim", true).await;
    let token: uuid::Uuid = victim.bearer().await.token_id.parse().unwrap();
    app.signed_in(&victim.email).await;
    for (n, loss) in [json!({"isDisabled": true}), json!(null)].into_iter().enumerate() {
        let eve = admin.add(&format!("eve{n}"), true).await;
        // A platform administrator, so that the mutations of workspaces get as far as the store, too.
        let stale = actors(&app, &eve).await;
        match loss {
            Value::Null => admin.delete(&format!("/v4/people/{}", eve.id)).await.expect(204),
            change => admin.change(eve.id, change).await.expect(200),
        };
        let before = state(&app, &victim).await;
        for actor in &stale {
            for (name, refusal) in mutate(&app, actor, &victim, token).await {
                assert!(matches!(refusal, Refusal::CallerGone), "{name}: {refusal:?}");
            }
        }
        assert_eq!(state(&app, &victim).await, before);
    }
    let lost_by_one: [(&str, usize); 3] = [("token", 0), ("password", 1), ("session", 2)];
    for (what, which) in lost_by_one {
        let eve = admin.add(what, true).await;
        let stale = actors(&app, &eve).await;
        match what {
            "token" => admin.delete(&format!("/v4/apiAccessTokens?personId={}", eve.id)).await.expect(204),
            "password" => {
                let new = "another horse battery staple";
                eve.change(eve.id, json!({"password": new, "password2": new})).await.expect(200)
            }
            _ => {
                app.store.end_sessions(1, eve.id, None, &by_the_test()).await.unwrap();
                admin.get("/v4/people/current").await
            }
        };
        let before = state(&app, &victim).await;
        for (name, refusal) in mutate(&app, &stale[which], &victim, token).await {
            assert!(matches!(refusal, Refusal::CallerGone), "{what}, {name}: {refusal:?}");
        }
        assert_eq!(state(&app, &victim).await, before, "{what}");
    }
    a_demoted_one_keeps_what_any_person_may(&app, &victim, token).await;
}

fn by_the_test() -> tokenward::domain::authority::Mutation {
    let now = tokenward::domain::time::Timestamp::from_millis(1_767_225_600_000);
    tokenward::domain::authority::Mutation::without_caller(tokenward::domain::event::Act::of_operator(now))
}

async fn a_demoted_one_keeps_what_any_person_may(app: &TestApp, victim: &Person, token: uuid::Uuid) {
    let eve = app.admin().add("demoted", true).await;
    let stale = actors(app, &eve).await;
    let own: uuid::Uuid = eve.bearer().await.token_id.parse().unwrap();
    app.admin().change(eve.id, json!({"isAdmin": false})).await.expect(200);
    let before = state(app, victim).await;
    // The session has ended with the role.
    for actor in &stale[..2] {
        let person = app.store.find_person(1, victim.id).await.unwrap().unwrap();
        let services = &app.app;
        let refusals = [
            services.workspaces().set(actor, 1, &[(Key::AllowUsers, Setting::Switch(true))]).await.err(),
            services.people().remove(actor, victim.id).await.err(),
            services
                .people()
                .change(By::Person(actor), 1, eve.id, &Change { is_admin: Some(true), ..Change::default() })
                .await
                .err(),
            services.tokens().delete_all(actor, victim.id).await.err(),
            services.sessions().end_all_of(actor, &person).await.err(),
        ];
        for refusal in refusals {
            assert!(matches!(refusal, Some(Refusal::NotAdministrator)), "{refusal:?}");
        }
        let others = services.tokens().delete(actor, token).await;
        assert!(matches!(others, Err(Refusal::TokenNotFound)), "{others:?}");
        let rename = services.workspaces().rename(By::Person(actor), 1, "Late").await;
        assert!(matches!(rename, Err(Refusal::NotPlatformAdministrator)), "{rename:?}");
    }
    assert_eq!(state(app, victim).await, before);
    app.app.tokens().delete(&stale[1], own).await.unwrap();
    let gone = app.app.sessions().end_others(&stale[2], uuid::Uuid::nil()).await;
    assert!(matches!(gone, Err(Refusal::CallerGone)), "{gone:?}");
}
