//! Sign-in through an `OpenID` provider, and attacks on it.

mod admission;
mod browser;
mod linking;
mod reaffirmation;
mod sessions;

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};
use tokenward::config::{Config, ConfigDuration};

use crate::support::{
    Browser, Database, Engine, PASSWORD, TestApp, TestResponse, basic_auth, both_databases,
    openid::{Mode, OpenIdProvider},
};

const USERS: &str = "[[sso.login.allow]]\ngroup = \"users\"\nworkspace = 1\ntoken_access = \"enabled\"\n";
const ADMINS: &str = "[[sso.login.allow]]\ngroup = \"admins\"\nworkspace = 1\nadmin = true\n";
const TOKENS: &str = "/preferences/access-tokens";

/// The service with an `OpenID` provider `login`.
struct OpenIdApp {
    app: TestApp,
    provider: OpenIdProvider,
}

impl OpenIdApp {
    async fn start(engine: Engine) -> Self {
        Self::start_with(engine, &format!("{USERS}{ADMINS}")).await
    }

    async fn start_with(engine: Engine, rules: &str) -> Self {
        Self::configured(engine, rules, |_| ()).await
    }

    async fn configured(engine: Engine, rules: &str, change: impl FnOnce(&mut Config)) -> Self {
        let provider = OpenIdProvider::start().await;
        let parsed: Config = toml::from_str(&provider.to_toml(rules)).unwrap();
        let app = TestApp::start_with(Database::migrated(engine).await, |config| {
            config.sso = parsed.sso;
            change(config);
        });
        Self { app: app.await, provider }
    }

    /// Begins a sign-in and returns the URL of the provider.
    async fn begin(&self, browser: &Browser, path: &str) -> String {
        let response = browser.get(path).await.expect(303);
        let location = response.header_values("location")[0].to_owned();
        assert!(location.starts_with(&format!("{}/authorize?", self.provider.issuer)), "{location}");
        location
    }

    /// Returns the path of the callback for a person with these claims.
    fn callback(&self, location: &str, claims: &Value) -> String {
        let code = self.provider.issue_code(location, claims);
        format!("/sign-in/login/callback?{}", encode(&[("state", &state_of(location)), ("code", &code)]))
    }

    /// Signs a person with these claims in.
    async fn sign_in(&self, browser: &Browser, claims: &Value) -> TestResponse {
        let location = self.begin(browser, "/sign-in/login").await;
        browser.get(&self.callback(&location, claims)).await
    }

    /// Asserts that a sign-in fails with this status and text, and that there is no session.
    async fn assert_rejected(&self, claims: &Value, status: u16, text: &str) {
        let browser = self.app.browser();
        let page = self.sign_in(&browser, claims).await.expect(status);
        assert!(page.text.contains(text), "{claims}: {}", page.text);
        assert_eq!(browser.session_cookie(), None, "{claims}");
    }

    async fn person(&self, email: &str) -> Value {
        let people = self.app.admin().get(&format!("/v4/people?email={email}")).await.expect(200);
        people.rows().first().cloned().unwrap_or_default()
    }

    async fn actions(&self) -> Vec<String> {
        self.app.state.denied_attempts().flush(true).await.unwrap();
        let events = self.app.admin().get("/v4/events?allUsers=true&limit=100").await.expect(200);
        events.rows().iter().map(|event| event["action"].as_str().unwrap().to_owned()).collect()
    }
}

/// Encodes the parameters of a query string.
fn encode(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

fn state_of(location: &str) -> String {
    let url: reqwest::Url = location.parse().unwrap();
    url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned()
}

fn ada() -> Value {
    json!({"sub": "ada-1", "email": "ada@example.com", "email_verified": true, "name": "Ada", "preferred_username": "ada",
        "groups": ["users"], "auth_time": 1_767_225_600})
}

/// Returns these claims with other values.
fn with(mut claims: Value, changes: &Value) -> Value {
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    claims
}

#[apply(both_databases)]
async fn a_person_signs_in_and_gets_an_account(engine: Engine) {
    let company = OpenIdApp::start(engine).await;
    let page = company.app.browser().get("/sign-in?next=/preferences/profile").await.expect(200);
    let link = r#"<a class="button wide" href="/sign-in/login?next=%2Fpreferences%2Fprofile">Sign in with login</a>"#;
    assert!(page.text.contains(link), "{}", page.text);
    let browser = company.app.browser();
    let location = company.begin(&browser, "/sign-in/login?next=%2Fpreferences%2Fprofile").await;
    for part in
        ["response_type=code", "code_challenge_method=S256", "scope=openid+profile+email+groups", "client_id=tokenward"]
    {
        assert!(location.contains(part), "{location}");
    }
    assert!(!location.contains("prompt="), "{location}");
    let response = browser.get(&company.callback(&location, &ada())).await.expect(303);
    assert_eq!(response.header_values("location"), ["/preferences/profile"]);
    assert_eq!(browser.flow_cookie(), None);
    let profile = browser.get("/preferences/profile").await.expect(200);
    assert!(profile.text.contains("ada@example.com"), "{}", profile.text);
    let person = company.person("ada@example.com").await;
    assert_eq!(
        (&person["name"], &person["isAdmin"], &person["tokenAccess"], &person["ssoPrincipal"]),
        (&json!("Ada"), &json!(false), &json!("enabled"), &json!("ada"))
    );
    // The same account again, with a new session value and a changed address.
    let first = browser.session_cookie();
    let moved = with(ada(), &json!({"email": "ada.lovelace@example.com"}));
    company.sign_in(&browser, &moved).await.expect(303);
    assert_ne!(browser.session_cookie(), first);
    let again = company.person("ada.lovelace@example.com").await;
    assert_eq!(again["id"], person["id"]);
    let actions = company.actions().await;
    for action in ["person.added", "session.created", "person.changed"] {
        assert!(actions.iter().any(|other| other == action), "{action}: {actions:?}");
    }
}

#[apply(both_databases)]
async fn a_sign_in_belongs_to_one_browser_and_is_used_once(engine: Engine) {
    let company = OpenIdApp::start(engine).await;
    let browser = company.app.browser();
    let location = company.begin(&browser, "/sign-in/login").await;
    let cookie = browser.flow_cookie();
    let path = company.callback(&location, &ada());
    // Another browser, with its own sign-in or none.
    let other = company.app.browser();
    other.get(&path).await.expect(403);
    company.begin(&other, "/sign-in/login").await;
    other.get(&path).await.expect(403);
    assert_eq!(other.session_cookie(), None);
    // HEAD and POST do not use it up, nor does a callback without its state.
    for method in ["HEAD", "POST"] {
        let mut request = browser.request(method, &path, axum::body::Body::empty());
        request.headers_mut().insert("origin", "http://127.0.0.1:3005".parse().unwrap());
        assert_eq!(browser.send(request).await.status, 404, "{method}");
    }
    browser.set_flow_cookie(cookie.clone());
    for query in ["", "?code=x", "?state=x&code=y", "?state=&code="] {
        browser.get(&format!("/sign-in/login/callback{query}")).await.expect(403);
        browser.set_flow_cookie(cookie.clone());
    }
    browser.get(&path).await.expect(303);
    assert!(browser.session_cookie().is_some());
    let replay = company.app.browser();
    replay.set_flow_cookie(cookie);
    replay.get(&path).await.expect(403);
    assert_eq!(replay.session_cookie(), None);
    // It ends after ten minutes.
    let late = company.app.browser();
    let location = company.begin(&late, "/sign-in/login").await;
    company.app.advance_seconds(600);
    late.get(&company.callback(&location, &with(ada(), &json!({"iat": 1_767_226_200, "exp": 1_767_226_500}))))
        .await
        .expect(403);
    assert_eq!(late.session_cookie(), None);
    assert!(company.app.state.sign_in().purge_sign_in_flows().await.unwrap() > 0);
}

#[apply(both_databases)]
async fn the_flow_of_one_provider_is_not_accepted_at_another(engine: Engine) {
    let provider = OpenIdProvider::start().await;
    let twin = provider.to_toml(USERS).replace("sso.login", "sso.other");
    let twin = twin.split_once('\n').unwrap().1.to_owned();
    let parsed: Config = toml::from_str(&format!("{}{twin}", provider.to_toml(USERS))).unwrap();
    let app = TestApp::start_with(Database::migrated(engine).await, |config| config.sso = parsed.sso).await;
    let company = OpenIdApp { app, provider };
    let browser = company.app.browser();
    let location = company.begin(&browser, "/sign-in/login").await;
    let path = company.callback(&location, &ada());
    browser.get(&path.replace("/login/", "/other/")).await.expect(403);
    browser.get(&path.replace("/login/", "/unknown/")).await.expect(404);
    assert_eq!(browser.session_cookie(), None);
    company.app.browser().get("/sign-in/unknown").await.expect(404);
}

#[apply(both_databases)]
async fn a_callback_of_another_issuer_or_with_another_code_is_rejected(engine: Engine) {
    let company = OpenIdApp::start(engine).await;
    let browser = company.app.browser();
    let location = company.begin(&browser, "/sign-in/login").await;
    let path = company.callback(&location, &ada());
    browser.get(&format!("{path}&iss=https%3A%2F%2Fother.example")).await.expect(403);
    let location = company.begin(&browser, "/sign-in/login").await;
    let path = company.callback(&location, &ada());
    let issuer = encode(&[("iss", &company.provider.issuer)]);
    browser.get(&format!("{path}&{issuer}")).await.expect(303);
    // The code of a victim, with the attacker's own sign-in.
    let (victim, attacker) = (company.app.browser(), company.app.browser());
    let location = company.begin(&victim, "/sign-in/login").await;
    let code = company.provider.issue_code(&location, &ada());
    let location = company.begin(&attacker, "/sign-in/login").await;
    let query = encode(&[("state", &state_of(&location)), ("code", &code)]);
    attacker.get(&format!("/sign-in/login/callback?{query}")).await.expect(403);
    assert_eq!(attacker.session_cookie(), None);
}

#[apply(both_databases)]
async fn a_provider_that_fails_affects_its_own_sign_ins_only(engine: Engine) {
    let company = OpenIdApp::start(engine).await;
    let token = company.app.admin().create_token().await;
    company.provider.set_mode(Mode::Broken);
    let page = company.app.browser().get("/sign-in/login").await.expect(503);
    assert_eq!(page.header_values("retry-after"), ["60"]);
    assert!(page.text.contains("login did not respond as expected"), "{}", page.text);
    assert!(token.is_accepted().await);
    company.app.browser().sign_in("admin@example.com", PASSWORD).await.expect(303);
    company.provider.set_mode(Mode::Normal);
    let browser = company.app.browser();
    let location = company.begin(&browser, "/sign-in/login").await;
    let path = company.callback(&location, &ada());
    company.provider.set_mode(Mode::Broken);
    browser.get(&path).await.expect(503);
    company.provider.set_mode(Mode::Normal);
    company.sign_in(&browser, &ada()).await.expect(303);
}

/// The limit of the request ends later than the time of the provider.
#[apply(both_databases)]
async fn a_silent_provider_has_a_response_of_its_own(engine: Engine) {
    let rules = format!("{USERS}{ADMINS}");
    let company = OpenIdApp::configured(engine, &rules, |config| {
        config.http.request_timeout = ConfigDuration::from_secs(3);
    });
    let company = company.await;
    company.provider.set_mode(Mode::Silent);
    let page = company.app.browser().get("/sign-in/login").await.expect(503);
    assert!(page.text.contains("login did not respond as expected"), "{}", page.text);
    company.app.admin().get("/v4/people/current").await.expect(200);
}

#[apply(both_databases)]
async fn the_way_back_is_a_page_of_this_service(engine: Engine) {
    let company = OpenIdApp::start(engine).await;
    for next in ["//evil.example", "https://evil.example", "/\\evil.example", "/v4/people", "javascript:alert(1)"] {
        let browser = company.app.browser();
        let path = format!("/sign-in/login?{}", encode(&[("next", next)]));
        let location = company.begin(&browser, &path).await;
        let response = browser.get(&company.callback(&location, &ada())).await.expect(303);
        assert_eq!(response.header_values("location"), [TOKENS], "{next}");
    }
}

#[apply(both_databases)]
async fn strangers_cannot_begin_sign_ins_without_limit(engine: Engine) {
    let company = OpenIdApp::start(engine).await;
    let browser = company.app.browser().with_address("192.0.2.7");
    let mut statuses = Vec::new();
    for _ in 0..45 {
        statuses.push(browser.get("/sign-in/login").await.status);
    }
    assert_eq!((statuses[0], statuses[44]), (303, 429), "{statuses:?}");
}

/// The text is the same for all names, so that it does not tell which accounts exist.
#[apply(both_databases)]
async fn a_rejected_password_names_the_way_to_a_first_token(engine: Engine) {
    let company = OpenIdApp::start(engine).await;
    company.sign_in(&company.app.browser(), &ada()).await.expect(303);
    for name in ["admin@example.com", "ada@example.com", "unknown@example.com"] {
        let credential = basic_auth(name, "wrong password of an account");
        let client = company.app.client_with_authorization(&[&credential]);
        let details = client.get("/v4/people/current").await.expect_error(401, "MissingPersonException");
        assert!(details.contains("generate a token on the pages of this service"), "{name}: {details}");
    }
}
