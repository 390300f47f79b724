//! E-mail addresses: each has one account, in Unicode or ASCII form, and no invisible characters.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};
use tokenward::domain::id::PersonId;

use crate::support::{Engine, PASSWORD, TestApp, basic_auth, both_databases};

const UNICODE: &str = "a@m\u{fc}nchen.de";
const ASCII: &str = "a@xn--mnchen-3ya.de";

async fn add_person_with_email(app: &TestApp, email: &str) -> i64 {
    let body = json!({"email": email, "name": "A", "password": PASSWORD});
    app.admin().post("/v4/people", &body).await.expect(201).json["id"].as_i64().unwrap()
}

#[apply(both_databases)]
async fn unicode_and_ascii_domains_are_one_account_everywhere(engine: Engine) {
    let app = TestApp::start(engine).await;
    let first = add_person_with_email(&app, ASCII).await;
    let path = format!("/v4/people/{first}");
    assert_eq!(app.admin().get(&path).await.json["email"], UNICODE);
    for typed in [UNICODE, ASCII, "A@M\u{dc}NCHEN.de", " a@XN--MNCHEN-3YA.DE", "a@mu\u{308}nchen.de"] {
        app.client_with_authorization(&[&basic_auth(typed, PASSWORD)]).get("/v4/people/current").await.expect(200);
        app.browser().sign_in(typed, PASSWORD).await.expect(303);
        let query = percent_encode(typed);
        let found = app.admin().get(&format!("/v4/people?email={query}")).await.expect(200);
        assert_eq!(found.rows().len(), 1, "{typed}");
        assert_eq!(app.state.people().find_by_email(typed).await.unwrap().id, PersonId::new(first));
        let body = json!({"email": typed, "name": "B", "password": PASSWORD});
        app.admin().post("/v4/people", &body).await.expect_error(409, "ConflictException");
        app.admin().update_person(first, json!({"email": typed})).await.expect(200);
        let other = json!({"name": "W", "admin": {"email": typed, "name": "B", "password": PASSWORD}});
        app.admin().post("/v4/workspaces", &other).await.expect_error(409, "ConflictException");
    }
    // Login failures add up over both forms.
    for n in 0..10 {
        let typed = if n % 2 == 0 { UNICODE } else { ASCII };
        app.client_with_authorization(&[&basic_auth(typed, "wrong")]).get("/v4/people/current").await.expect(401);
    }
    for typed in [UNICODE, ASCII] {
        app.client_with_authorization(&[&basic_auth(typed, PASSWORD)]).get("/v4/people/current").await.expect(429);
    }
}

fn percent_encode(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02x}")).collect()
}

/// Returns the details of all events that changed a person.
async fn list_email_changes(app: &TestApp, id: i64) -> Vec<Value> {
    let events = app.admin().get(&format!("/v4/events?action=person.changed&personId={id}")).await.expect(200);
    events.rows().iter().map(|event| event["details"].clone()).collect()
}

#[apply(both_databases)]
async fn a_saved_form_changes_only_edited_fields(engine: Engine) {
    let app = TestApp::start(engine).await;
    let id = add_person_with_email(&app, UNICODE).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let path = format!("/admin/users/{id}");
    let page = admin.get(&path).await.expect(200).text;
    assert!(page.contains(&format!(r#"name="shown_email" value="{UNICODE}""#)), "{page}");
    assert!(!page.contains(r#"type="email""#) && page.contains(r#"inputmode="email""#));
    let save = async |email: &str, name: &str, shown: (&str, &str)| {
        let fields = [
            ("email", email),
            ("name", name),
            ("role", "member"),
            ("token_access", "default"),
            ("shown_email", shown.0),
            ("shown_name", shown.1),
            ("shown_role", "member"),
            ("shown_token_access", "default"),
        ];
        admin.post(&path, &fields).await
    };
    // A browser may submit the address in another form than the page showed.
    save(ASCII, "Renamed", (UNICODE, "A")).await.expect(303);
    assert_eq!(list_email_changes(&app, id).await, [json!({"name": "Renamed"})]);
    assert_eq!(app.admin().get(&format!("/v4/people/{id}")).await.json["email"], UNICODE);
    app.client_with_authorization(&[&basic_auth(UNICODE, PASSWORD)]).get("/v4/people/current").await.expect(200);
    save(UNICODE, "Renamed", (ASCII, "Renamed")).await.expect(303);
    assert_eq!(list_email_changes(&app, id).await.len(), 1);
    // An edited address is changed, even if only the case differs.
    save(&UNICODE.replace("a@", "A@"), "Renamed", (UNICODE, "Renamed")).await.expect(303);
    save("b@xn--r8jz45g.jp", "Renamed", (UNICODE, "Renamed")).await.expect(303);
    let mut changes = list_email_changes(&app, id).await;
    changes.sort_by_key(Value::to_string);
    let other = json!({"email": "b@\u{4f8b}\u{3048}.jp", "previousEmail": "A@m\u{fc}nchen.de"});
    assert_eq!(changes[..2], [json!({"email": "A@m\u{fc}nchen.de"}), other]);
    save("not an address", "Renamed", (UNICODE, "Renamed")).await.expect(400);
}

#[apply(both_databases)]
async fn emails_in_any_script_can_sign_in(engine: Engine) {
    let app = TestApp::start(engine).await;
    let page = app.browser().get("/sign-in").await.text;
    assert!(
        !page.contains(r#"type="email""#) && page.contains(r#"inputmode="email""#),
        "browsers do not submit ö@… from a type=email field"
    );
    let admin = app.signed_in_browser("admin@example.com").await;
    for (email, displayed) in [
        ("\u{f6}@example.com", "\u{f6}@example.com"),
        ("ada@stra\u{df}e.example", "ada@stra\u{df}e.example"),
        (
            "\u{43f}\u{440}\u{438}\u{43c}\u{435}\u{440}@xn--e1afmkfd.xn--p1ai",
            "\u{43f}\u{440}\u{438}\u{43c}\u{435}\u{440}@\u{43f}\u{440}\u{438}\u{43c}\u{435}\u{440}.\u{440}\u{444}",
        ),
    ] {
        let fields = [("email", email), ("name", "X"), ("password", PASSWORD)];
        admin.post("/admin/users/new", &fields).await.expect(303);
        app.browser().sign_in(email, PASSWORD).await.expect(303);
        let browser = app.signed_in_browser(displayed).await;
        assert!(browser.get("/preferences/profile").await.text.contains(displayed));
        assert!(
            admin.get(&format!("/admin/users?search={}", percent_encode(displayed))).await.text.contains(displayed)
        );
    }
}

#[apply(both_databases)]
async fn emails_with_invisible_characters_are_rejected(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = add_person_with_email(&app, "ada@example.com").await;
    let admin = app.signed_in_browser("admin@example.com").await;
    for c in ['\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{ad}', '\u{2800}', '\u{3164}'] {
        let email = format!("ad{c}a@example.com");
        let body = json!({"email": email, "name": "A", "password": PASSWORD});
        let details = app.admin().post("/v4/people", &body).await.expect_error(400, "ValidationFailed");
        assert!(details.contains(&format!("invisible character U+{:04X}", u32::from(c))), "{details}");
        let new = json!({"email": format!("e{email}")});
        app.admin().update_person(ada, new).await.expect_error(400, "ValidationFailed");
        let response = admin.post("/admin/users/new", &[("email", &email), ("password", PASSWORD)]).await.expect(400);
        assert!(response.text.contains("invisible character"), "{}", response.text);
        // At sign-in an invisible character is ignored.
        app.client_with_authorization(&[&basic_auth(&email, PASSWORD)]).get("/v4/people/current").await.expect(200);
        app.browser().sign_in(&email, PASSWORD).await.expect(303);
    }
}
