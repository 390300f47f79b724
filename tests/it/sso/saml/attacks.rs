//! Responses that are not accepted.

use std::{fs, path::Path};

use axum::body::Body;
use futures_util::future::join_all;
use rstest::rstest;
use rstest_reuse::apply;
use serde_json::Value;
use tokenward::{
    config::Config,
    domain::{
        sign_in_flow::{FlowPurpose, SignInFlow, TextDigest},
        time::Timestamp,
    },
};

use super::SamlApp;
use crate::support::{
    Database, Engine, TestApp, both_databases,
    saml::{Person, Request, Signed, TEST_TIME, encode},
};

/// Replaces the only occurrence of a text.
fn edit(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from} is not there exactly once: {text}");
    text.replacen(from, to, 1)
}

/// Returns the part from the first text to the end of the second one.
fn part<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let start = text.find(from).unwrap();
    &text[start..start + text[start..].find(to).unwrap() + to.len()]
}

/// Returns signed responses that deviate from what is expected.
fn deviations(company: &SamlApp, request: &Request) -> Vec<(&'static str, String)> {
    let written = || company.provider.write(request, &Person::ada());
    let sign = |text: &str| company.provider.sign(text, Signed::Both);
    let edited = |from: &str, to: &str| sign(&edit(&written(), from, to));
    let all = |from: &str, to: &str| sign(&written().replace(from, to));
    let audience = format!("<saml:Audience>{}<", request.issuer);
    let of_algorithm = |from: &'static str, to: &'static str| {
        company.provider.sign_with(&written(), Signed::Both, |signed_info| edit(signed_info, from, to))
    };
    let (ecdsa, sha1) = ("xmldsig-more#ecdsa-sha256", "xmldsig-more#ecdsa-sha1");
    let xpath =
        r#"<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"></ds:Transform></ds:Transforms>"#;
    vec![
        ("another audience", edited(&audience, "<saml:Audience>https://other.example<")),
        ("another recipient", edited("Recipient=\"http://127.0.0.1:3005/", "Recipient=\"http://127.0.0.1:3006/")),
        ("another destination", edited("Destination=\"http://127.0.0.1:3005/", "Destination=\"http://127.0.0.1:3006/")),
        ("another issuer", all(&format!("Issuer>{}<", company.provider.entity_id), "Issuer>https://other.example<")),
        ("unsolicited", all(&format!(" InResponseTo=\"{}\"", request.id), "")),
        ("encrypted", sign(&written()).replace("saml:Assertion", "saml:EncryptedAssertion")),
        ("no bearer", edited("cm:bearer", "cm:holder-of-key")),
        ("a failed status", edited("status:Success", "status:AuthnFailed")),
        ("SHA-1", of_algorithm(ecdsa, sha1)),
        ("HMAC", of_algorithm(ecdsa, "xmldsig-more#hmac-sha256")),
        ("XPath", of_algorithm("</ds:Transforms>", xpath)),
        (
            "empty URI",
            company.provider.sign_with(&written(), Signed::Both, |signed_info| {
                edit(signed_info, part(signed_info, "URI=\"#", "\">"), "URI=\"\">")
            }),
        ),
        ("61 seconds early", sign(&company.provider.write(request, &Person::ada().at(TEST_TIME + 61)))),
        ("61 seconds late", sign(&company.provider.write(request, &Person::ada().at(TEST_TIME - 361)))),
        ("unsigned", company.provider.sign(&written(), Signed::Nothing)),
    ]
}

/// Returns responses that were changed after they were signed.
fn changes(company: &SamlApp, request: &Request) -> Vec<(&'static str, String)> {
    let written = company.provider.write(request, &Person::ada());
    let (both, one) =
        (company.provider.sign(&written, Signed::Both), company.provider.sign(&written, Signed::Assertion));
    let signature = part(&one, "<ds:Signature ", "</ds:Signature>");
    let assertion = part(&one, "<saml:Assertion ", "</saml:Assertion>");
    let bare = assertion.replace(signature, "");
    let forged = edit(&bare, ">ada-1<", ">eve-1<").replacen(" ID=\"_", " ID=\"_f", 1);
    let object =
        |inner: &str| signature.replace("</ds:Signature>", &format!("<ds:Object>{inner}</ds:Object></ds:Signature>"));
    let wrapped = |with: &str| edit(&one, assertion, with);
    let with_signature = |signature: &str| edit(&forged, "<saml:Subject>", &format!("{signature}<saml:Subject>"));
    vec![
        ("another name", edit(&both, ">ada-1<", ">eve-1<")),
        ("another group", edit(&both, ">users<", ">admins<")),
        ("the signature stripped", one.replace(signature, "")),
        ("a forged assertion before", wrapped(&format!("{forged}{assertion}"))),
        ("a forged assertion after", wrapped(&format!("{assertion}{forged}"))),
        (
            "the genuine one in the forged one",
            wrapped(&edit(&forged, "</saml:Assertion>", &format!("{assertion}</saml:Assertion>"))),
        ),
        ("the genuine one in the signature", wrapped(&with_signature(&object(&bare)))),
        (
            "the genuine one in extensions",
            wrapped(&format!("<samlp:Extensions>{assertion}</samlp:Extensions>{forged}")),
        ),
        ("the same ID twice", wrapped(&format!("{}{assertion}", edit(&bare, ">ada-1<", ">eve-1<")))),
        ("an ID with a namespace", one.replacen(" InResponseTo=", " xmlns:x=\"urn:x\" x:ID=\"_x\" InResponseTo=", 1)),
        ("a document type", format!("<!DOCTYPE x [<!ENTITY e \"eve\">]>{both}")),
        ("a processing instruction", edit(&both, "<saml:Subject>", "<?x y?><saml:Subject>")),
        ("deep nesting", format!("{}{}", "<a>".repeat(5_000), "</a>".repeat(5_000))),
        ("another document", "<html></html>".to_owned()),
        ("no document", String::new()),
    ]
}

#[apply(both_databases)]
async fn responses_that_deviate_are_rejected(engine: Engine) {
    let company = SamlApp::start(engine).await;
    let browser = company.app.browser();
    let request = company.begin(&browser, "/sign-in/adfs").await;
    let mut all = deviations(&company, &request);
    all.extend(changes(&company, &request));
    for (name, response) in &all {
        let page = company.post(&encode(response)).await;
        assert_eq!(page.status, 403, "{name}: {}", page.text);
        let is_explained =
            ["adfs did not sign you in", "was not begun in this browser"].iter().any(|text| page.text.contains(text));
        assert!(is_explained, "{name}: {}", page.text);
        assert!(page.text.contains("Sign in with adfs") && !page.text.contains("ada-1"), "{name}");
    }
    // Base64 that is not, and a form without the parameter.
    company.post("%%%").await.expect(403);
    let mut form = browser.form_request("/sign-in/adfs/acs", &[("other", "x")]);
    form.headers_mut().insert("origin", "null".parse().unwrap());
    browser.send(form).await.expect(400);
    // The limit of request bodies.
    let large = company.post(&"A".repeat(70_000)).await;
    assert_eq!(large.status, 413);
    let get = browser.request("GET", "/sign-in/adfs/acs", Body::empty());
    assert_eq!(browser.send(get).await.status, 404);
    // A comment inside a name is read as it was signed.
    let good = company.provider.sign(&company.provider.write(&request, &Person::ada()), Signed::Assertion);
    let location = company.accept(&encode(&edit(&good, ">ada-1<", ">ada<!-- x -->-1<"))).await;
    browser.get(&location).await.expect(303);
    let events: Vec<Value> = company.events().await;
    for secret in ["ada-1", request.id.as_str(), "SAMLResponse", "samlp:"] {
        assert!(events.iter().all(|event| !event.to_string().contains(secret)), "{secret}: {events:?}");
    }
    for signed in [Signed::Response, Signed::Assertion, Signed::Both] {
        let browser = company.app.browser();
        let request = company.begin(&browser, "/sign-in/adfs").await;
        let response = company.provider.sign(&company.provider.write(&request, &Person::ada()), signed);
        browser.get(&company.accept(&encode(&response)).await).await.expect(303);
    }
}

#[apply(both_databases)]
async fn a_response_is_accepted_once_on_all_nodes(engine: Engine) {
    let company = SamlApp::start(engine).await;
    let browser = company.app.browser();
    let request = company.begin(&browser, "/sign-in/adfs").await;
    let response = company.provider.respond(&request, &Person::ada());
    let at_once = join_all((0..4).map(|_| company.post(&response))).await;
    let mut accepted = at_once.iter().filter(|answer| answer.status == 303);
    let location = accepted.next().unwrap().header_values("location")[0].to_owned();
    assert!(accepted.next().is_none() && at_once.iter().filter(|answer| answer.status == 403).count() == 3);
    let cookie = browser.flow_cookie();
    let browsers: Vec<_> = (0..4).map(|_| company.app.browser()).collect();
    browsers.iter().for_each(|browser| browser.set_flow_cookie(cookie.clone()));
    let finished = join_all(browsers.iter().map(|browser| browser.get(&location))).await;
    let mut statuses: Vec<u16> = finished.iter().map(|response| response.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 403, 403, 403]);
    assert_eq!(browsers.iter().filter(|browser| browser.session_cookie().is_some()).count(), 1);
}

/// One node receives the response, and the other one completes the sign-in.
#[tokio::test]
async fn any_node_can_complete_a_sign_in() {
    let first = SamlApp::start(Engine::Postgres).await;
    let file = first.folder.path().join("idp.xml");
    let parsed: Config = toml::from_str(&super::to_toml(&file, "")).unwrap();
    let database = first.app.database.for_another_node();
    let second = TestApp::start_with(database, |config| config.sso = parsed.sso).await;
    let browser = first.app.browser();
    let request = first.begin(&browser, "/sign-in/adfs").await;
    let response = first.provider.respond(&request, &Person::ada());
    let location = first.accept(&response).await;
    let there = second.browser();
    there.set_flow_cookie(browser.flow_cookie());
    // A replay on the other node.
    let client = second.browser();
    client.send(client.form_request("/sign-in/adfs/acs", &[("SAMLResponse", &response)])).await.expect(403);
    there.get(&location).await.expect(303);
    assert!(there.session_cookie().is_some());
    browser.get(&location).await.expect(403);
    assert_eq!(browser.session_cookie(), None);
}

#[apply(both_databases)]
async fn a_response_waits_for_a_minute_and_a_sign_in_for_ten(engine: Engine) {
    let company = SamlApp::start(engine).await;
    let mut now = TEST_TIME;
    for (waits, status) in [(59, 303), (60, 403)] {
        let browser = company.app.browser();
        let request = company.begin(&browser, "/sign-in/adfs").await;
        let location = company.accept(&company.provider.respond(&request, &Person::ada().at(now))).await;
        company.app.advance_seconds(waits);
        now += waits;
        browser.get(&location).await.expect(status);
    }
    let late = company.app.browser();
    let request = company.begin(&late, "/sign-in/adfs").await;
    company.app.advance_seconds(600);
    let location = company.accept(&company.provider.respond(&request, &Person::ada().at(now + 600))).await;
    late.get(&location).await.expect(403);
    assert_eq!(late.session_cookie(), None);
    assert!(company.app.state.sign_in().purge_sign_in_flows().await.unwrap() > 0);
}

/// Responses that other programs signed, through the endpoint. They are for the request `_request`.
#[apply(both_databases)]
async fn responses_of_other_programs_are_accepted(engine: Engine) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("saml/tests/fixtures");
    let text = format!(
        "public_url = \"https://tokens.example\"\n[sso.saml]\nkind = \"saml\"\nmetadata_file = {:?}\nentity_id = \
         \"https://tokens.example/saml\"\nemail_attribute = \"mail\"\n[[sso.saml.allow]]\ngroup = \"R&D <staff>\"\nworkspace = 1\n",
        fixtures.join("idp.xml")
    );
    let parsed: Config = toml::from_str(&text).unwrap();
    let app = TestApp::start_with(Database::migrated(engine).await, |config| {
        let base = std::mem::replace(config, parsed);
        (config.database, config.passwords) = (base.database, base.passwords);
    });
    let app = app.await;
    // A minute after the responses were signed.
    let now = 1_793_613_660;
    app.advance_seconds(now - TEST_TIME);
    for name in ["samlify_both", "samlify_assertion", "pysaml2_both", "pysaml2_response", "pysaml2_assertion"] {
        let flow = SignInFlow {
            provider: "saml".to_owned(),
            nonce: String::new(),
            code_verifier: String::new(),
            next_path: "/preferences/profile".to_owned(),
            purpose: FlowPurpose::SignIn,
            created_at: Timestamp::from_millis(now * 1_000),
        };
        app.store.insert_sign_in_flow(&TextDigest::of("_request"), &flow).await.unwrap();
        let response = fs::read_to_string(fixtures.join(format!("{name}.xml"))).unwrap();
        let browser = app.browser();
        browser.set_flow_cookie(Some("__Host-tokenward-flow=_request".to_owned()));
        let form = browser.form_request("/sign-in/saml/acs", &[("SAMLResponse", &encode(&response))]);
        let accepted = app.browser().send(form).await.expect(303);
        let done = browser.get(accepted.header_values("location")[0]).await.expect(303);
        assert_eq!(done.header_values("location"), ["/preferences/profile"], "{name}");
        assert!(browser.session_cookie().is_some(), "{name}");
    }
    let people = app.admin().get("/v4/people?email=ada@example.org").await.expect(200);
    assert_eq!(people.rows().len(), 1, "the same account");
}
