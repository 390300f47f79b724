//! The sync: leavers, returning people, roles, and directories that answer incompletely.

use std::time::Duration;

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;
use tokenward::{
    domain::directory_sync::SyncOutcome,
    service::{
        directory_sync::SyncMode,
        people::{ActorKind, UpdatePerson},
    },
};

use super::{DirectoryApp, password_of};
use crate::support::{
    Engine, PASSWORD, both_databases,
    directory::{DirectorySetup, FakeServer, Flavor, TestDirectory, ber::tag, crowd_login, fake_server::accept},
};

#[rstest]
#[case::postgres_slapd(Engine::Postgres, Flavor::Slapd)]
#[case::sqlite_samba(Engine::Sqlite, Flavor::Samba)]
#[tokio::test]
async fn tokens_and_sessions_of_leavers_end_with_one_sync(#[case] engine: Engine, #[case] flavor: Flavor) {
    let company = DirectoryApp::start(engine, flavor).await;
    let (ada, grace) = (company.token_of("ada").await, company.token_of("grace").await);
    let browser = company.app.browser();
    browser.sign_in("grace", &password_of("grace")).await.expect(303);
    // Nothing has changed.
    let result = company.sync(SyncMode::Normal).await;
    assert_eq!((result.outcome, result.report.disabled), (SyncOutcome::Success, 0), "{result:?}");
    assert!(result.report.entries > 200);
    grace.get("/v4/people/current").await.expect(200);
    // A third person, so that the sync finds one of the linked people.
    company.directory.add_member("token-users", &crowd_login(1));
    company.token_of(&crowd_login(1)).await;
    company.directory.delete("grace");
    company.directory.disable("ada");
    let dry = company.sync(SyncMode::DryRun).await;
    assert_eq!((dry.outcome, dry.plan.disabled()), (SyncOutcome::Success, 2), "{dry:?}");
    grace.get("/v4/people/current").await.expect(200);
    let result = company.sync(SyncMode::Normal).await;
    assert_eq!((result.outcome, result.report.disabled), (SyncOutcome::Success, 2), "{result:?}");
    for token in [&ada, &grace] {
        token.get("/v4/people/current").await.expect(401);
    }
    assert_eq!(browser.get("/preferences/profile").await.status, 303);
    let person = company.person("grace@example.org").await;
    assert_eq!((person["isDisabled"].clone(), person["disabledBy"].clone()), (json!(true), json!(["directory"])));
    // The role that the directory granted is gone as well.
    assert_eq!(company.person("ada@example.org").await["isAdmin"], false);
    // An administrator cannot lift it.
    let path = format!("/v4/people/{}", person["id"]);
    let response = company.app.admin().patch(&path, &json!({"isDisabled": false})).await;
    response.expect_error(409, "ConflictException");
    // The entry comes back.
    company.directory.enable("ada");
    let result = company.sync(SyncMode::Normal).await;
    assert_eq!(result.report.enabled, 1, "{result:?}");
    ada.get("/v4/people/current").await.expect(200);
    assert_eq!(company.person("ada@example.org").await["isAdmin"], true);
    let actions = company.actions("ada@example.org").await;
    for action in ["person.disabled", "person.enabled"] {
        assert!(actions.iter().any(|found| found == action), "{actions:?}");
    }
}

#[apply(both_databases)]
async fn a_person_who_left_the_group_is_disabled_and_one_disabled_here_stays(engine: Engine) {
    let company = DirectoryApp::start(engine, Flavor::Slapd).await;
    let grace = company.token_of("grace").await;
    let path = format!("/v4/people/{}", company.person("grace@example.org").await["id"]);
    company.app.admin().patch(&path, &json!({"isDisabled": true})).await.expect(200);
    company.sync(SyncMode::Normal).await;
    assert_eq!(company.person("grace@example.org").await["disabledBy"], json!(["administrator"]));
    // A sign-in does not lift it either.
    company.client("grace").get("/v4/people/current").await.expect(401);
    company.directory.remove_member("token-users", "grace");
    company.sync(SyncMode::Normal).await;
    assert_eq!(company.person("grace@example.org").await["disabledBy"], json!(["administrator", "directory"]));
    company.directory.add_member("token-users", "grace");
    let result = company.sync(SyncMode::Normal).await;
    assert_eq!((result.report.enabled, result.plan.changes[0].stays_disabled()), (0, true), "{result:?}");
    assert_eq!(company.person("grace@example.org").await["disabledBy"], json!(["administrator"]));
    grace.get("/v4/people/current").await.expect(401);
    company.app.admin().patch(&path, &json!({"isDisabled": false})).await.expect(200);
    grace.get("/v4/people/current").await.expect(200);
}

#[apply(both_databases)]
async fn a_renamed_and_moved_entry_keeps_its_account(engine: Engine) {
    let company = DirectoryApp::start(engine, Flavor::Slapd).await;
    let grace = company.token_of("grace").await;
    let id = company.person("grace@example.org").await["id"].clone();
    company.directory.rename("grace", "hopper");
    company.directory.move_away("hopper");
    let result = company.sync(SyncMode::Normal).await;
    assert_eq!(result.report.disabled, 0, "{result:?}");
    grace.get("/v4/people/current").await.expect(200);
    let me = company.basic("hopper", &password_of("grace")).get("/v4/people/current").await.expect(200);
    assert_eq!(me.json["id"], id);
}

#[apply(both_databases)]
async fn an_incomplete_answer_disables_no_account(engine: Engine) {
    let mut company = DirectoryApp::start(engine, Flavor::Slapd).await;
    let grace = company.token_of("grace").await;
    company.directory.stop();
    let result = company.sync(SyncMode::Confirmed).await;
    assert_eq!(result.outcome, SyncOutcome::Failed);
    assert!(!result.report.message.is_empty());
    grace.get("/v4/people/current").await.expect(200);
    let states = company.app.state.directory_syncs().states().await.unwrap();
    assert_eq!((states[0].outcome, states[0].succeeded_at), (Some(SyncOutcome::Failed), None));
    company.directory.start_again();
    assert_eq!(company.sync(SyncMode::Normal).await.outcome, SyncOutcome::Success);
}

#[apply(both_databases)]
async fn many_leavers_at_once_need_a_confirmation(engine: Engine) {
    let company = DirectoryApp::start(engine, Flavor::Slapd).await;
    let mut tokens = Vec::new();
    for number in 1..=6 {
        company.directory.add_member("token-users", &crowd_login(number));
        tokens.push(company.token_of(&crowd_login(number)).await);
    }
    for number in 1..=6 {
        company.directory.remove_member("token-users", &crowd_login(number));
    }
    let result = company.sync(SyncMode::Normal).await;
    assert_eq!((result.outcome, result.report.held), (SyncOutcome::Held, 6));
    assert!(result.report.message.contains("--confirm"), "{}", result.report.message);
    for token in &tokens {
        token.get("/v4/people/current").await.expect(200);
    }
    company.app.state.denied_attempts().flush(true).await.unwrap();
    let events = company.app.admin().get("/v4/events?allUsers=true&limit=20").await;
    assert!(events.rows().iter().any(|event| event["action"] == "directory_sync.held"), "{}", events.text);
    let result = company.sync(SyncMode::Confirmed).await;
    assert_eq!((result.outcome, result.report.disabled), (SyncOutcome::Success, 6));
    for token in &tokens {
        token.get("/v4/people/current").await.expect(401);
    }
}

#[apply(both_databases)]
async fn one_node_runs_a_sync_that_is_due(engine: Engine) {
    let company = DirectoryApp::start(engine, Flavor::Slapd).await;
    let syncs = company.app.state.directory_syncs();
    let provider = syncs.directories().find("company").unwrap();
    let runs = futures_util::future::join_all((0..4).map(|_| syncs.run_if_due(provider))).await;
    assert_eq!(runs.iter().filter(|run| run.as_ref().unwrap().is_some()).count(), 1, "{runs:?}");
    assert_eq!(syncs.run_if_due(provider).await.unwrap(), None);
    company.app.advance_seconds(15 * 60);
    assert_eq!(syncs.run_if_due(provider).await.unwrap(), Some(SyncOutcome::Success));
}

#[apply(both_databases)]
async fn a_sync_that_finds_none_of_the_linked_people_is_held(engine: Engine) {
    let company = DirectoryApp::start(engine, Flavor::Slapd).await;
    let tokens = [company.token_of("ada").await, company.token_of("grace").await];
    for login in ["ada", "grace"] {
        company.directory.delete(login);
    }
    let result = company.sync(SyncMode::Normal).await;
    assert_eq!(result.outcome, SyncOutcome::Held, "{result:?}");
    tokens[0].get("/v4/people/current").await.expect(200);
    company.sync(SyncMode::Confirmed).await;
    for token in &tokens {
        token.get("/v4/people/current").await.expect(401);
    }
}

#[apply(both_databases)]
async fn the_operator_enables_a_person_whom_the_directory_disabled(engine: Engine) {
    let company = DirectoryApp::start(engine, Flavor::Slapd).await;
    let grace = company.token_of("grace").await;
    company.directory.remove_member("token-users", "grace");
    company.sync(SyncMode::Normal).await;
    grace.get("/v4/people/current").await.expect(401);
    let person = company.find("grace@example.org").await;
    let enable = UpdatePerson { is_disabled: Some(false), ..UpdatePerson::default() };
    let people = company.app.state.people();
    people.update(ActorKind::Operator, person.workspace_id, person.id, &enable).await.unwrap();
    grace.get("/v4/people/current").await.expect(200);
    // The next sync decides again.
    company.sync(SyncMode::Normal).await;
    grace.get("/v4/people/current").await.expect(401);
}

/// Nodes of an older version run beside new ones during an upgrade.
#[apply(both_databases)]
async fn a_person_whom_an_older_node_disabled_stays_disabled(engine: Engine) {
    let mut app = crate::support::TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    let flag = if engine == Engine::Postgres { "true" } else { "1" };
    app = app.restart_after_sql(&format!("update person set is_disabled = {flag} where id = {}", ada.id)).await;
    let path = format!("/v4/people/{}", ada.id);
    app.admin().patch(&path, &json!({"name": "Renamed"})).await.expect(200);
    assert_eq!(app.admin().get(&path).await.json["isDisabled"], true);
    app.admin().patch(&path, &json!({"isDisabled": false})).await.expect(200);
    assert_eq!(app.admin().get(&path).await.json["isDisabled"], false);
}

#[apply(both_databases)]
async fn a_sync_that_would_disable_everyone_is_held_and_a_wrong_workspace_fails(engine: Engine) {
    let company = DirectoryApp::start(engine, Flavor::Slapd).await;
    let tokens = [company.token_of("ada").await, company.token_of("grace").await];
    company.directory.remove_member("token-users", "engineers");
    company.directory.remove_member("token-admins", "operators");
    company.directory.remove_member("token-users", "grace");
    assert_eq!(company.sync(SyncMode::Normal).await.outcome, SyncOutcome::Held);
    tokens[0].get("/v4/people/current").await.expect(200);
    let directory = TestDirectory::start(Flavor::Slapd);
    let setup = DirectorySetup::new("company", &directory)
        .allow(&Flavor::Slapd.group_dn("token-users"), [("workspace", 99.into())]);
    let company = DirectoryApp::with_setup(engine, directory, &setup).await;
    let result = company.sync(SyncMode::Confirmed).await;
    assert_eq!(result.outcome, SyncOutcome::Failed);
    assert!(result.report.message.contains("workspace 99"), "{}", result.report.message);
}

#[apply(both_databases)]
async fn a_taken_address_is_reported_once_and_is_no_change(engine: Engine) {
    let company = DirectoryApp::start(engine, Flavor::Slapd).await;
    // Her account has another address than the entry.
    let body = json!({"email": "hopper@example.com", "name": "Grace"});
    company.app.admin().post("/v4/people", &body).await.expect(201);
    company.link("hopper@example.com", "grace").await.unwrap();
    let body = json!({"email": "grace@example.org", "name": "Another", "password": PASSWORD});
    company.app.admin().post("/v4/people", &body).await.expect(201);
    for _ in 0..2 {
        let result = company.sync(SyncMode::Normal).await;
        assert_eq!((result.outcome, result.plan.changes.len()), (SyncOutcome::Success, 0), "{result:?}");
        let [taken] = &result.plan.taken_emails[..] else { panic!("{result:?}") };
        assert_eq!((taken.person.email.as_str(), taken.email.as_str()), ("hopper@example.com", "grace@example.org"));
    }
    company.app.state.denied_attempts().flush(true).await.unwrap();
    let path = "/v4/events?allUsers=true&limit=100&action=identity.email_taken";
    let events = company.app.admin().get(path).await.expect(200);
    let counts: Vec<_> = events.rows().iter().map(|event| event["details"]["count"].clone()).collect();
    assert_eq!(counts, [json!(1)], "{}", events.text);
    assert_eq!(company.person("hopper@example.com").await["isDisabled"], false);
}

#[apply(both_databases)]
async fn a_running_sync_keeps_its_claim_and_a_killed_one_loses_it(engine: Engine) {
    // A directory that responds to a bind, and never to a search.
    let silent = FakeServer::with_tls(|request| accept(request).filter(|_| request.operation == tag::BIND_REQUEST));
    let company = DirectoryApp::start_with(engine, Flavor::Slapd, |setup| {
        setup.key("url", format!("ldaps://{}", silent.address)).key("ca_file", silent.ca_file().to_str().unwrap())
    })
    .await;
    let syncs = company.app.state.directory_syncs().clone().with_renewal_interval(Duration::from_millis(10));
    let provider = syncs.directories().find("company").unwrap().clone();
    let (running, of_running) = (syncs.clone(), provider.clone());
    let running = tokio::spawn(async move { running.run(&of_running, SyncMode::Normal).await });
    let claimed_until = async || syncs.states().await.unwrap().first().and_then(|state| state.claimed_until);
    let first = loop {
        if let Some(until) = claimed_until().await {
            break until;
        }
    };
    company.app.advance_seconds(50);
    while claimed_until().await == Some(first) {}
    company.app.advance_seconds(50);
    let second = syncs.run(&provider, SyncMode::Normal).await;
    assert!(matches!(second, Err(tokenward::service::Error::SyncInProgress)), "{second:?}");
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    // The last renewal was for 60 seconds.
    let (store, end) = (&company.app.store, claimed_until().await.unwrap());
    assert!(store.claim_directory_sync("company", end, end, end.plus_seconds(60)).await.unwrap());
    assert!(end.as_millis() - first.as_millis() <= 100_000, "{first} {end}");
}
