//! `GET /v4/apiAccessTokens/{tokenId}`

use crate::support::TestApp;

on_both!(the_owner_and_an_administrator_read_it_and_nobody_else, what_is_no_token_is_not_found);

async fn the_owner_and_an_administrator_read_it_and_nobody_else(app: TestApp) {
    app.set("allowUsers", true).await;
    let (ada, bob) = (app.person("ada").await, app.person("bob").await);
    let bearer = ada.bearer().await;
    let seen = ada.get(&bearer.path()).await.expect(200);
    assert_eq!(seen.json["tokenId"], bearer.token_id.as_str());
    assert!(seen.json.get("tokenValue").is_none() && !seen.text.contains(&bearer.value));
    bearer.get(&bearer.path()).await.expect(200);
    app.admin().get(&bearer.path()).await.expect(200);
    bob.get(&bearer.path()).await.expect_error(404, "DataNotFoundException");
    let other = app.other_admin("eve").await;
    other.get(&bearer.path()).await.expect_error(404, "DataNotFoundException");
}

async fn what_is_no_token_is_not_found(app: TestApp) {
    let admin = app.admin();
    let bearer = admin.bearer().await;
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
    admin.get(&bearer.path().to_uppercase()).await.expect(200);
}
