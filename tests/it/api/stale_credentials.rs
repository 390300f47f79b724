//! Authorization at commit time: a change is not committed once its caller has lost the right to
//! it.

use rstest::rstest;
use rstest_reuse::apply;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokenward::{
    domain::{
        event::{Action, RequestContext},
        id::{PersonId, WorkspaceId},
        session::SessionValue,
        setting::{SettingKey, SettingValue as Setting},
        token::Lifetime,
    },
    service::{
        Actor, Error,
        people::{ActorKind, CreatePerson, UpdatePerson},
        sign_in::LoginChannel,
        tokens::{Idempotency, TokenRequest},
    },
    store::{EventFilter, EventPageStart},
};
use tokenward_guard::token_format::BearerToken;
use tokio::sync::Notify;

use crate::support::{Engine, PASSWORD, PersonClient, TestApp, TokenClient, both_databases};

/// Starts a second node on PostgreSQL. On SQLite there is only one.
async fn start_second_node(app: &TestApp) -> Option<TestApp> {
    match app.database.engine {
        Engine::Postgres => Some(TestApp::start_with(app.database.for_another_node(), |_| ()).await),
        Engine::Sqlite => None,
    }
}

/// Returns a client that presents the token to another node.
fn on_node(app: &TestApp, token: &TokenClient) -> TokenClient {
    let client = app.client_with_authorization(&[&format!("Bearer {}", token.value)]);
    TokenClient::new(client, &token.value, &token.token_id)
}

/// Sends the same update repeatedly over several connections until each is rejected. Notifies
/// `under_way` after every connection has sent one.
async fn repeat_until_rejected(
    token: TokenClient,
    path: String,
    body: Value,
    connections: usize,
    under_way: Arc<Notify>,
) {
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

/// Runs an administrator who keeps restoring their rights against another one who removes them.
async fn race_against_decision(app: &TestApp, decision: Value, is_kept: impl Fn(&Value) -> bool) {
    let second = start_second_node(app).await;
    for connections in [1, 4, 24] {
        let eve = app.admin().add_person(&format!("eve{connections}"), true).await;
        let token = eve.create_token().await;
        let token = second.as_ref().map_or_else(|| token.clone(), |node| on_node(node, &token));
        let path = format!("/v4/people/{}", eve.id);
        let under_way = Arc::new(Notify::new());
        let body = json!({"isAdmin": true, "isDisabled": false});
        let updating = repeat_until_rejected(token, path.clone(), body, connections, Arc::clone(&under_way));
        let revoking = async {
            under_way.notified().await;
            app.admin().update_person(eve.id, decision.clone()).await.expect(200);
        };
        tokio::join!(updating, revoking);
        let found = app.admin().get(&path).await.expect(200);
        assert!(is_kept(&found.json), "{connections} connections: {}", found.json);
    }
}

#[apply(both_databases)]
async fn a_disabled_administrator_stays_disabled(engine: Engine) {
    let app = TestApp::start(engine).await;
    race_against_decision(&app, json!({"isDisabled": true}), |person| person["isDisabled"] == true).await;
}

#[apply(both_databases)]
async fn a_demoted_administrator_stays_demoted(engine: Engine) {
    let app = TestApp::start(engine).await;
    race_against_decision(&app, json!({"isAdmin": false}), |person| person["isAdmin"] == false).await;
}

/// Returns the events, oldest first: action, actor, target and token.
async fn list_events(app: &TestApp) -> Vec<(Action, Option<PersonId>, String, Option<String>)> {
    let filter = EventFilter::all(WorkspaceId::FIRST);
    let mut events = app.store.list_events(&filter, EventPageStart::default(), 1_000).await.unwrap();
    events.reverse();
    events
        .into_iter()
        .map(|event| {
            (event.action, event.context.actor_id, event.target, event.context.token_id.map(|id| id.to_string()))
        })
        .collect()
}

#[apply(both_databases)]
async fn a_deleted_administrator_adds_no_more_people(engine: Engine) {
    let app = TestApp::start(engine).await;
    let second = start_second_node(&app).await;
    let eve = app.admin().add_person("eve", true).await;
    let token = eve.create_token().await;
    let token = second.as_ref().map_or_else(|| token.clone(), |node| on_node(node, &token));
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
    let events = list_events(&app).await;
    let removed = events
        .iter()
        .position(|(action, _, target, _)| *action == Action::PersonRemoved && *target == eve.id.to_string());
    let late = events[removed.unwrap()..].iter().filter(|(_, actor, ..)| *actor == Some(PersonId::new(eve.id))).count();
    assert_eq!(late, 0, "{events:?}");
}

#[apply(both_databases)]
async fn a_deleted_token_makes_no_more_changes(engine: Engine) {
    let app = TestApp::start(engine).await;
    let second = start_second_node(&app).await;
    let token = app.admin().create_token().await;
    let elsewhere = second.as_ref().map_or_else(|| token.clone(), |node| on_node(node, &token));
    let under_way = Arc::new(Notify::new());
    let body = json!({"configuration": [{"key": "feature.apiAccessTokens.maxLifetimeDays", "value": 30}]});
    let path = "/v4/workspaces/current/configuration".to_owned();
    let updating = repeat_until_rejected(elsewhere, path, body, 24, Arc::clone(&under_way));
    let deleting = async {
        under_way.notified().await;
        app.admin().delete(&token.token_path()).await.expect(204);
    };
    tokio::join!(updating, deleting);
    let events = list_events(&app).await;
    let deleted = events
        .iter()
        .position(|(action, _, target, _)| *action == Action::TokenDeleted && *target == token.token_id)
        .unwrap();
    let late = events[deleted + 1..].iter().filter(|(.., by)| by.as_ref() == Some(&token.token_id)).count();
    assert_eq!(late, 0, "{events:?}");
}

/// Returns actors of a person as authenticated before the change under test: by token, by password
/// and by web session.
async fn actors_of(app: &TestApp, person: &PersonClient) -> [Actor; 3] {
    let token = person.create_token().await;
    let presented = BearerToken::parse(&token.value).unwrap();
    let context = RequestContext::default();
    let principal = app.state.tokens().validate(presented, &context).await.unwrap().into_principal();
    let sign_in = app.state.sign_in();
    let login = sign_in.authenticate(&person.email, PASSWORD, LoginChannel::Request, &context).await.unwrap();
    let browser = app.signed_in_browser(&person.email).await;
    let cookie = browser.session_cookie().unwrap();
    let value = SessionValue::parse(cookie.split_once('=').unwrap().1).unwrap();
    let visit = app.state.sessions().find(&value, None).await.unwrap().unwrap();
    [
        Actor::from_principal(principal, None, context.clone()).unwrap(),
        Actor::from_principal(login.principal.clone(), Some(&login), context.clone()).unwrap(),
        visit.actor(context),
    ]
}

/// Attempts every mutation of the services, and returns the error of each.
async fn try_every_mutation(
    app: &TestApp,
    actor: &Actor,
    victim: &PersonClient,
    token: uuid::Uuid,
) -> Vec<(&'static str, Error)> {
    let services = &app.state;
    let by = ActorKind::Person(actor);
    let add = || CreatePerson {
        email: "late@example.com",
        name: "Late",
        password: PASSWORD,
        is_admin: true,
        is_platform_admin: false,
        force_password_change: false,
    };
    let change = UpdatePerson { name: Some("changed"), ..UpdatePerson::default() };
    let setting = [(SettingKey::AllowUsers, Setting::Switch(true))];
    let keys = [SettingKey::AllowUsers.as_str().to_owned()];
    let person = app.store.find_person(WorkspaceId::FIRST, PersonId::new(victim.id)).await.unwrap().unwrap();
    let mut results: Vec<(&'static str, Option<Error>)> = Vec::new();
    results.push(("add", services.people().add(by, WorkspaceId::FIRST, add()).await.err()));
    results.push((
        "change",
        services.people().update(by, WorkspaceId::FIRST, PersonId::new(victim.id), &change).await.err(),
    ));
    results.push(("remove", services.people().remove(actor, PersonId::new(victim.id)).await.err()));
    results.push(("set", services.workspaces().update_settings(actor, WorkspaceId::FIRST, &setting).await.err()));
    results.push(("reset", services.workspaces().reset_settings(actor, WorkspaceId::FIRST, &keys).await.err()));
    results.push(("create", services.workspaces().create(by, "Late", add()).await.err()));
    results.push(("rename", services.workspaces().rename(by, WorkspaceId::FIRST, "Late").await.err()));
    results.push(("delete", services.tokens().delete(actor, token).await.err()));
    results.push(("delete_family", services.tokens().delete_with_descendants(actor, token).await.err()));
    results.push(("delete_all", services.tokens().delete_all(actor, PersonId::new(victim.id)).await.err()));
    results.push(("end_all_of", services.sessions().end_all(actor, &person).await.err()));
    let issued = services.tokens().issue(actor, one_minute_token(), Idempotency::Disabled).await;
    results.push(("issue", issued.err()));
    results.push(("delete_all own", services.tokens().delete_all(actor, PersonId::of(actor)).await.err()));
    results.push(("end_others", services.sessions().end_others(actor, uuid::Uuid::nil()).await.err()));
    results.into_iter().map(|(name, error)| (name, error.unwrap_or_else(|| panic!("{name} succeeded")))).collect()
}

/// Returns the number of events and all state that mutations could change.
async fn observable_state(app: &TestApp, victim: &PersonClient) -> (usize, String) {
    let admin = app.admin();
    let people = admin.get("/v4/people?limit=1000").await.expect(200).text;
    let tokens = admin.get(&format!("/v4/apiAccessTokens?personId={}", victim.id)).await.expect(200).text;
    let settings = admin.get("/v4/workspaces/current/configuration").await.expect(200).text;
    let sessions = app.store.list_sessions(WorkspaceId::FIRST, PersonId::new(victim.id)).await.unwrap().len();
    let events = list_events(app).await;
    let count = events.iter().filter(|(action, ..)| *action != Action::LoginSucceeded).count();
    (count, format!("{people}{tokens}{settings}{sessions}"))
}

#[apply(both_databases)]
async fn stale_credentials_write_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let victim = app.admin().add_person("victim", true).await;
    let token: uuid::Uuid = victim.create_token().await.token_id.parse().unwrap();
    app.signed_in_browser(&victim.email).await;
    for (n, change) in [json!({"isDisabled": true}), json!(null)].into_iter().enumerate() {
        let eve = admin.add_person(&format!("eve{n}"), true).await;
        // The caller is no platform administrator, but the stale credential is detected before the
        // role is checked.
        let stale = actors_of(&app, &eve).await;
        match change {
            Value::Null => admin.delete(&format!("/v4/people/{}", eve.id)).await.expect(204),
            change => admin.update_person(eve.id, change).await.expect(200),
        };
        let before = observable_state(&app, &victim).await;
        for actor in &stale {
            for (name, error) in try_every_mutation(&app, actor, &victim, token).await {
                assert!(matches!(error, Error::CallerRevoked), "{name}: {error:?}");
            }
        }
        assert_eq!(observable_state(&app, &victim).await, before);
    }
    let lost_by_one: [(&str, usize); 3] = [("token", 0), ("password", 1), ("session", 2)];
    for (what, which) in lost_by_one {
        let eve = admin.add_person(what, true).await;
        let stale = actors_of(&app, &eve).await;
        match what {
            "token" => admin.delete(&format!("/v4/apiAccessTokens?personId={}", eve.id)).await.expect(204),
            "password" => {
                let new = "another horse battery staple";
                eve.update_person(eve.id, json!({"password": new, "password2": new})).await.expect(200)
            }
            _ => {
                app.store
                    .delete_sessions(WorkspaceId::FIRST, PersonId::new(eve.id), None, &operator_mutation())
                    .await
                    .unwrap();
                admin.get("/v4/people/current").await
            }
        };
        let before = observable_state(&app, &victim).await;
        for (name, error) in try_every_mutation(&app, &stale[which], &victim, token).await {
            assert!(matches!(error, Error::CallerRevoked), "{what}, {name}: {error:?}");
        }
        assert_eq!(observable_state(&app, &victim).await, before, "{what}");
    }
    assert_demoted_admin_keeps_member_rights(&app, &victim, token).await;
}

fn operator_mutation() -> tokenward::domain::authority::Mutation {
    let now = tokenward::domain::time::Timestamp::from_millis(1_767_225_600_000);
    tokenward::domain::authority::Mutation::without_caller(tokenward::domain::event::AuditContext::for_operator(now))
}

async fn assert_demoted_admin_keeps_member_rights(app: &TestApp, victim: &PersonClient, token: uuid::Uuid) {
    let eve = app.admin().add_person("demoted", true).await;
    let stale = actors_of(app, &eve).await;
    let own: uuid::Uuid = eve.create_token().await.token_id.parse().unwrap();
    app.admin().update_person(eve.id, json!({"isAdmin": false})).await.expect(200);
    let before = observable_state(app, victim).await;
    // The role change ended the session.
    for actor in &stale[..2] {
        let person = app.store.find_person(WorkspaceId::FIRST, PersonId::new(victim.id)).await.unwrap().unwrap();
        let services = &app.state;
        let errors = [
            services
                .workspaces()
                .update_settings(actor, WorkspaceId::FIRST, &[(SettingKey::AllowUsers, Setting::Switch(true))])
                .await
                .err(),
            services.people().remove(actor, PersonId::new(victim.id)).await.err(),
            services
                .people()
                .update(
                    ActorKind::Person(actor),
                    WorkspaceId::FIRST,
                    PersonId::new(eve.id),
                    &UpdatePerson { is_admin: Some(true), ..UpdatePerson::default() },
                )
                .await
                .err(),
            services.tokens().delete_all(actor, PersonId::new(victim.id)).await.err(),
            services.sessions().end_all(actor, &person).await.err(),
        ];
        for error in errors {
            assert!(matches!(error, Some(Error::NotAdministrator)), "{error:?}");
        }
        let others = services.tokens().delete(actor, token).await;
        assert!(matches!(others, Err(Error::TokenNotFound)), "{others:?}");
        let rename = services.workspaces().rename(ActorKind::Person(actor), WorkspaceId::FIRST, "Late").await;
        assert!(matches!(rename, Err(Error::NotPlatformAdministrator)), "{rename:?}");
    }
    assert_eq!(observable_state(app, victim).await, before);
    app.state.tokens().delete(&stale[1], own).await.unwrap();
    let result = app.state.sessions().end_others(&stale[2], uuid::Uuid::nil()).await;
    assert!(matches!(result, Err(Error::CallerRevoked)), "{result:?}");
}

/// Returns the request for a token that lasts a minute.
fn one_minute_token() -> TokenRequest {
    TokenRequest { lifetime: Some(Lifetime::Seconds(60)), ..TokenRequest::default() }
}
