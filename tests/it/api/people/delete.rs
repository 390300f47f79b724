//! `DELETE /v4/people/{id}`

use crate::support::TestApp;

on_both!(tokens_go_with_the_account, nobody_removes_the_own_account_or_somebody_elses_people);

async fn tokens_go_with_the_account(app: TestApp) {
    app.set("allowUsers", true).await;
    let ada = app.person("ada").await;
    let bearer = ada.bearer().await;
    let path = format!("/v4/people/{}", ada.id);
    let gone = app.admin().delete(&path).await.expect(204);
    assert!(gone.text.is_empty());
    assert!(!bearer.works().await);
    app.admin().delete(&path).await.expect_error(404, "DataNotFoundException");
    app.admin().get(&bearer.path()).await.expect_error(404, "DataNotFoundException");
    // The address is free again, the number is not.
    assert!(app.person("ada").await.id > ada.id);
}

async fn nobody_removes_the_own_account_or_somebody_elses_people(app: TestApp) {
    let ada = app.person("ada").await;
    let bob = app.admin().add("bob", true).await;
    let other = app.other_admin("eve").await;
    bob.delete(&format!("/v4/people/{}", bob.id)).await.expect_error(403, "AccessControlException");
    ada.delete(&format!("/v4/people/{}", bob.id)).await.expect_error(403, "AccessControlException");
    other.delete(&format!("/v4/people/{}", ada.id)).await.expect_error(404, "DataNotFoundException");
    ada.get("/v4/people/current").await.expect(200);
}
