//! `GET /v4/apiAccessTokens/{tokenId}`

use crate::support::{Engine, TestApp, both_databases};
use rstest::rstest;
use rstest_reuse::apply;

#[apply(both_databases)]
async fn only_the_owner_and_administrators_read_a_token(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.set_setting("allowUsers", true).await;
    let (ada, bob) = (app.add_person("ada").await, app.add_person("bob").await);
    let bearer = ada.create_token().await;
    let found = ada.get(&bearer.token_path()).await.expect(200);
    assert_eq!(found.json["tokenId"], bearer.token_id.as_str());
    assert!(found.json.get("tokenValue").is_none() && !found.text.contains(&bearer.value));
    bearer.get(&bearer.token_path()).await.expect(200);
    app.admin().get(&bearer.token_path()).await.expect(200);
    bob.get(&bearer.token_path()).await.expect_error(404, "DataNotFoundException");
    let other = app.create_workspace_with_admin("eve").await;
    other.get(&bearer.token_path()).await.expect_error(404, "DataNotFoundException");
}

#[apply(both_databases)]
async fn malformed_and_unknown_ids_return_404(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let bearer = admin.create_token().await;
    for id in [
        "00000000-0000-7000-8000-000000000000".to_owned(),
        bearer.token_id.replace('-', ""),
        format!("%7B{}%7D", bearer.token_id),
        "1".to_owned(),
        "%00".to_owned(),
        "%ff".to_owned(),
        "x".repeat(8_000),
        bearer.value.clone(),
    ] {
        admin.get(&format!("/v4/apiAccessTokens/{id}")).await.expect_error(404, "DataNotFoundException");
        admin.delete(&format!("/v4/apiAccessTokens/{id}")).await.expect_error(404, "DataNotFoundException");
    }
    admin.get(&bearer.token_path().to_uppercase()).await.expect(200);
}
