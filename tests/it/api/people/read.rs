//! `GET /v4/people`, `/v4/people/{id}`, `/v4/people/current`

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;

use crate::support::{Engine, TestApp, both_databases};

#[apply(both_databases)]
async fn every_person_reads_their_own_account(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    let me = ada.get("/v4/people/current").await.expect(200).json;
    let mut expected = json!({"id": ada.id, "kind": "person", "email": "ada@example.com", "name": "ada", "isAdmin": false, "isPlatformAdmin": false,
        "isDisabled": false, "disabledBy": [], "tokenAccess": "default", "workspaceId": 1, "state": "active", "ssoPrincipal": null,
        "forcePasswordChange": false, "lastLoginTime": "2026-01-01T00:00:00.000Z",
        "createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": "2026-01-01T00:00:00.000Z"});
    assert_eq!(me, expected);
    assert_eq!(ada.get(&format!("/v4/people/{}", ada.id)).await.expect(200).json, expected);
    expected["name"] = json!("other");
    ada.get("/v4/people/1").await.expect_error(403, "AccessControlException");
    ada.get("/v4/people").await.expect_error(403, "AccessControlException");
}

#[apply(both_databases)]
async fn administrators_read_and_list_their_workspace(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    let other = app.create_workspace_with_admin("eve").await;
    let admin = app.admin();
    admin.get(&format!("/v4/people/{}", ada.id)).await.expect(200);
    assert_eq!(admin.get("/v4/people").await.rows().len(), 2);
    assert_eq!(other.get("/v4/people").await.rows().len(), 1);
    for id in [1, ada.id] {
        other.get(&format!("/v4/people/{id}")).await.expect_error(404, "DataNotFoundException");
    }
    for id in [other.id.to_string(), "0".into(), "-1".into(), "x".into(), "99999999999999999999".into(), "%ff".into()] {
        admin.get(&format!("/v4/people/{id}")).await.expect_error(404, "DataNotFoundException");
    }
}

#[apply(both_databases)]
async fn lists_are_paged_and_filtered(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    for n in 0..29 {
        app.add_person(&format!("p{n}")).await;
    }
    assert_eq!(admin.get("/v4/people").await.rows().len(), 25);
    let page = admin.get("/v4/people?limit=4&offset=28&includeCount=true").await.expect(200);
    assert_eq!((page.rows().len(), &page.json["count"]), (2, &json!(30)));
    let found = admin.get("/v4/people?email=P7@Example.com").await.expect(200);
    assert_eq!((found.rows().len(), &found.rows()[0]["name"]), (1, &json!("p7")));
    assert_eq!(
        admin.get("/v4/people?email=unknown&includeCount=true").await.expect(200).json,
        json!({"data": [], "count": 0})
    );
    admin.update_person(5, json!({"isDisabled": true})).await.expect(200);
    assert_eq!(admin.get("/v4/people?isDisabled=true").await.rows().len(), 1);
    assert_eq!(admin.get("/v4/people?isDisabled=false&limit=1000").await.rows().len(), 29);
    for query in ["limit=0", "limit=1001", "offset=-1", "isDisabled=1", "limit=x", "email=a&email=b"] {
        admin.get(&format!("/v4/people?{query}")).await.expect(400);
    }
    admin.get("/v4/people?email=%00").await.expect(200);
}

#[apply(both_databases)]
async fn a_login_updates_the_last_login_time(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    let last_login_time = || {
        let admin = app.admin();
        let path = format!("/v4/people/{}", ada.id);
        async move { admin.get(&path).await.json["lastLoginTime"].clone() }
    };
    assert!(last_login_time().await.is_null());
    ada.get("/v4/people/current").await.expect(200);
    assert_eq!(last_login_time().await, "2026-01-01T00:00:00.000Z");
    app.advance_seconds(61);
    ada.with_password("wrong").get("/v4/people/current").await.expect(401);
    assert_eq!(last_login_time().await, "2026-01-01T00:00:00.000Z");
    ada.get("/v4/people/current").await.expect(200);
    assert_eq!(last_login_time().await, "2026-01-01T00:01:01.000Z");
}
