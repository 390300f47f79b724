//! Linked accounts: linking by the operator, the password, and the last local administrator.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;
use tokenward::service::Error;

use super::DirectoryApp;
use crate::support::{Engine, PASSWORD, both_databases, directory::Flavor};

#[apply(both_databases)]
async fn a_linked_account_has_no_local_password_any_more(engine: Engine) {
    let company = DirectoryApp::start(engine, Flavor::Slapd).await;
    let person = company.app.add_person("grace").await;
    let browser = company.app.signed_in_browser(&person.email).await;
    company.link(&person.email, "grace").await.unwrap();
    company.basic(&person.email, PASSWORD).get("/v4/people/current").await.expect(401);
    assert_eq!(browser.get("/preferences/profile").await.status, 303);
    let me = company.client("grace").get("/v4/people/current").await.expect(200);
    assert_eq!(me.json["id"], json!(person.id));
    // The password is the directory's: neither the person nor an administrator sets one here.
    let path = format!("/v4/people/{}", person.id);
    let body = json!({"password": "another password of grace", "password2": "another password of grace"});
    company.client("grace").patch(&path, &body).await.expect_error(409, "ConflictException");
    company.app.admin().patch(&path, &body).await.expect_error(409, "ConflictException");
    company.app.admin().post(&format!("{path}/invite"), &json!({})).await.expect_error(409, "ConflictException");
    // Neither the entry nor the person can be linked twice.
    assert!(matches!(company.link("grace@example.org", "ada").await, Err(Error::IdentityTaken)));
    assert!(matches!(company.link("admin@example.com", "grace").await, Err(Error::IdentityTaken)));
    let actions = company.actions("grace@example.com").await;
    assert!(actions.iter().any(|action| action == "identity.linked"), "{actions:?}");
}

#[apply(both_databases)]
async fn the_last_local_administrator_stays(engine: Engine) {
    let company = DirectoryApp::start(engine, Flavor::Slapd).await;
    let ada = company.token_of("ada").await;
    // There are two administrators, one of them local.
    assert!(matches!(company.link("admin@example.com", "grace").await, Err(Error::LastLocalAdministrator)));
    company.basic("admin@example.com", PASSWORD).get("/v4/people/current").await.expect(200);
    let second = company.app.admin().add_person("second", true).await;
    let ada_id = ada.get("/v4/people/current").await.json["id"].clone();
    company.app.admin().delete(&format!("/v4/people/{}", second.id)).await.expect(204);
    let own = json!({"isAdmin": false});
    company.app.admin().patch("/v4/people/1", &own).await.expect_error(409, "ConflictException");
    company
        .app
        .admin()
        .patch("/v4/people/1", &json!({"isDisabled": true}))
        .await
        .expect_error(409, "ConflictException");
    // The directory made her an administrator, so only the directory takes the role.
    let path = format!("/v4/people/{ada_id}");
    company.app.admin().patch(&path, &own).await.expect_error(409, "ConflictException");
    company.app.admin().patch(&path, &json!({"isDisabled": true})).await.expect(200);
}

#[apply(both_databases)]
async fn linking_voids_an_invite_link(engine: Engine) {
    let company = DirectoryApp::start(engine, Flavor::Slapd).await;
    let body = json!({"email": "new@example.com", "name": "New", "invite": true});
    let created = company.app.admin().post("/v4/people", &body).await.expect(201);
    let url = created.json["inviteUrl"].as_str().unwrap().to_owned();
    let path = format!("/invite/{}", url.rsplit('/').next().unwrap());
    company.app.browser().get(&path).await.expect(200);
    company.link("new@example.com", "grace").await.unwrap();
    assert_ne!(company.app.browser().get(&path).await.status, 200);
}
