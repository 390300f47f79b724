//! Tokens pause when their owner has not signed in through the provider for too long.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;
use tokenward::{
    config::Config,
    service::people::{ActorKind, UpdatePerson},
};

use super::{OpenIdApp, TOKENS, USERS, ada, with};
use crate::support::{Browser, Engine, PASSWORD, TestApp, both_databases};

const DAY: i64 = 86_400;

fn rules() -> String {
    format!("reaffirm_after = \"30d\"\n{USERS}")
}

/// Generates a token on the page and returns its value.
async fn generate(browser: &Browser) -> String {
    let path = "/preferences/access-tokens/generate";
    let form_id = browser.fetch_form_id().await;
    let fields = [("form", &*form_id), ("lifetime", "90")];
    let page = browser.post(path, &fields).await.expect(200).text;
    let start = page.find("twd_").unwrap_or_else(|| panic!("no token: {page}"));
    page[start..].chars().take_while(|char| char.is_ascii_alphanumeric() || *char == '_').collect()
}

async fn status(app: &TestApp, value: &str) -> u16 {
    app.client_with_authorization(&[&format!("Bearer {value}")]).get("/v4/auth").await.status
}

#[apply(both_databases)]
async fn tokens_pause_until_the_next_sign_in(engine: Engine) {
    let company = OpenIdApp::start_with(engine, &rules()).await;
    let app = &company.app;
    let browser = app.browser();
    company.sign_in(&browser, &ada()).await.expect(303);
    let value = generate(&browser).await;
    let page = browser.get(TOKENS).await.expect(200).text;
    let pauses =
        r#"Your tokens pause <time data-exact>2026-01-31 00:00:00Z</time> unless you sign in through login again"#;
    assert!(page.contains(pauses), "{page}");
    let id = company.person("ada@example.com").await["id"].clone();
    let admin = app.signed_in_browser("admin@example.com").await;
    let user_page = admin.get(&format!("/admin/users/{id}")).await.expect(200).text;
    assert!(user_page.contains("Tokens pause <time data-exact>2026-01-31"), "{user_page}");
    assert!(!admin.get(TOKENS).await.expect(200).text.contains("pause"), "a local person's tokens do not pause");

    app.advance_seconds(30 * DAY - 1);
    assert_eq!(status(app, &value).await, 200);
    app.advance_seconds(1);
    assert_eq!(status(app, &value).await, 401);
    let client = app.client_with_authorization(&[&format!("Bearer {value}")]);
    client.post("/v4/apiAccessTokens", &json!({"lifetimeSeconds": -1})).await.expect(401);
    let asker = app.admin();
    let mut request = asker.request("POST", "/oauth2/introspect", format!("token={value}").into());
    request.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    assert_eq!(asker.send(request).await.expect(200).json, json!({"active": false}));

    let again = app.browser();
    let claims = with(ada(), &json!({"iat": 1_769_817_600, "exp": 1_769_817_900, "auth_time": 1_769_817_600}));
    company.sign_in(&again, &claims).await.expect(303);
    assert_eq!(status(app, &value).await, 200);
    assert!(again.get(TOKENS).await.expect(200).text.contains("Your tokens pause <time data-exact>2026-03-02"));
    app.advance_seconds(30 * DAY - 1);
    assert_eq!(status(app, &value).await, 200);
}

/// The node that has a paused token in its cache reads the database before it rejects it.
#[tokio::test]
async fn a_sign_in_on_one_node_resumes_tokens_on_all() {
    let company = OpenIdApp::start_with(Engine::Postgres, &rules()).await;
    let browser = company.app.browser();
    company.sign_in(&browser, &ada()).await.expect(303);
    let value = generate(&browser).await;
    let parsed: Config = toml::from_str(&company.provider.to_toml(&rules())).unwrap();
    let other = TestApp::start_with(company.app.database.for_another_node(), |config| config.sso = parsed.sso).await;
    assert_eq!(status(&other, &value).await, 200);
    for app in [&company.app, &other] {
        app.advance_seconds(40 * DAY);
        assert_eq!(status(app, &value).await, 401);
    }
    let now = 1_767_225_600 + 40 * DAY;
    let claims = with(ada(), &json!({"iat": now, "exp": now + 300, "auth_time": now}));
    company.sign_in(&company.app.browser(), &claims).await.expect(303);
    for app in [&company.app, &other] {
        assert_eq!(status(app, &value).await, 200);
    }
}

/// A person with a local password cannot sign in through the provider, and needs no reaffirmation.
#[apply(both_databases)]
async fn a_local_password_ends_the_pause(engine: Engine) {
    let company = OpenIdApp::start_with(engine, &rules()).await;
    let browser = company.app.browser();
    company.sign_in(&browser, &ada()).await.expect(303);
    let value = generate(&browser).await;
    company.app.advance_seconds(31 * DAY);
    assert_eq!(status(&company.app, &value).await, 401);
    let people = company.app.state.people();
    let person = people.find_by_email("ada@example.com").await.unwrap();
    let update = UpdatePerson { password: Some(PASSWORD), ..UpdatePerson::default() };
    people.update(ActorKind::Operator, person.workspace_id, person.id, &update).await.unwrap();
    assert_eq!(status(&company.app, &value).await, 200);
}

/// A token that was cached before the link, or before the move to this provider, pauses as well.
#[apply(both_databases)]
async fn tokens_from_before_the_link_pause(engine: Engine) {
    let company = OpenIdApp::start_with(engine, &rules()).await;
    let app = &company.app;
    let other = match engine {
        Engine::Postgres => {
            let parsed: Config = toml::from_str(&company.provider.to_toml(&rules())).unwrap();
            Some(TestApp::start_with(app.database.for_another_node(), |config| config.sso = parsed.sso).await)
        }
        Engine::Sqlite => None,
    };
    app.set_setting("allowUsers", true).await;
    let mut tokens = Vec::new();
    for (name, provider) in [("ada", "login"), ("grace", "old")] {
        let client = app.add_person(name).await;
        let token = client.create_token_with(json!({"lifetimeSeconds": 90 * DAY})).await;
        let person = app.state.people().find_by_email(&client.email).await.unwrap();
        for app in [Some(app), other.as_ref()].into_iter().flatten() {
            assert_eq!(status(app, &token.value).await, 200, "cached");
        }
        let account = (provider, company.provider.issuer.as_str());
        app.state.identities().link_subject(&person, account, name, name.to_owned()).await.unwrap();
        if provider == "old" {
            assert_eq!(status(app, &token.value).await, 200, "cached again, with the old provider");
            let found = app.state.identities().list_of_provider("old").await.unwrap().remove(0);
            let account = ("login", company.provider.issuer.as_str());
            app.state.identities().move_to(&found, account, name, name.to_owned()).await.unwrap();
        }
        tokens.push(token.value);
    }
    for app in [Some(app), other.as_ref()].into_iter().flatten() {
        app.advance_seconds(30 * DAY - 60);
        for value in &tokens {
            assert_eq!(status(app, value).await, 200);
        }
        app.advance_seconds(120);
        for value in &tokens {
            assert_eq!(status(app, value).await, 401);
        }
    }
}
