//! Limits of tokens on the pages: the form that sets them, and the lists that show them.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use super::replacement::{replace_path, submit_replacement};
use crate::support::{Browser, Engine, TestApp, both_databases};

const LIST: &str = "/preferences/access-tokens";
const GENERATE: &str = "/preferences/access-tokens/generate";
const NETWORKS: &str = "allowedNetworks";

/// Submits the form that generates a token, with these fields beside the lifetime.
async fn generate(browser: &Browser, fields: &[(&str, &str)]) -> crate::support::TestResponse {
    let form = browser.fetch_form_id().await;
    let common = [("form", form.as_str()), ("lifetime", "30"), ("description", "typed")];
    browser.post(GENERATE, &[&common[..], fields].concat()).await
}

/// Returns the token that was created last.
async fn newest(app: &TestApp) -> Value {
    app.admin().get("/v4/apiAccessTokens?sort=-createdAt").await.rows()[0].clone()
}

#[apply(both_databases)]
async fn a_token_is_generated_with_scopes_and_networks(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let fields = [
        ("access", "scopes"),
        ("scopes", "reports:read  reports:list"),
        ("scope.tokenward:introspect", "yes"),
        (NETWORKS, "192.0.2.7, 10.0.0.0/8"),
    ];
    let page = generate(&admin, &fields).await.expect(200).text;
    let token = newest(&app).await;
    assert_eq!(token["scopes"], json!(["reports:list", "reports:read", "tokenward:introspect"]));
    assert_eq!(token["allowedNetworks"], json!(["10.0.0.0/8", "192.0.2.7/32"]));
    let id = token["tokenId"].as_str().unwrap();
    for page in
        [page, admin.get(&format!("{LIST}/{id}")).await.text, admin.get(&format!("/admin/tokens/{id}")).await.text]
    {
        for shown in ["<code>reports:list</code>", "<code>tokenward:introspect</code>", "<code>192.0.2.7/32</code>"] {
            assert!(page.contains(shown), "{shown}: {page}");
        }
    }
    for list in [LIST, "/admin/tokens"] {
        assert!(
            admin.get(list).await.text.contains("· reports:list reports:read +1 from 10.0.0.0/8 +1</small>"),
            "{list}"
        );
    }
    app.advance_seconds(1);
    // No word at all is a valid choice, and full access is another.
    assert!(generate(&admin, &[("access", "scopes"), ("scopes", " ")]).await.expect(200).text.contains("No scopes"));
    assert_eq!(newest(&app).await["scopes"], json!([]));
    app.advance_seconds(1);
    for fields in [&[("access", "full")] as &[_], &[]] {
        assert!(generate(&admin, fields).await.expect(200).text.contains("<dd>Full access</dd>"));
        let token = newest(&app).await;
        assert!(token.get("scopes").is_none() && token.get(NETWORKS).is_none(), "{token}");
    }
    let list = admin.get(LIST).await.text;
    assert!(list.contains("· No scopes</small>") && !list.contains("Full access"), "{list}");
}

#[apply(both_databases)]
async fn rejected_limits_show_the_reason_and_keep_the_input(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let many = (0..33).map(|n| format!("s{n}")).collect::<Vec<_>>().join(" ");
    for (access, scopes, networks, message) in [
        ("scopes", "Reports", "", "Scope &#34;Reports&#34; is invalid"),
        ("scopes", "a&b", "", "is invalid"),
        ("scopes", "tokenward:root", "", "is unknown"),
        ("scopes", many.as_str(), "", "Enter at most 32 scopes."),
        ("full", "reports:read", "", "You entered scopes, but chose Full access."),
        ("all", "reports:read", "", "Choose Full access or Only these scopes."),
        ("full", "", "10.0.0.1/8", "did you mean 10.0.0.0/8?"),
        ("full", "", "example.com", "is neither an IP address nor a network"),
        ("full", "", "0.0.0.0/0", "contains all addresses. Clear the field"),
    ] {
        let checked = if access == "scopes" { "yes" } else { "" };
        let fields =
            [("access", access), ("scopes", scopes), (NETWORKS, networks), ("scope.tokenward:events:read", checked)];
        let page = generate(&admin, &fields).await.expect(400).text;
        assert!(page.contains(message) && page.contains(r#"role="alert""#), "{message}: {page}");
        assert_eq!(page.contains(r#"aria-invalid="true""#), access != "all", "{message}");
        let kept = [
            ("scopes", scopes.replace('&', "&#38;")),
            (NETWORKS, networks.to_owned()),
            ("description", "typed".to_owned()),
        ];
        for (name, value) in kept {
            let field = page.split(&format!(r#"name="{name}" type="text" value=""#)).nth(1).unwrap();
            assert!(field.starts_with(&format!("{value}\"")), "{name} is {value}: {field}");
        }
        assert_eq!(page.contains(r#"value="scopes" id="access-scopes" checked"#), access == "scopes", "{message}");
        assert_eq!(
            page.contains(r#"name="scope.tokenward:events:read" value="yes" checked"#),
            checked == "yes",
            "{message}"
        );
    }
    assert!(app.admin().get("/v4/apiAccessTokens").await.rows().is_empty());
}

#[apply(both_databases)]
async fn a_workspace_may_require_scopes(engine: Engine) {
    let app = TestApp::start(engine).await;
    let old = app.admin().create_token().await.token_id;
    let admin = app.signed_in_browser("admin@example.com").await;
    assert!(admin.get(GENERATE).await.text.contains(r#"name="access" value="full" checked"#));
    let setting = "/admin/settings/tokenward.requireScopes";
    let page = admin.get(setting).await.expect(200).text;
    assert!(page.contains("<h1>Require scopes</h1>") && page.contains("every new token must have scopes"), "{page}");
    admin.post(setting, &[("value", "true")]).await.expect(303);
    let page = admin.get(GENERATE).await.expect(200).text;
    assert!(page.contains(r#"value="full" disabled"#) && page.contains("this workspace requires scopes"), "{page}");
    assert!(page.contains(r#"value="scopes" id="access-scopes" checked"#));
    for fields in [&[("access", "full")] as &[_], &[]] {
        let rejected = generate(&admin, fields).await.expect(400).text;
        assert!(rejected.contains("This workspace requires scopes. Choose Only these scopes."), "{rejected}");
    }
    generate(&admin, &[("access", "scopes")]).await.expect(200);
    // A replacement would have full access as well.
    for response in [admin.get(&replace_path(&old)).await, submit_replacement(&admin, &old, "0").await] {
        assert!(response.expect(409).text.contains("this workspace requires scopes"));
    }
}

#[apply(both_databases)]
async fn the_form_shows_the_client_address_or_that_it_is_unknown(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let unknown = "Tokenward does not know the addresses of its clients here";
    assert!(admin.get(GENERATE).await.text.contains(unknown));
    let admin = admin.with_address("203.0.113.9");
    let page = admin.get(GENERATE).await.text;
    assert!(page.contains("Your address is 203.0.113.9.") && !page.contains(unknown));
    // A proxy that is not in `listen.trusted_proxies`.
    let admin = admin.with_address("10.0.0.1");
    let mut request = admin.request("GET", GENERATE, axum::body::Body::empty());
    request.headers_mut().insert("x-forwarded-for", "203.0.113.9".parse().unwrap());
    let page = admin.send(request).await.text;
    assert!(page.contains(unknown) && !page.contains("Your address is"));
}

#[apply(both_databases)]
async fn limits_are_kept_when_the_session_has_ended(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    app.advance_seconds(30 * 60);
    let fields = [
        ("access", "scopes"),
        ("scopes", "reports:read"),
        ("scope.tokenward:introspect", "yes"),
        (NETWORKS, "10.0.0.0/8"),
        ("lifetime", "90"),
    ];
    let mut request = admin.form_request(GENERATE, &fields);
    request.headers_mut().insert("sec-fetch-site", "same-origin".parse().unwrap());
    request.headers_mut().insert("referer", format!("http://127.0.0.1:3005{GENERATE}").parse().unwrap());
    admin.send(request).await.expect(303);
    admin.sign_in("admin@example.com", crate::support::PASSWORD).await.expect(303);
    let page = admin.get(GENERATE).await.expect(200).text;
    for kept in [
        r#"value="90" checked"#,
        r#"id="access-scopes" checked"#,
        r#"value="reports:read""#,
        r#"name="scope.tokenward:introspect" value="yes" checked"#,
        r#"value="10.0.0.0/8""#,
        "<details class=\"more\" open>",
    ] {
        assert!(page.contains(kept), "{kept}: {page}");
    }
}

/// Limits of the greatest size fit into a list, because a row shows a part of them.
#[apply(both_databases)]
async fn a_list_of_tokens_with_many_limits_is_small(engine: Engine) {
    let app = TestApp::start(engine).await;
    let scopes: Vec<String> = (10..42).map(|n| format!("{}{n}", "s".repeat(62))).collect();
    let networks: Vec<String> = (10..42).map(|n| format!("2001:db8:ffff:ffff:ffff:ffff:ffff:ff{n}")).collect();
    let body = json!({
        "lifetimeSeconds": 600, "description": "a description of some length", "scopes": scopes, "allowedNetworks": networks,
    });
    for _ in 0..50 {
        app.admin().create_token_with(body.clone()).await;
    }
    let admin = app.signed_in_browser("admin@example.com").await;
    for list in [LIST, "/admin/tokens"] {
        let size = admin.get(list).await.expect(200).text.len();
        assert!(size < 40_000, "{list}: {size} bytes");
    }
}
