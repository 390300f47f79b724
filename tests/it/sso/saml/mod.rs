//! Sign-in through a SAML provider, and attacks on it.

mod admission;
mod attacks;
mod browser;
mod sessions;

use std::{fs, path::PathBuf};

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokenward::config::Config;

use crate::support::{
    Browser, Database, Engine, TestApp, TestResponse, both_databases,
    saml::{Person, Request, SamlProvider, SigningKey},
};

const USERS: &str = "[[sso.adfs.allow]]\ngroup = \"users\"\nworkspace = 1\ntoken_access = \"enabled\"\n";
const ADMINS: &str = "[[sso.adfs.allow]]\ngroup = \"admins\"\nworkspace = 1\nadmin = true\n";
const TOKENS: &str = "/preferences/access-tokens";
const URL: &str = "http://127.0.0.1:3005";

/// The service with a SAML provider `adfs`.
struct SamlApp {
    app: TestApp,
    provider: SamlProvider,
    folder: TempDir,
}

/// Returns the configuration of a provider whose metadata a file has.
fn to_toml(metadata: &std::path::Path, more: &str) -> String {
    format!(
        "public_url = \"{URL}\"\n[sso.adfs]\nkind = \"saml\"\nmetadata_file = {metadata:?}\n{more}\n{USERS}{ADMINS}"
    )
}

impl SamlApp {
    async fn start(engine: Engine) -> Self {
        Self::start_with(engine, "").await
    }

    /// Starts the service with further keys of the provider.
    async fn start_with(engine: Engine, more: &str) -> Self {
        let provider = SamlProvider::new();
        let metadata = provider.metadata();
        Self::configured(engine, provider, &metadata, |file| to_toml(file, more)).await
    }

    async fn configured(
        engine: Engine,
        provider: SamlProvider,
        metadata: &str,
        to_toml: impl FnOnce(&std::path::Path) -> String,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file: PathBuf = folder.path().join("idp.xml");
        fs::write(&file, metadata).unwrap();
        let parsed: Config = toml::from_str(&to_toml(&file)).unwrap();
        let app = TestApp::start_with(Database::migrated(engine).await, |config| config.sso = parsed.sso);
        Self { app: app.await, provider, folder }
    }

    /// Begins a sign-in and returns the request to the provider.
    async fn begin(&self, browser: &Browser, path: &str) -> Request {
        let response = browser.get(path).await.expect(303);
        let location = response.header_values("location")[0].to_owned();
        assert!(location.starts_with("https://idp.example/sso?SAMLRequest="), "{location}");
        Request::of(&location)
    }

    /// Posts a response as a form of another site, which carries no cookie.
    async fn post(&self, response: &str) -> TestResponse {
        self.post_to("/sign-in/adfs/acs", response, "https://evil.example/").await
    }

    async fn post_to(&self, path: &str, response: &str, relay_state: &str) -> TestResponse {
        // Of another address each time, which has a limit of its own.
        let client = self.app.browser().with_address(&format!("2001:db8:{:x}::1", rand::random::<u16>()));
        let fields = [("SAMLResponse", response), ("RelayState", relay_state)];
        let mut request = client.form_request(path, &fields);
        for (name, value) in [("origin", "https://idp.example"), ("sec-fetch-site", "cross-site")] {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let response = client.send(request).await;
        assert!(response.header_values("set-cookie").is_empty(), "{:?}", response.header_values("set-cookie"));
        response
    }

    /// Posts a response and returns the path to which the browser is redirected.
    async fn accept(&self, response: &str) -> String {
        let accepted = self.post(response).await.expect(303);
        let location = accepted.header_values("location")[0].to_owned();
        assert!(location.starts_with("/sign-in/adfs/done?response="), "{location}");
        location
    }

    /// Signs a person in.
    async fn sign_in(&self, browser: &Browser, person: &Person) -> TestResponse {
        self.answer(browser, "/sign-in/adfs", person).await
    }

    /// Begins at a path, and completes as a person.
    async fn answer(&self, browser: &Browser, path: &str, person: &Person) -> TestResponse {
        let request = self.begin(browser, path).await;
        let location = self.accept(&self.provider.respond(&request, person)).await;
        browser.get(&location).await
    }

    /// Asserts that a sign-in fails with this status and text, and that there is no session.
    async fn assert_rejected(&self, person: &Person, status: u16, text: &str) {
        let browser = self.app.browser();
        let page = self.sign_in(&browser, person).await.expect(status);
        assert!(page.text.contains(text), "{text}: {}", page.text);
        assert_eq!(browser.session_cookie(), None, "{text}");
    }

    async fn person(&self, email: &str) -> Value {
        let people = self.app.admin().get(&format!("/v4/people?email={email}")).await.expect(200);
        people.rows().first().cloned().unwrap_or_default()
    }

    async fn events(&self) -> Vec<Value> {
        self.app.state.denied_attempts().flush(true).await.unwrap();
        self.app.admin().get("/v4/events?allUsers=true&limit=100").await.expect(200).rows().clone()
    }
}

#[apply(both_databases)]
async fn a_person_signs_in_and_gets_an_account(engine: Engine) {
    let company = SamlApp::start(engine).await;
    let page = company.app.browser().get("/sign-in?next=/preferences/profile").await.expect(200);
    let link = r#"<a class="button wide" href="/sign-in/adfs?next=%2Fpreferences%2Fprofile">Sign in with adfs</a>"#;
    assert!(page.text.contains(link), "{}", page.text);
    let browser = company.app.browser();
    let request = company.begin(&browser, "/sign-in/adfs?next=%2Fpreferences%2Fprofile").await;
    assert_eq!(request.acs_url, format!("{URL}/sign-in/adfs/acs"));
    assert_eq!(request.issuer, format!("{URL}/sign-in/adfs/metadata"));
    assert!(!request.document.contains("ForceAuthn") && request.document.contains("nameid-format:persistent"));
    assert!(!request.parameters.contains_key("RelayState") && !request.parameters.contains_key("Signature"));
    let location = company.accept(&company.provider.respond(&request, &Person::ada())).await;
    let response = browser.get(&location).await.expect(303);
    assert_eq!(response.header_values("location"), ["/preferences/profile"]);
    assert_eq!(browser.flow_cookie(), None);
    let profile = browser.get("/preferences/profile").await.expect(200);
    assert!(profile.text.contains("ada@example.com"), "{}", profile.text);
    let person = company.person("ada@example.com").await;
    assert_eq!(
        (&person["name"], &person["isAdmin"], &person["tokenAccess"], &person["ssoPrincipal"]),
        (&json!("Ada"), &json!(false), &json!("enabled"), &json!("ada@example.com"))
    );
    // The same account again, with a new session value and a changed address.
    let first = browser.session_cookie();
    company.sign_in(&browser, &Person::ada().with("email", &["ada.lovelace@example.com"])).await.expect(303);
    assert_ne!(browser.session_cookie(), first);
    assert_eq!(company.person("ada.lovelace@example.com").await["id"], person["id"]);
    let actions: Vec<Value> = company.events().await.iter().map(|event| event["action"].clone()).collect();
    for action in ["person.added", "session.created", "person.changed"] {
        assert!(actions.contains(&json!(action)), "{action}: {actions:?}");
    }
}

#[apply(both_databases)]
async fn the_metadata_of_the_service_has_the_public_url(engine: Engine) {
    let company = SamlApp::start(engine).await;
    let client = company.app.browser();
    let mut request = client.request("GET", "/sign-in/adfs/metadata", axum::body::Body::empty());
    request.headers_mut().insert("host", "evil.example".parse().unwrap());
    let metadata = client.send(request).await.expect(200);
    assert_eq!(metadata.header_values("content-type"), ["application/samlmetadata+xml"]);
    for part in [
        &format!("entityID=\"{URL}/sign-in/adfs/metadata\""),
        &format!("Location=\"{URL}/sign-in/adfs/acs\""),
        "WantAssertionsSigned=\"true\"",
    ] {
        assert!(metadata.text.contains(part), "{part}: {}", metadata.text);
    }
    client.get("/sign-in/unknown/metadata").await.expect(404);
}

#[apply(both_databases)]
async fn a_sign_in_belongs_to_one_browser_and_is_used_once(engine: Engine) {
    let company = SamlApp::start(engine).await;
    let browser = company.app.browser();
    let request = company.begin(&browser, "/sign-in/adfs").await;
    let cookie = browser.flow_cookie();
    let location = company.accept(&company.provider.respond(&request, &Person::ada())).await;
    // HEAD and POST do not use it up, nor does a request without its reference.
    for method in ["HEAD", "POST"] {
        let mut request = browser.request(method, &location, axum::body::Body::empty());
        request.headers_mut().insert("origin", URL.parse().unwrap());
        assert_eq!(browser.send(request).await.status, 404, "{method}");
    }
    for query in ["", "?response=", "?response=x", "?response=x&response=y"] {
        browser.get(&format!("/sign-in/adfs/done{query}")).await.expect(403);
        browser.set_flow_cookie(cookie.clone());
    }
    browser.get(&location).await.expect(303);
    assert!(browser.session_cookie().is_some());
    let replay = company.app.browser();
    replay.set_flow_cookie(cookie);
    replay.get(&location).await.expect(403);
    assert_eq!(replay.session_cookie(), None);
}

/// An attacker posts a response for their own account from the browser of a victim, or reads a victim's.
#[apply(both_databases)]
async fn a_response_is_only_for_the_browser_that_asked(engine: Engine) {
    let company = SamlApp::start(engine).await;
    let (victim, attacker) = (company.app.browser(), company.app.browser());
    let of_attacker = company.begin(&attacker, "/sign-in/adfs").await;
    // Without a flow, and with a flow of its own.
    for begins in [false, true] {
        if begins {
            company.begin(&victim, "/sign-in/adfs").await;
        }
        let location = company.accept(&company.provider.respond(&of_attacker, &Person::ada())).await;
        let page = victim.get(&location).await.expect(403);
        assert!(page.text.contains("not begun in this browser"), "{}", page.text);
        assert_eq!(victim.session_cookie(), None);
        // The response is used up.
        attacker.get(&location).await.expect(403);
        assert_eq!(attacker.session_cookie(), None);
        company.begin(&attacker, "/sign-in/adfs").await;
    }
}

#[apply(both_databases)]
async fn the_flow_of_one_provider_is_not_accepted_at_another(engine: Engine) {
    let provider = SamlProvider::new();
    let metadata = provider.metadata();
    let twin = |file: &std::path::Path| {
        let first = to_toml(file, "");
        let second = first.split_once('\n').unwrap().1.replace("sso.adfs", "sso.other");
        format!("{first}{second}")
    };
    let company = SamlApp::configured(engine, provider, &metadata, twin).await;
    let browser = company.app.browser();
    // Another provider of the same issuer: the response names the other address and audience.
    let request = company.begin(&browser, "/sign-in/adfs").await;
    let response = company.provider.respond(&request, &Person::ada());
    company.post_to("/sign-in/other/acs", &response, "").await.expect(403);
    company.post_to("/sign-in/unknown/acs", &response, "").await.expect(404);
    let location = company.accept(&response).await;
    let cookie = browser.flow_cookie();
    browser.get(&location.replace("/adfs/", "/other/")).await.expect(403);
    browser.set_flow_cookie(cookie);
    browser.get(&location.replace("/adfs/", "/unknown/")).await.expect(404);
    // A response of the other provider for a request of the first one.
    let mut mixed = company.begin(&browser, "/sign-in/adfs").await;
    let other = company.begin(&company.app.browser(), "/sign-in/other").await;
    (mixed.acs_url, mixed.issuer) = (other.acs_url, other.issuer);
    let accepted = company.post_to("/sign-in/other/acs", &company.provider.respond(&mixed, &Person::ada()), "").await;
    let location = accepted.expect(303).header_values("location")[0].to_owned();
    browser.get(&location).await.expect(403);
    assert_eq!(browser.session_cookie(), None);
    company.app.browser().get("/sign-in/unknown").await.expect(404);
}

#[apply(both_databases)]
async fn the_way_back_is_a_page_of_this_service(engine: Engine) {
    let company = SamlApp::start(engine).await;
    for next in ["//evil.example", "https://evil.example", "/\\evil.example", "/v4/people", "javascript:alert(1)"] {
        let encoded: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
        let path = format!("/sign-in/adfs?next={encoded}");
        let response = company.answer(&company.app.browser(), &path, &Person::ada()).await.expect(303);
        assert_eq!(response.header_values("location"), [TOKENS], "{next}");
    }
    // The relay state is never an address, and never shown.
    for relay_state in ["//evil.example", "https://evil.example/", "<b>evil.example</b>", &"x".repeat(9_000)] {
        let browser = company.app.browser();
        let request = company.begin(&browser, "/sign-in/adfs").await;
        let response = company.provider.respond(&request, &Person::ada());
        let accepted = company.post_to("/sign-in/adfs/acs", &response, relay_state).await.expect(303);
        let again = company.post_to("/sign-in/adfs/acs", &response, relay_state).await.expect(403);
        assert!(!again.text.contains("evil.example"), "{}", again.text);
        let done = browser.get(accepted.header_values("location")[0]).await.expect(303);
        assert_eq!(done.header_values("location"), [TOKENS]);
    }
}

#[apply(both_databases)]
async fn every_key_of_the_metadata_is_accepted_and_no_other(engine: Engine) {
    let (mut provider, next) = (SamlProvider::new(), SigningKey::generate());
    // An expired certificate is a warning only: providers renew keys rather than certificates.
    let metadata = provider.metadata_with(&[&provider.key, &next], "250101");
    let old = std::mem::replace(&mut provider.key, next);
    let mut company = SamlApp::configured(engine, provider, &metadata, |file| to_toml(file, "")).await;
    company.sign_in(&company.app.browser(), &Person::ada()).await.expect(303);
    company.provider.key = old;
    company.sign_in(&company.app.browser(), &Person::ada()).await.expect(303);
    company.provider.key = SigningKey::generate();
    let browser = company.app.browser();
    let request = company.begin(&browser, "/sign-in/adfs").await;
    let page = company.post(&company.provider.respond(&request, &Person::ada())).await.expect(403);
    assert!(page.text.contains("adfs did not sign you in"), "{}", page.text);
    assert!(company.folder.path().exists());
}

#[apply(both_databases)]
async fn strangers_cannot_begin_sign_ins_without_limit(engine: Engine) {
    let company = SamlApp::start(engine).await;
    let browser = company.app.browser().with_address("192.0.2.7");
    let mut statuses = Vec::new();
    for _ in 0..45 {
        let mut request = browser.form_request("/sign-in/adfs/acs", &[("SAMLResponse", "x")]);
        request.headers_mut().insert("origin", "null".parse().unwrap());
        statuses.push(browser.send(request).await.status);
    }
    assert_eq!((statuses[0], statuses[44]), (403, 429), "{statuses:?}");
}
