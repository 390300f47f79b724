//! The messages about events: who gets which, and what they contain.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;
use tokenward::config::MailTls;

use super::{send_all, start};
use crate::support::{Database, Engine, PASSWORD, TestApp, both_databases};

const NEW_PASSWORD: &str = "another correct horse battery staple";

#[apply(both_databases)]
async fn the_owner_is_warned_of_an_expiry_unless_switched_off(engine: Engine) {
    let (app, mut sink) = start(engine).await;
    let ada = app.add_person("ada").await;
    app.admin().update_person(ada.id, json!({"tokenAccess": "enabled"})).await.expect(200);
    let create =
        async || ada.create_token_with(json!({"lifetimeSeconds": 8 * 86_400, "description": "nightly job"})).await;
    create().await;
    let warn = async || {
        app.advance_seconds(86_400 + 1);
        app.state.mail().announce().await.unwrap();
        app.state.expiry_warnings().record_due().await.unwrap()
    };
    assert_eq!((warn().await, send_all(&app).await), (1, 1));
    let received = sink.next().await;
    assert_eq!(
        (received.to.as_str(), received.link()),
        ("ada@example.com", "http://127.0.0.1:3005/preferences/access-tokens")
    );
    assert!(received.text.contains("(nightly job) expires at 2026-01-09 00:00 UTC"), "{}", received.text);
    let person = async || ada.get("/v4/people/current").await.expect(200).json;
    assert!(person().await.get("notifyOnExpiry").is_none());
    ada.patch(&format!("/v4/people/{}", ada.id), &json!({"notifyOnExpiry": false})).await.expect(200);
    assert_eq!(person().await["notifyOnExpiry"], json!(false));
    create().await;
    assert_eq!((warn().await, send_all(&app).await), (1, 0));
    let browser = app.signed_in_browser("ada@example.com").await;
    let page = browser.get("/preferences/profile").await.expect(200).text;
    assert!(page.contains(r#"name="notify_on_expiry" value="yes">"#), "{page}");
    let fields = [("name", "Ada"), ("has_notifications", "yes"), ("notify_on_expiry", "yes")];
    browser.post("/preferences/profile", &fields).await.expect(303);
    assert!(person().await.get("notifyOnExpiry").is_none());
    // A form without the checkbox leaves the choice as it is.
    browser.post("/preferences/profile", &[("name", "Ada"), ("has_notifications", "yes")]).await.expect(303);
    browser.post("/preferences/profile", &[("name", "Ada B")]).await.expect(303);
    assert_eq!(person().await["notifyOnExpiry"], json!(false));
}

#[apply(both_databases)]
async fn a_changed_e_mail_or_password_is_sent_to_the_old_address(engine: Engine) {
    let (app, mut sink) = start(engine).await;
    let ada = app.add_person("ada").await;
    let path = format!("/v4/people/{}", ada.id);
    app.admin().patch(&path, &json!({"email": "eve@example.com"})).await.expect(200);
    assert_eq!(send_all(&app).await, 1);
    let received = sink.next().await;
    assert_eq!(received.to, "ada@example.com");
    assert!(received.text.contains("admin@example.com changed the e-mail address"), "{}", received.text);
    let both = json!({"email": "mallory@example.com", "password": NEW_PASSWORD, "password2": NEW_PASSWORD});
    app.admin().patch(&path, &both).await.expect(200);
    assert_eq!(send_all(&app).await, 2);
    for _ in 0..2 {
        assert_eq!(sink.next().await.to, "eve@example.com");
    }
    app.admin().patch(&path, &json!({"password": PASSWORD, "password2": PASSWORD})).await.expect(200);
    // The message goes to the address at the time of the change, although it changes before it is sent.
    app.admin().patch(&path, &json!({"email": "trent@example.com"})).await.expect(200);
    assert_eq!(send_all(&app).await, 2);
    let received = [sink.next().await, sink.next().await];
    assert!(received.iter().all(|message| message.to == "mallory@example.com"), "{received:?}");
    // Other changes are no reason for a message.
    app.admin().patch(&path, &json!({"name": "Trent", "email": "trent@example.com"})).await.expect(200);
    assert_eq!(send_all(&app).await, 0);
}

#[apply(both_databases)]
async fn a_sign_in_from_a_new_address_is_reported_once(engine: Engine) {
    let (app, mut sink) = start(engine).await;
    app.add_person("ada").await;
    let sign_in = async |address: &str| {
        app.browser().with_address(address).sign_in("ada@example.com", PASSWORD).await.expect(303);
        send_all(&app).await
    };
    assert_eq!(sign_in("192.0.2.1").await, 0, "the first sign-in of all");
    assert_eq!(sign_in("192.0.2.1").await, 0);
    assert_eq!(sign_in("2001:db8:1:2::1").await, 1);
    let received = sink.next().await;
    assert!(received.text.contains("from the address 2001:db8:1:2::1") && received.to == "ada@example.com");
    assert_eq!(received.link(), "http://127.0.0.1:3005/preferences/profile");
    assert_eq!(sign_in("2001:db8:1:2:ffff::9").await, 0, "the same network");
    app.advance_seconds(91 * 86_400);
    app.state.mail().announce().await.unwrap();
    assert_eq!(sign_in("192.0.2.1").await, 1, "the account was not used for a long time");
    assert_eq!(sign_in("2001:db8:1:2::1").await, 1, "all others were forgotten");
}

#[apply(both_databases)]
async fn nothing_is_sent_to_disabled_or_removed_people(engine: Engine) {
    let (app, _sink) = start(engine).await;
    for end in ["disable", "delete"] {
        let person = app.add_person(end).await;
        app.admin().update_person(person.id, json!({"tokenAccess": "enabled"})).await.expect(200);
        let token = person.create_token().await;
        app.anonymous().post("/v4/leaks", &json!({"values": [token.value]})).await.expect(202);
        let path = format!("/v4/people/{}", person.id);
        match end {
            "disable" => app.admin().patch(&path, &json!({"isDisabled": true})).await.expect(200),
            _ => app.admin().delete(&path).await.expect(204),
        };
    }
    let batch = app.state.mail().send_due().await.unwrap();
    assert_eq!((batch.claimed, batch.server_failures), (2, 0));
    assert_eq!(send_all(&app).await, 0);
    let given_up = app.admin().get("/v4/events?allUsers=true&action=mail.given_up").await.expect(200);
    assert!(given_up.rows().is_empty());
}

#[apply(both_databases)]
async fn nothing_is_queued_while_no_node_sends_or_after_the_retries(engine: Engine) {
    let mut sink = super::sink::Sink::start().await;
    let app =
        TestApp::start_with(Database::migrated(engine).await, |config| sink.configure(config, MailTls::None)).await;
    let leak = async || {
        let token = app.admin().create_token().await;
        app.anonymous().post("/v4/leaks", &json!({"values": [token.value]})).await.expect(202);
    };
    leak().await;
    assert_eq!(send_all(&app).await, 0, "no node has announced itself");
    app.state.mail().announce().await.unwrap();
    leak().await;
    app.advance_seconds(3 * 86_400);
    assert_eq!(send_all(&app).await, 1, "skipped");
    leak().await;
    assert_eq!(send_all(&app).await, 0, "the last sender was seen three days ago");
    app.state.mail().announce().await.unwrap();
    leak().await;
    assert_eq!(send_all(&app).await, 1);
    sink.next().await;
    app.advance_seconds(5 * 86_400);
    assert_eq!(app.state.mail().purge().await.unwrap(), 2);
}
