//! The people whom an `OpenID` provider admits, and their roles.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};
use tokenward::service::people::{ActorKind, UpdatePerson};

use super::{OpenIdApp, USERS, ada, state_of, with};
use crate::support::{Engine, PASSWORD, both_databases, openid::CLIENT_ID};

#[apply(both_databases)]
async fn people_who_are_not_admitted_learn_why(engine: Engine) {
    let company = OpenIdApp::start(engine).await;
    company.app.add_person("eve").await;
    for (changes, status, text) in [
        (json!({"groups": []}), 403, "in no group that may sign in"),
        (json!({"groups": ["Users", "others"]}), 403, "in no group that may sign in"),
        (json!({"groups": "users"}), 403, "did not sign you in"),
        (json!({"email": null}), 403, "no verified e-mail address"),
        (json!({"email_verified": false}), 403, "no verified e-mail address"),
        (json!({"email": "eve@example.com"}), 403, "Another account here has your e-mail address"),
        (json!({"email": "EVE@example.com"}), 403, "Another account here has your e-mail address"),
        (json!({"email": "admin@example.com", "groups": ["admins"]}), 403, "Another account here has your e-mail"),
        (json!({"groups": null, "_claim_names": {"groups": "src1"}}), 503, "did not respond as expected"),
        (json!({"nonce": "another"}), 403, "did not sign you in"),
        (json!({"aud": "another"}), 403, "did not sign you in"),
        (json!({"aud": [CLIENT_ID, "another"], "azp": "another"}), 403, "did not sign you in"),
        (json!({"iss": "http://127.0.0.1:1"}), 403, "did not sign you in"),
        (json!({"exp": 1_767_225_500}), 403, "did not sign you in"),
        (json!({"sub": ""}), 403, "did not sign you in"),
        (json!({"sub": "x".repeat(256)}), 403, "did not sign you in"),
    ] {
        company.assert_rejected(&with(ada(), &changes), status, text).await;
    }
    assert_eq!(company.person("ada@example.com").await, Value::Null);
    assert_eq!(company.person("eve@example.com").await["ssoPrincipal"], Value::Null, "never adopted");
    let actions = company.actions().await;
    for action in ["login.failed", "identity.email_taken"] {
        assert!(actions.iter().any(|other| other == action), "{action}: {actions:?}");
    }
    // The provider itself reports an error.
    let browser = company.app.browser();
    let location = company.begin(&browser, "/sign-in/login").await;
    let path = format!("/sign-in/login/callback?error=access_denied&state={}", state_of(&location));
    let page = browser.get(&path).await.expect(403);
    assert!(page.text.contains("login did not sign you in"), "{}", page.text);
}

#[apply(both_databases)]
async fn only_linked_people_sign_in_where_no_account_is_created(engine: Engine) {
    let rules = USERS.replace("token_access = \"enabled\"", "create = false");
    let company = OpenIdApp::start_with(engine, &rules).await;
    company.assert_rejected(&ada(), 403, "You have no account here").await;
}

#[apply(both_databases)]
async fn a_disabled_person_is_rejected_and_stays_disabled(engine: Engine) {
    let company = OpenIdApp::start(engine).await;
    company.sign_in(&company.app.browser(), &ada()).await.expect(303);
    let person = company.person("ada@example.com").await;
    let path = format!("/v4/people/{}", person["id"]);
    company.app.admin().patch(&path, &json!({"isDisabled": true})).await.expect(200);
    company.assert_rejected(&ada(), 403, "Your account here is disabled").await;
    assert_eq!(company.person("ada@example.com").await["disabledBy"], json!(["administrator"]));
}

#[apply(both_databases)]
async fn the_role_follows_the_groups(engine: Engine) {
    let company = OpenIdApp::start(engine).await;
    let is_admin = async || company.person("ada@example.com").await["isAdmin"].clone();
    for (groups, expected) in [(json!(["users"]), false), (json!(["users", "admins"]), true), (json!(["users"]), false)]
    {
        company.sign_in(&company.app.browser(), &with(ada(), &json!({"groups": groups}))).await.expect(303);
        assert_eq!(is_admin().await, json!(expected), "{groups}");
    }
    // A response without the claim changes nothing.
    company.sign_in(&company.app.browser(), &with(ada(), &json!({"groups": ["admins"]}))).await.expect(303);
    company.assert_rejected(&with(ada(), &json!({"groups": null})), 503, "did not respond as expected").await;
    assert_eq!(is_admin().await, json!(true));
    let overage = json!({"groups": null, "_claim_names": {"groups": "src1"}});
    company.assert_rejected(&with(ada(), &overage), 503, "did not respond as expected").await;
    assert_eq!(is_admin().await, json!(true));
}

#[apply(both_databases)]
async fn a_role_that_an_administrator_granted_stays(engine: Engine) {
    let company = OpenIdApp::start(engine).await;
    company.sign_in(&company.app.browser(), &ada()).await.expect(303);
    let path = format!("/v4/people/{}", company.person("ada@example.com").await["id"]);
    company.app.admin().patch(&path, &json!({"isAdmin": true})).await.expect(200);
    company.sign_in(&company.app.browser(), &ada()).await.expect(303);
    assert_eq!(company.person("ada@example.com").await["isAdmin"], json!(true));
}

/// The operator gave the account a local password, for example because the provider is not trusted any more.
#[apply(both_databases)]
async fn an_account_with_a_local_password_is_not_changed(engine: Engine) {
    let company = OpenIdApp::start(engine).await;
    company.sign_in(&company.app.browser(), &ada()).await.expect(303);
    let people = company.app.state.people();
    let person = people.find_by_email("ada@example.com").await.unwrap();
    let change = UpdatePerson { password: Some(PASSWORD), ..UpdatePerson::default() };
    people.update(ActorKind::Operator, person.workspace_id, person.id, &change).await.unwrap();
    let changes = json!({"email": "mallory@example.com", "groups": ["admins"]});
    company.assert_rejected(&with(ada(), &changes), 403, "has a local password").await;
    let unchanged = company.person("ada@example.com").await;
    assert_eq!((&unchanged["id"], &unchanged["isAdmin"]), (&json!(person.id.get()), &json!(false)));
}
