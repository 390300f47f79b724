//! The people whom a SAML provider admits, and their roles.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use super::SamlApp;
use crate::support::{
    Engine, PASSWORD, both_databases,
    saml::{EMAIL, PERSISTENT, Person, TRANSIENT, encode},
};

const UNSPECIFIED: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified";
const OVERAGE: &str = "http://schemas.microsoft.com/claims/groups.link";

#[apply(both_databases)]
async fn people_who_are_not_admitted_learn_why(engine: Engine) {
    let company = SamlApp::start(engine).await;
    company.app.add_person("eve").await;
    for (person, status, text) in [
        (Person::ada().with("groups", &[]), 403, "in no group that may sign in"),
        (Person::ada().with("groups", &["Users", "others", ""]), 403, "in no group that may sign in"),
        (Person::ada().with("email", &[]), 403, "no verified e-mail address"),
        (Person::ada().with("email", &["not an address"]), 403, "no verified e-mail address"),
        (Person::ada().with("email", &["eve@example.com"]), 403, "Another account here has your e-mail address"),
        (Person::ada().with("email", &["EVE@example.com"]), 403, "Another account here has your e-mail address"),
        (
            Person::ada().with("email", &["admin@example.com"]).with("groups", &["admins"]),
            403,
            "Another account here has your e-mail",
        ),
        (Person::ada().with(OVERAGE, &["https://graph.example"]), 503, "did not respond as expected"),
        (Person::ada().named("ada@example.com", EMAIL), 403, "did not sign you in"),
        (Person::ada().named("ada", UNSPECIFIED), 403, "did not sign you in"),
        (Person::ada().named(&"x".repeat(256), PERSISTENT), 403, "did not sign you in"),
        (Person::ada().named("ada\u{202e}", PERSISTENT), 403, "did not sign you in"),
    ] {
        company.assert_rejected(&person, status, text).await;
    }
    assert_eq!(company.person("ada@example.com").await, Value::Null);
    assert_eq!(company.person("eve@example.com").await["ssoPrincipal"], Value::Null, "never adopted");
    let actions: Vec<Value> = company.events().await.iter().map(|event| event["action"].clone()).collect();
    for action in ["login.failed", "identity.email_taken"] {
        assert!(actions.contains(&json!(action)), "{action}: {actions:?}");
    }
    // A name that changes with each sign-in is rejected at once.
    for person in [Person::ada().named("t-1", TRANSIENT), Person::ada().named(&"x".repeat(10_240), PERSISTENT)] {
        let request = company.begin(&company.app.browser(), "/sign-in/adfs").await;
        company.post(&company.provider.respond(&request, &person)).await.expect(403);
    }
}

#[apply(both_databases)]
async fn a_disabled_person_is_rejected_and_stays_disabled(engine: Engine) {
    let company = SamlApp::start(engine).await;
    company.sign_in(&company.app.browser(), &Person::ada()).await.expect(303);
    let path = format!("/v4/people/{}", company.person("ada@example.com").await["id"]);
    company.app.admin().patch(&path, &json!({"isDisabled": true})).await.expect(200);
    company.assert_rejected(&Person::ada(), 403, "Your account here is disabled").await;
    assert_eq!(company.person("ada@example.com").await["disabledBy"], json!(["administrator"]));
}

#[apply(both_databases)]
async fn the_role_follows_the_groups(engine: Engine) {
    let company = SamlApp::start(engine).await;
    let is_admin = async || company.person("ada@example.com").await["isAdmin"].clone();
    for (groups, expected) in [(&["users"][..], false), (&["users", "admins"], true), (&["users"], false)] {
        company.sign_in(&company.app.browser(), &Person::ada().with("groups", groups)).await.expect(303);
        assert_eq!(is_admin().await, json!(expected), "{groups:?}");
    }
    // A response without groups, or with too many of them, changes nothing.
    company.sign_in(&company.app.browser(), &Person::ada().with("groups", &["admins"])).await.expect(303);
    company.assert_rejected(&Person::ada().with("groups", &[]), 403, "in no group that may sign in").await;
    for groups in [&[][..], &["users"]] {
        let overage = Person::ada().with("groups", groups).with(OVERAGE, &["https://graph.example"]);
        company.assert_rejected(&overage, 503, "did not respond as expected").await;
    }
    assert_eq!(is_admin().await, json!(true));
}

#[apply(both_databases)]
async fn an_attribute_can_identify_an_account(engine: Engine) {
    let company = SamlApp::start_with(engine, "subject_attribute = \"uid\"").await;
    let request = company.begin(&company.app.browser(), "/sign-in/adfs").await;
    assert!(!request.document.contains("NameIDPolicy"), "{}", request.document);
    let ada = Person::ada().named("t-1", TRANSIENT).with("uid", &["u-7"]);
    company.sign_in(&company.app.browser(), &ada).await.expect(303);
    let id = company.person("ada@example.com").await["id"].clone();
    let again = Person::ada().named("t-2", TRANSIENT).with("uid", &["u-7"]).with("email", &["new@example.com"]);
    company.sign_in(&company.app.browser(), &again).await.expect(303);
    assert_eq!(company.person("new@example.com").await["id"], id);
    for values in [&[][..], &["u-7", "u-8"]] {
        company.assert_rejected(&ada.clone().with("uid", values), 503, "did not respond as expected").await;
    }
    company.assert_rejected(&ada.clone().with("uid", &[""]), 403, "did not sign you in").await;
}

#[apply(both_databases)]
async fn an_address_identifies_an_account_only_if_the_operator_says_so(engine: Engine) {
    let company = SamlApp::start_with(engine, "name_id_format = \"email-address\"").await;
    let ada = Person::ada().named("ada@example.com", EMAIL).with("email", &[]);
    let request = company.begin(&company.app.browser(), "/sign-in/adfs").await;
    assert!(request.document.contains(EMAIL), "{}", request.document);
    company.sign_in(&company.app.browser(), &ada).await.expect(303);
    assert_eq!(company.person("ada@example.com").await["ssoPrincipal"], json!("ada@example.com"));
    company.assert_rejected(&Person::ada(), 403, "did not sign you in").await;
    let unspecified = SamlApp::start_with(engine, "name_id_format = \"unspecified\"").await;
    for person in [Person::ada().named("ada", UNSPECIFIED)] {
        unspecified.sign_in(&unspecified.app.browser(), &person).await.expect(303);
    }
}

/// A name of another namespace is another person, however it is written.
#[apply(both_databases)]
async fn qualifiers_belong_to_the_subject(engine: Engine) {
    let company = SamlApp::start(engine).await;
    let own = company.begin(&company.app.browser(), "/sign-in/adfs").await.issuer;
    let issuer = company.provider.entity_id.clone();
    let mut ids = Vec::new();
    for (n, (name, qualifiers)) in [
        ("ada-1", String::new()),
        ("ada-1", format!(" NameQualifier=\"{issuer}\"")),
        ("ada-1", format!(" NameQualifier=\"{issuer}\" SPNameQualifier=\"{own}\"")),
        ("ada-1", " NameQualifier=\"https://other.example\"".to_owned()),
        ("ada-1", " NameQualifier=\"https://other.example\" SPNameQualifier=\"x\"".to_owned()),
        ("https://other.example!x!ada-1", String::new()),
        (
            "ada-1",
            " NameQualifier=\"https://other.example!x\" SPNameQualifier=\"\"".replace(" SPNameQualifier=\"\"", ""),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let (browser, email) = (company.app.browser(), format!("person-{n}@example.com"));
        let request = company.begin(&browser, "/sign-in/adfs").await;
        let person = Person::ada().named(name, PERSISTENT).with("email", &[&email]);
        let from = format!("Format=\"{PERSISTENT}\"");
        let written = company.provider.write(&request, &person).replace(&from, &format!("{from}{qualifiers}"));
        let response = company.provider.sign(&written, crate::support::saml::Signed::Both);
        browser.get(&company.accept(&encode(&response)).await).await.expect(303);
        ids.push(company.person(&email).await["id"].clone());
    }
    assert!(ids[0] == ids[1] && ids[1] == ids[2], "{ids:?}");
    let mut others: Vec<String> = ids[2..].iter().map(Value::to_string).collect();
    others.sort();
    others.dedup();
    assert_eq!(others.len(), 5, "{ids:?}");
}

/// The operator gave the account a local password, for example because the provider is not trusted any more.
#[apply(both_databases)]
async fn an_account_with_a_local_password_is_not_changed(engine: Engine) {
    use tokenward::service::people::{ActorKind, UpdatePerson};

    let company = SamlApp::start(engine).await;
    company.sign_in(&company.app.browser(), &Person::ada()).await.expect(303);
    let people = company.app.state.people();
    let person = people.find_by_email("ada@example.com").await.unwrap();
    let change = UpdatePerson { password: Some(PASSWORD), ..UpdatePerson::default() };
    people.update(ActorKind::Operator, person.workspace_id, person.id, &change).await.unwrap();
    let promoted = Person::ada().with("email", &["mallory@example.com"]).with("groups", &["admins"]);
    company.assert_rejected(&promoted, 403, "has a local password").await;
    let unchanged = company.person("ada@example.com").await;
    assert_eq!((&unchanged["id"], &unchanged["isAdmin"]), (&json!(person.id.get()), &json!(false)));
}
