//! One address, one account: however its domain is written, and whatever cannot be seen in it.

use serde_json::{Value, json};
use tokenward::domain::person::EmailKey;

use crate::support::{PASSWORD, TestApp, basic};

on_both!(
    both_forms_of_a_domain_are_one_account_at_every_entry_point,
    a_saved_form_changes_what_was_edited_and_nothing_else,
    letters_of_every_script_sign_in_on_the_pages,
    an_address_with_something_invisible_is_refused,
    keys_of_an_earlier_version_are_made_canonical,
);

const UNICODE: &str = "a@m\u{fc}nchen.de";
const ASCII: &str = "a@xn--mnchen-3ya.de";

async fn add(app: &TestApp, email: &str) -> i64 {
    let body = json!({"email": email, "name": "A", "password": PASSWORD});
    app.admin().post("/v4/people", &body).await.expect(201).json["id"].as_i64().unwrap()
}

async fn both_forms_of_a_domain_are_one_account_at_every_entry_point(app: TestApp) {
    let first = add(&app, ASCII).await;
    let path = format!("/v4/people/{first}");
    assert_eq!(app.admin().get(&path).await.json["email"], UNICODE);
    for typed in [UNICODE, ASCII, "A@M\u{dc}NCHEN.de", " a@XN--MNCHEN-3YA.DE", "a@mu\u{308}nchen.de"] {
        app.presenting(&[&basic(typed, PASSWORD)]).get("/v4/people/current").await.expect(200);
        app.visitor().sign_in(typed, PASSWORD).await.expect(303);
        let query = form_urlencoded(typed);
        let found = app.admin().get(&format!("/v4/people?email={query}")).await.expect(200);
        assert_eq!(found.rows().len(), 1, "{typed}");
        assert_eq!(app.app.people().find_by_email(typed).await.unwrap().id, first);
        let body = json!({"email": typed, "name": "B", "password": PASSWORD});
        app.admin().post("/v4/people", &body).await.expect_error(409, "ConflictException");
        app.admin().change(first, json!({"email": typed})).await.expect(200);
        let other = json!({"name": "W", "admin": {"email": typed, "name": "B", "password": PASSWORD}});
        app.admin().post("/v4/workspaces", &other).await.expect_error(409, "ConflictException");
    }
    // Wrong passwords add up over both forms.
    for n in 0..10 {
        let typed = if n % 2 == 0 { UNICODE } else { ASCII };
        app.presenting(&[&basic(typed, "wrong")]).get("/v4/people/current").await.expect(401);
    }
    for typed in [UNICODE, ASCII] {
        app.presenting(&[&basic(typed, PASSWORD)]).get("/v4/people/current").await.expect(429);
    }
}

fn form_urlencoded(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02x}")).collect()
}

/// What the events say was changed of somebody.
async fn changes(app: &TestApp, id: i64) -> Vec<Value> {
    let events = app.admin().get(&format!("/v4/events?action=person.changed&personId={id}")).await.expect(200);
    events.rows().iter().map(|event| event["details"].clone()).collect()
}

async fn a_saved_form_changes_what_was_edited_and_nothing_else(app: TestApp) {
    let id = add(&app, UNICODE).await;
    let admin = app.signed_in("admin@example.com").await;
    let path = format!("/admin/users/{id}");
    let page = admin.get(&path).await.expect(200).text;
    assert!(page.contains(&format!(r#"name="shown_email" value="{UNICODE}""#)), "{page}");
    assert!(!page.contains(r#"type="email""#) && page.contains(r#"inputmode="email""#));
    let save = async |email: &str, name: &str, shown: (&str, &str)| {
        let fields = [
            ("email", email),
            ("name", name),
            ("role", "user"),
            ("token_access", "default"),
            ("shown_email", shown.0),
            ("shown_name", shown.1),
            ("shown_role", "user"),
            ("shown_token_access", "default"),
        ];
        admin.post(&path, &fields).await
    };
    // A browser has written the address in another way than it was shown.
    save(ASCII, "Renamed", (UNICODE, "A")).await.expect(303);
    assert_eq!(changes(&app, id).await, [json!({"name": "Renamed"})]);
    assert_eq!(app.admin().get(&format!("/v4/people/{id}")).await.json["email"], UNICODE);
    app.presenting(&[&basic(UNICODE, PASSWORD)]).get("/v4/people/current").await.expect(200);
    save(UNICODE, "Renamed", (ASCII, "Renamed")).await.expect(303);
    assert_eq!(changes(&app, id).await.len(), 1);
    // What was edited is changed: also where only the case of the name is another.
    save(&UNICODE.replace("a@", "A@"), "Renamed", (UNICODE, "Renamed")).await.expect(303);
    save("b@xn--r8jz45g.jp", "Renamed", (UNICODE, "Renamed")).await.expect(303);
    let mut told = changes(&app, id).await;
    told.sort_by_key(Value::to_string);
    assert_eq!(told[..2], [json!({"email": "A@m\u{fc}nchen.de"}), json!({"email": "b@\u{4f8b}\u{3048}.jp"})]);
    save("not an address", "Renamed", (UNICODE, "Renamed")).await.expect(400);
}

async fn letters_of_every_script_sign_in_on_the_pages(app: TestApp) {
    let page = app.visitor().get("/sign-in").await.text;
    assert!(!page.contains(r#"type="email""#) && page.contains(r#"inputmode="email""#), "a browser would not send ö@…");
    let admin = app.signed_in("admin@example.com").await;
    for (email, shown) in [
        ("\u{f6}@example.com", "\u{f6}@example.com"),
        ("ada@stra\u{df}e.example", "ada@stra\u{df}e.example"),
        (
            "\u{43f}\u{440}\u{438}\u{43c}\u{435}\u{440}@xn--e1afmkfd.xn--p1ai",
            "\u{43f}\u{440}\u{438}\u{43c}\u{435}\u{440}@\u{43f}\u{440}\u{438}\u{43c}\u{435}\u{440}.\u{440}\u{444}",
        ),
    ] {
        let fields = [("email", email), ("name", "X"), ("password", PASSWORD)];
        admin.post("/admin/users/new", &fields).await.expect(303);
        app.visitor().sign_in(email, PASSWORD).await.expect(303);
        let visitor = app.signed_in(shown).await;
        assert!(visitor.get("/preferences/profile").await.text.contains(shown));
        assert!(admin.get(&format!("/admin/users?search={}", form_urlencoded(shown))).await.text.contains(shown));
    }
}

async fn an_address_with_something_invisible_is_refused(app: TestApp) {
    let ada = add(&app, "ada@example.com").await;
    let admin = app.signed_in("admin@example.com").await;
    for c in ['\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{ad}', '\u{2800}', '\u{3164}'] {
        let email = format!("ad{c}a@example.com");
        let body = json!({"email": email, "name": "A", "password": PASSWORD});
        let details = app.admin().post("/v4/people", &body).await.expect_error(400, "ValidationFailed");
        assert!(details.contains(&format!("invisible character U+{:04X}", u32::from(c))), "{details}");
        let new = json!({"email": format!("e{email}")});
        app.admin().change(ada, new).await.expect_error(400, "ValidationFailed");
        let reply = admin.post("/admin/users/new", &[("email", &email), ("password", PASSWORD)]).await.expect(400);
        assert!(reply.text.contains("invisible character"), "{}", reply.text);
        // Who pastes one at the door is let in all the same.
        app.presenting(&[&basic(&email, PASSWORD)]).get("/v4/people/current").await.expect(200);
        app.visitor().sign_in(&email, PASSWORD).await.expect(303);
    }
}

async fn keys_of_an_earlier_version_are_made_canonical(mut app: TestApp) {
    let [a, b, c, d] = [
        add(&app, "one@example.com").await,
        add(&app, "two@example.com").await,
        add(&app, "three@example.com").await,
        add(&app, UNICODE).await,
    ];
    app.tamper(&format!(
        "update person set email = 'x@xn--mnchen-3ya.de', email_key = 'x@xn--mnchen-3ya.de' where id = {a}; \
         update person set email = 'y\u{200b}@example.com', email_key = 'y\u{200b}@example.com' where id = {b}; \
         update person set email = '{ASCII}', email_key = '{ASCII}' where id = {c}; \
         insert into email_key_review (person_id) select id from person where id > 1"
    ))
    .await;
    let found = async |email: &str| {
        let found = app.store.find_person_by_email(&EmailKey::of(email)).await.unwrap();
        found.map(|found| found.person.id)
    };
    for email in ["x@m\u{fc}nchen.de", "x@xn--mnchen-3ya.de"] {
        assert_eq!(found(email).await, Some(a), "{email}");
    }
    assert_eq!(found("y@example.com").await, Some(b));
    // Two accounts have this one: each keeps its key, and the one of the canonical form is found.
    assert_eq!((found(UNICODE).await, found(ASCII).await), (Some(d), Some(d)));
    let left = app.look("select cast(person_id as text) from email_key_review").await;
    assert_eq!(left, Some(c.to_string()));
    // Another e-mail ends that.
    app.tamper(&format!("update person set email = 'c@example.com', email_key = 'c@example.com' where id = {c}")).await;
    assert_eq!(app.look("select cast(count(*) as text) from email_key_review").await.as_deref(), Some("0"));
}
