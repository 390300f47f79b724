//! The filters of `GET /v4/apiAccessTokens`. The clock starts at 2026-01-01T00:00:00.000Z.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;

use crate::support::{Engine, PersonClient, TestApp, both_databases};

const PATH: &str = "/v4/apiAccessTokens";

/// Creates four tokens, one second apart: `Deploy 100%_` expires after 10 s, `deploy ß\` after an hour
/// and is used at 2 s, `backup` never expires and is used at 3 s, and `idle` is never used and expires after a day.
async fn create_tokens(app: &TestApp, person: &PersonClient) {
    for (description, lifetime, is_used) in
        [("Deploy 100%_", 10, false), ("deploy ß\\", 3_600, true), ("backup", -1, true), ("idle", 86_400, false)]
    {
        let token = person.create_token_with(json!({"lifetimeSeconds": lifetime, "description": description})).await;
        app.advance_seconds(1);
        if is_used {
            assert!(token.is_accepted().await);
        }
    }
}

/// Returns the first words of the descriptions, in the order of creation.
async fn find(person: &PersonClient, query: &str) -> Vec<String> {
    let response = person.get(&format!("{PATH}?{query}&includeCount=true")).await.expect(200);
    let rows = response.rows();
    assert_eq!(response.json["count"], rows.len(), "{query}");
    rows.iter().map(|row| row["description"].as_str().unwrap().to_owned()).collect()
}

#[apply(both_databases)]
async fn every_filter_selects_its_tokens(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    create_tokens(&app, &admin).await;
    let [first, second, third, fourth] = ["Deploy 100%_", "deploy ß\\", "backup", "idle"];
    let time = |seconds: u32| format!("2026-01-01T00:00:{seconds:02}Z");
    for (query, expected) in [
        ("description=DEPLOY".to_owned(), vec![first, second]),
        ("description=%25_".to_owned(), vec![first]),
        ("description=0%25".to_owned(), vec![first]),
        ("description=_".to_owned(), vec![first]),
        ("description=%5C".to_owned(), vec![second]),
        ("description=%C3%9F".to_owned(), vec![second]),
        ("description=nothing".to_owned(), vec![]),
        // Only the letters A to Z match in either case, on both databases.
        ("description=%E1%BA%9E".to_owned(), vec![]),
        ("description=DEPLOY%20%C3%9F".to_owned(), vec![second]),
        (format!("createdBefore={}", time(1)), vec![first]),
        (format!("createdAfter={}", time(1)), vec![second, third, fourth]),
        (format!("createdAfter={}&createdBefore={}", time(1), time(3)), vec![second, third]),
        ("createdBefore=2026-01-01T01:00:01%2B01:00".to_owned(), vec![first]),
        (format!("expiresBefore={}", time(10)), vec![]),
        (format!("expiresBefore={}", time(11)), vec![first]),
        ("expiresAfter=2026-01-01T01:00:01Z".to_owned(), vec![second, fourth]),
        ("expiresAfter=2026-01-01T01:00:01.001Z".to_owned(), vec![fourth]),
        (format!("lastUsedBefore={}", time(3)), vec![second]),
        (format!("lastUsedAfter={}", time(3)), vec![third]),
        ("neverUsed=true".to_owned(), vec![first, fourth]),
        ("neverUsed=false".to_owned(), vec![second, third]),
        (format!("neverUsed=true&createdAfter={}&description=l", time(1)), vec![fourth]),
        ("status=active&neverUsed=true".to_owned(), vec![first, fourth]),
        ("neverUsed=false&lastUsedBefore=2027-01-01T00:00:00Z".to_owned(), vec![second, third]),
        ("neverUsed=true&sort=-expiredAt".to_owned(), vec![fourth, first]),
    ] {
        assert_eq!(find(&admin, &query).await, expected, "{query}");
        assert_eq!(find(&admin, &format!("allUsers=true&{query}")).await, expected, "all users, {query}");
    }
    app.advance_seconds(10);
    assert_eq!(find(&admin, "status=expired").await, [first]);
    let limited = json!({"lifetimeSeconds": 60, "description": "limited", "scopes": ["a_b", "read"]});
    admin.create_token_with(limited).await;
    for (scope, expected) in [("a_b", vec!["limited"]), ("read", vec!["limited"]), ("axb", vec![]), ("rea", vec![])] {
        assert_eq!(find(&admin, &format!("scope={scope}")).await, expected, "{scope}");
    }
    admin.get(&format!("{PATH}?scope=A")).await.expect_error(400, "ValidationFailed");
}

#[apply(both_databases)]
async fn filters_apply_to_the_tokens_in_scope(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.set_setting("allowUsers", true).await;
    let ada = app.add_person("ada").await;
    create_tokens(&app, &app.admin()).await;
    create_tokens(&app, &ada).await;
    let other = app.create_workspace_with_admin("eve").await;
    create_tokens(&app, &other).await;
    assert_eq!(find(&ada, "description=idle").await.len(), 1);
    assert_eq!(find(&app.admin(), "description=idle&allUsers=true").await.len(), 2);
    assert_eq!(find(&app.admin(), &format!("description=idle&personId={}", ada.id)).await.len(), 1);
    assert_eq!(find(&app.admin(), &format!("description=idle&personId={}", other.id)).await.len(), 0);
    ada.get(&format!("{PATH}?description=idle&allUsers=true")).await.expect_error(403, "AccessControlException");
}

/// A page that follows has the same filter.
#[apply(both_databases)]
async fn filtered_lists_have_pages(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    create_tokens(&app, &admin).await;
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("{PATH}?allUsers=true&neverUsed=true&sort=-createdAt&limit=1{cursor}");
        let page = admin.get(&path).await.expect(200);
        found.extend(page.rows().iter().map(|row| row["description"].as_str().unwrap().to_owned()));
        match page.json["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, ["idle", "Deploy 100%_"]);
}

#[apply(both_databases)]
async fn invalid_filters_are_rejected(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    for name in ["createdBefore", "createdAfter", "expiresBefore", "expiresAfter", "lastUsedBefore", "lastUsedAfter"] {
        for value in ["", "today", "2026-01-01", "2026-02-30T00:00:00Z", "1767225600", "1969-12-31T23:59:59Z", "%00"] {
            let response = admin.get(&format!("{PATH}?{name}={value}")).await;
            let details = response.expect_error(400, "ApiValidationFailed");
            assert!(details.contains(name) && details.contains("2026-01-31T00:00:00Z"), "{details}");
        }
    }
    for query in ["neverUsed=1", "neverUsed=", "status=dead", "personId=x"] {
        admin.get(&format!("{PATH}?{query}")).await.expect_error(400, "ApiValidationFailed");
    }
    let long = format!("description={}", "x".repeat(256));
    for query in ["description=", &long, "neverUsed=true&lastUsedBefore=2026-01-01T00:00:00Z"] {
        admin.get(&format!("{PATH}?{query}")).await.expect_error(400, "ValidationFailed");
    }
    assert!(find(&admin, "description=a%00b").await.is_empty());
}
