//! Links that reset a password: the whole way, and attacks on it.

use futures_util::future::join_all;
use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokenward::{
    domain::{
        authority::Mutation,
        event::AuditContext,
        external_identity::DIRECTORY_ISSUER,
        id::WorkspaceId,
        person::{Email, PersonName, TokenAccess},
        time::Timestamp,
    },
    store::{NewExternalIdentity, NewExternalPerson, NewPerson},
};
use uuid::Uuid;

use super::{
    send_all,
    sink::{Received, Sink},
    start,
};
use crate::support::{Engine, PASSWORD, TestApp, TestResponse, both_databases};

const NEW_PASSWORD: &str = "another correct horse battery staple";
const ORIGIN: &str = "http://127.0.0.1:3005";

async fn request(app: &TestApp, email: &str) -> TestResponse {
    let response = app.browser().post("/forgot-password", &[("email", email)]).await;
    assert_eq!(response.status, 200, "{}", response.text);
    response
}

/// Requests a link, and returns its path.
async fn link(app: &TestApp, sink: &mut Sink, email: &str) -> String {
    request(app, email).await;
    assert_eq!(send_all(app).await, 1);
    let received = sink.next().await;
    assert_eq!(received.to, email);
    received.link().strip_prefix(ORIGIN).unwrap().to_owned()
}

async fn redeem(app: &TestApp, path: &str, password: &str) -> u16 {
    let fields = [("new_password", password), ("repeated_password", password)];
    app.browser().post(path, &fields).await.status
}

#[apply(both_databases)]
async fn a_link_sets_the_password_once_and_ends_all_sessions(engine: Engine) {
    let (app, mut sink) = start(engine).await;
    app.add_person("ada").await;
    let session = app.signed_in_browser("ada@example.com").await;
    let form = app.browser().get("/sign-in").await.expect(200).text;
    assert!(form.contains(r#"<a href="/forgot-password">Forgot password?</a>"#), "{form}");
    app.browser().get("/forgot-password").await.expect(200);
    let path = link(&app, &mut sink, "ada@example.com").await;
    assert!(path.len() == "/reset-password/".len() + 43, "{path}");
    for _ in 0..3 {
        let page = app.browser().get(&path).await.expect(200);
        assert_eq!(page.headers["referrer-policy"], "no-referrer");
        assert!(page.text.contains("ada@example.com") && !page.text.contains("You are invited"), "{}", page.text);
    }
    assert_eq!(redeem(&app, &path, "short").await, 400);
    session.get("/preferences/profile").await.expect(200);
    assert_eq!(redeem(&app, &path, NEW_PASSWORD).await, 303);
    assert_eq!(session.get("/preferences/profile").await.status, 303, "the session has ended");
    assert_eq!(redeem(&app, &path, PASSWORD).await, 404);
    assert_eq!(app.browser().get(&path).await.status, 404);
    assert_eq!(app.browser().sign_in("ada@example.com", PASSWORD).await.status, 403);
    app.browser().sign_in("ada@example.com", NEW_PASSWORD).await.expect(303);
    // The change itself is reported.
    assert_eq!(send_all(&app).await, 1);
    assert!(sink.next().await.text.contains("The password of your account was changed"));
    let events = app.admin().get("/v4/events?allUsers=true&limit=100").await.expect(200);
    let actions: Vec<&str> = events.rows().iter().filter_map(|row| row["action"].as_str()).collect();
    for action in ["reset_link.created", "reset_link.used", "password.changed"] {
        assert!(actions.contains(&action), "{actions:?}");
    }
}

#[apply(both_databases)]
async fn unknown_addresses_get_the_same_response_and_no_message(engine: Engine) {
    let (app, mut sink) = start(engine).await;
    app.add_person("ada").await;
    let disabled = app.add_person("eve").await;
    app.admin().patch(&format!("/v4/people/{}", disabled.id), &json!({"isDisabled": true})).await.expect(200);
    let invited = json!({"email": "new@example.com", "name": "New", "invite": true});
    app.admin().post("/v4/people", &invited).await.expect(201);
    let known = request(&app, "ada@example.com").await;
    for email in ["unknown@example.com", "eve@example.com", "new@example.com", "no address", ""] {
        let other = request(&app, email).await;
        assert_eq!(other.text, known.text, "{email}");
    }
    // The text that is no address is not stored.
    assert_eq!(send_all(&app).await, 4);
    assert_eq!(sink.next().await.to, "ada@example.com");
    let token = app.admin().create_token().await;
    app.anonymous().post("/v4/leaks", &json!({"values": [token.value]})).await.expect(202);
    assert_eq!(send_all(&app).await, 1);
    assert_eq!(sink.next().await.to, "admin@example.com", "no other message was sent before");
}

#[apply(both_databases)]
async fn a_link_is_void_after_a_newer_one_a_change_disabling_or_an_hour(engine: Engine) {
    let (app, mut sink) = start(engine).await;
    let ada = app.add_person("ada").await;
    let path = format!("/v4/people/{}", ada.id);
    let status = async |link: &str| app.browser().get(link).await.status;
    let older = link(&app, &mut sink, "ada@example.com").await;
    let newer = link(&app, &mut sink, "ada@example.com").await;
    assert_eq!((status(&older).await, status(&newer).await), (404, 200));
    assert_eq!(redeem(&app, &older, NEW_PASSWORD).await, 404);
    app.advance_seconds(3_600);
    assert_eq!((status(&newer).await, redeem(&app, &newer, NEW_PASSWORD).await), (404, 404));
    for change in [
        json!({"password": NEW_PASSWORD, "password2": NEW_PASSWORD}),
        json!({"isDisabled": true}),
        json!({"email": "eve@example.com"}),
    ] {
        app.advance_seconds(3_601);
        app.state.mail().announce().await.unwrap();
        let voided = link(&app, &mut sink, "ada@example.com").await;
        assert_eq!(status(&voided).await, 200);
        app.admin().patch(&path, &change).await.expect(200);
        app.admin().patch(&path, &json!({"isDisabled": false})).await.expect(200);
        assert_eq!(redeem(&app, &voided, NEW_PASSWORD).await, 404, "{change}");
        while app.state.mail().send_due().await.unwrap().claimed > 0 {}
        if change.get("isDisabled").is_none() {
            sink.next().await;
        }
    }
    // A link for one account does not work on the page of the other kind.
    let reset = link(&app, &mut sink, "eve@example.com").await;
    assert_eq!(status(&reset.replace("/reset-password/", "/invite/")).await, 404);
}

#[apply(both_databases)]
async fn of_two_uses_at_once_one_wins(engine: Engine) {
    let (app, mut sink) = start(engine).await;
    app.add_person("ada").await;
    let path = link(&app, &mut sink, "ada@example.com").await;
    let passwords = ["first correct horse battery staple", "second correct horse battery staple"];
    let statuses = join_all(passwords.map(|password| redeem(&app, &path, password))).await;
    let mut sorted = statuses.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [303, 404]);
    for (password, status) in passwords.iter().zip(statuses) {
        assert_eq!(
            app.browser().sign_in("ada@example.com", password).await.status,
            if status == 303 { 303 } else { 403 }
        );
    }
}

#[apply(both_databases)]
async fn requests_are_limited_per_e_mail_and_per_address(engine: Engine) {
    let (app, mut sink) = start(engine).await;
    app.add_person("ada").await;
    for _ in 0..6 {
        request(&app, "ADA@example.com").await;
    }
    assert_eq!(send_all(&app).await, 3, "three per hour and e-mail address");
    for _ in 0..3 {
        sink.next().await;
    }
    app.advance_seconds(3_601);
    request(&app, "ada@example.com").await;
    assert_eq!(send_all(&app).await, 1);
    let browser = || app.browser().with_address("192.0.2.1");
    let mut statuses = Vec::new();
    for index in 0..12 {
        let email = format!("person{index}@example.com");
        statuses.push(browser().post("/forgot-password", &[("email", &email)]).await.status);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 2, "{statuses:?}");
    let limited = browser().post("/forgot-password", &[("email", "ada@example.com")]).await.expect(429);
    assert!(limited.headers.contains_key("retry-after"));
}

/// Returns the text of all rows that could have a link, or all bytes of the SQLite file and its log.
async fn dump(app: &TestApp) -> Vec<u8> {
    if let Some(path) = app.database.url.strip_prefix("sqlite:") {
        let read = |suffix: &str| std::fs::read(format!("{path}{suffix}")).unwrap_or_default();
        return [read(""), read("-wal")].concat();
    }
    let rows = |table: &str| format!("(select coalesce(string_agg(t::text, ','), '') from {table} t)");
    let statement = ["mail_message", "password_link", "event"].map(rows).join(" || ");
    app.database.query_text(&format!("select {statement}")).await.unwrap().into_bytes()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// The database is read while the message is queued, while a node sends it, while it waits for a second
/// attempt, and after it was accepted.
#[apply(both_databases)]
async fn the_database_has_no_usable_link(engine: Engine) {
    let (mut app, mut sink) = start(engine).await;
    app.add_person("ada").await;
    let value_of = |received: &Received| received.link().rsplit_once('/').unwrap().1.to_owned();
    sink.reply("hold 451 try again").await;
    request(&app, "ada@example.com").await;
    let queued = dump(&app).await;
    assert!(contains(&queued, "password_reset"), "the message is queued");
    let sending = tokio::spawn({
        let mail = app.state.mail().clone();
        async move { mail.send_due().await.unwrap().claimed }
    });
    let first = value_of(&sink.next().await);
    assert!(!contains(&dump(&app).await, &first), "while the message is claimed");
    sink.release().await;
    assert_eq!(sending.await.unwrap(), 1);
    assert!(!contains(&dump(&app).await, &first), "while the message waits for another attempt");
    app.advance_seconds(3_600 / 2);
    assert_eq!(send_all(&app).await, 1);
    let second = value_of(&sink.next().await);
    assert_ne!(first, second, "each attempt sends a link of its own");
    let finished = dump(&app).await;
    assert!(!contains(&finished, &first) && !contains(&finished, &second));
    // The row has the digest of the last link.
    let digest = if engine == Engine::Sqlite { "lower(hex(digest))" } else { "encode(digest, 'hex')" };
    let stored = app.query_text(&format!("select {digest} from password_link where kind = 'reset'")).await.unwrap();
    let expected: String = Sha256::digest(&second).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(stored, expected);
}

#[apply(both_databases)]
async fn a_person_of_a_directory_gets_no_link(engine: Engine) {
    let (app, mut sink) = start(engine).await;
    let person = NewPerson {
        email: Email::parse("ada@example.com").unwrap(),
        name: PersonName::parse("Ada").unwrap(),
        password_hash: None,
        invite: None,
        is_admin: false,
        is_platform_admin: false,
        force_password_change: false,
    };
    let identity = NewExternalIdentity {
        id: Uuid::from_u128(7),
        provider: "company".to_owned(),
        issuer: DIRECTORY_ISSUER.to_owned(),
        subject: "s1".to_owned(),
        label: "ada".to_owned(),
    };
    let new = NewExternalPerson { person, token_access: TokenAccess::Default, identity };
    let mutation = Mutation::without_caller(AuditContext::for_operator(Timestamp::from_millis(1_767_225_600_000)));
    app.store.insert_external_person(WorkspaceId::FIRST, &new, &mutation).await.unwrap().unwrap();
    request(&app, "ada@example.com").await;
    assert_eq!(send_all(&app).await, 1);
    let received = sink.next().await;
    assert_eq!(received.link(), "http://127.0.0.1:3005/sign-in");
    assert!(received.text.contains("the password of company"), "{}", received.text);
}

#[apply(both_databases)]
async fn without_e_mail_there_is_no_page(engine: Engine) {
    let app = TestApp::start(engine).await;
    assert_eq!(app.browser().get("/forgot-password").await.status, 404);
    assert_eq!(app.browser().post("/forgot-password", &[("email", "a@example.com")]).await.status, 404);
    let page = app.browser().get("/sign-in").await.expect(200).text;
    assert!(page.contains("Forgot your password?") && !page.contains("/forgot-password"), "{page}");
}
