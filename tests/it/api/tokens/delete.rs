//! `DELETE /v4/apiAccessTokens/{tokenId}`

use crate::support::{Engine, TestApp, both_databases};
use rstest::rstest;
use rstest_reuse::apply;

#[apply(both_databases)]
async fn a_deleted_token_is_rejected_at_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    for _ in 0..20 {
        let bearer = admin.create_token().await;
        assert!(bearer.is_accepted().await);
        let response = admin.delete(&bearer.token_path()).await.expect(204);
        assert!(response.text.is_empty() && !response.headers.contains_key("content-type"));
        assert!(!bearer.is_accepted().await);
        admin.get(&bearer.token_path()).await.expect_error(404, "DataNotFoundException");
        admin.delete(&bearer.token_path()).await.expect_error(404, "DataNotFoundException");
    }
    assert!(admin.get("/v4/apiAccessTokens").await.rows().is_empty());
}

#[apply(both_databases)]
async fn a_token_may_delete_itself(engine: Engine) {
    let app = TestApp::start(engine).await;
    let bearer = app.admin().create_token().await;
    bearer.delete(&bearer.token_path()).await.expect(204);
    bearer.delete(&bearer.token_path()).await.expect_error(401, "MissingPersonException");
}

#[apply(both_databases)]
async fn administrators_delete_only_tokens_of_their_workspace(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.set_setting("allowUsers", true).await;
    let (ada, bob) = (app.add_person("ada").await, app.add_person("bob").await);
    let bearer = ada.create_token().await;
    let other = app.create_workspace_with_admin("eve").await;
    for client in [&bob, &other] {
        client.delete(&bearer.token_path()).await.expect_error(404, "DataNotFoundException");
    }
    assert!(bearer.is_accepted().await);
    app.admin().delete(&bearer.token_path()).await.expect(204);
    assert!(!bearer.is_accepted().await);
}

#[apply(both_databases)]
async fn one_of_many_concurrent_deletions_succeeds(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let bearer = admin.create_token().await;
    let deletions: Vec<_> = (0..50)
        .map(|_| {
            let (admin, path) = (admin.clone(), bearer.token_path());
            tokio::spawn(async move { admin.delete(&path).await.status })
        })
        .collect();
    let mut statuses = Vec::new();
    for deletion in deletions {
        statuses.push(deletion.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses[0], 204);
    assert!(statuses[1..].iter().all(|status| *status == 404), "{statuses:?}");
}
