//! `DELETE /v4/apiAccessTokens/{tokenId}`

use crate::support::TestApp;

on_both!(
    a_deleted_token_stops_working_at_once,
    a_token_may_delete_itself,
    administrators_delete_those_of_their_workspace_only,
    of_many_deletions_at_once_one_succeeds,
);

async fn a_deleted_token_stops_working_at_once(app: TestApp) {
    let admin = app.admin();
    for _ in 0..20 {
        let bearer = admin.bearer().await;
        assert!(bearer.works().await);
        let gone = admin.delete(&bearer.path()).await.expect(204);
        assert!(gone.text.is_empty() && !gone.headers.contains_key("content-type"));
        assert!(!bearer.works().await);
        admin.get(&bearer.path()).await.expect_error(404, "DataNotFoundException");
        admin.delete(&bearer.path()).await.expect_error(404, "DataNotFoundException");
    }
    assert!(admin.get("/v4/apiAccessTokens").await.rows().is_empty());
}

async fn a_token_may_delete_itself(app: TestApp) {
    let bearer = app.admin().bearer().await;
    bearer.delete(&bearer.path()).await.expect(204);
    bearer.delete(&bearer.path()).await.expect_error(401, "MissingPersonException");
}

async fn administrators_delete_those_of_their_workspace_only(app: TestApp) {
    app.set("allowUsers", true).await;
    let (ada, bob) = (app.person("ada").await, app.person("bob").await);
    let bearer = ada.bearer().await;
    let other = app.other_admin("eve").await;
    for stranger in [&bob, &other] {
        stranger.delete(&bearer.path()).await.expect_error(404, "DataNotFoundException");
    }
    assert!(bearer.works().await);
    app.admin().delete(&bearer.path()).await.expect(204);
    assert!(!bearer.works().await);
}

async fn of_many_deletions_at_once_one_succeeds(app: TestApp) {
    let admin = app.admin();
    let bearer = admin.bearer().await;
    let tries: Vec<_> = (0..50)
        .map(|_| {
            let (admin, path) = (admin.clone(), bearer.path());
            tokio::spawn(async move { admin.delete(&path).await.status })
        })
        .collect();
    let mut statuses = Vec::new();
    for attempt in tries {
        statuses.push(attempt.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses[0], 204);
    assert!(statuses[1..].iter().all(|status| *status == 404), "{statuses:?}");
}
