//! `DELETE /v4/people/{id}`

use crate::support::{Engine, TestApp, both_databases};
use rstest::rstest;
use rstest_reuse::apply;

#[apply(both_databases)]
async fn tokens_are_deleted_with_the_account(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.set_setting("allowUsers", true).await;
    let ada = app.add_person("ada").await;
    let bearer = ada.create_token().await;
    let path = format!("/v4/people/{}", ada.id);
    let response = app.admin().delete(&path).await.expect(204);
    assert!(response.text.is_empty());
    assert!(!bearer.is_accepted().await);
    app.admin().delete(&path).await.expect_error(404, "DataNotFoundException");
    app.admin().get(&bearer.token_path()).await.expect_error(404, "DataNotFoundException");
    // The e-mail is available again, the ID is not.
    assert!(app.add_person("ada").await.id > ada.id);
}

#[apply(both_databases)]
async fn deleting_oneself_or_people_of_other_workspaces_is_denied(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    let bob = app.admin().add_person("bob", true).await;
    let other = app.create_workspace_with_admin("eve").await;
    bob.delete(&format!("/v4/people/{}", bob.id)).await.expect_error(403, "AccessControlException");
    ada.delete(&format!("/v4/people/{}", bob.id)).await.expect_error(403, "AccessControlException");
    other.delete(&format!("/v4/people/{}", ada.id)).await.expect_error(404, "DataNotFoundException");
    ada.get("/v4/people/current").await.expect(200);
}
