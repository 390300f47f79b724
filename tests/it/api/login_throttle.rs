//! Whoever guesses passwords is slowed, at every door alike; whoever is guessed at goes on working.

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{Database, Engine, PASSWORD, Reply, TestApp, basic};

on_both!(
    ten_wrong_passwords_are_free_and_then_each_costs_more,
    tries_add_up_over_all_doors_and_spellings,
    an_account_that_is_not_there_answers_alike,
    what_is_no_address_is_not_counted,
    whoever_is_guessed_at_goes_on_working,
    a_right_password_after_the_delay_forgets_the_wrong_ones,
    an_administrator_lets_somebody_in_again,
    fifty_tries_at_once_are_no_more_than_the_budget,
    a_day_later_everything_is_forgotten,
);

async fn attempt(app: &TestApp, email: &str, password: &str) -> Reply {
    app.presenting(&[&basic(email, password)]).get("/v4/people/current").await
}

/// Spends what is free.
async fn spend(app: &TestApp, email: &str) {
    for n in 0..10 {
        assert_eq!(attempt(app, email, "wrong").await.status, 401, "try {n}");
    }
}

async fn ten_wrong_passwords_are_free_and_then_each_costs_more(app: TestApp) {
    app.person("ada").await;
    spend(&app, "ada@example.com").await;
    let mut waits = Vec::new();
    for _ in 0..12 {
        let reply = attempt(&app, "ada@example.com", "wrong").await;
        let details = reply.expect_error(429, "TooManyRequestsException");
        let seconds: i64 = reply.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert_eq!(reply.headers["x-retry-after"], reply.headers["retry-after"]);
        assert!(details.contains(&format!("Wait {seconds} seconds")));
        assert!(reply.header_values("www-authenticate").is_empty());
        // Not looked at: also the right one waits, and asking again makes the wait no longer.
        app.advance_seconds(seconds - 1);
        assert_eq!(attempt(&app, "ada@example.com", PASSWORD).await.headers["retry-after"], "1");
        app.advance_seconds(1);
        assert_eq!(attempt(&app, "ada@example.com", "wrong").await.status, 401);
        waits.push(seconds);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
}

async fn tries_add_up_over_all_doors_and_spellings(app: TestApp) {
    app.admin()
        .post("/v4/people", &json!({"email": "jos\u{e9}@example.com", "name": "J", "password": PASSWORD}))
        .await
        .expect(201);
    let (nfc, nfd) = ("jos\u{e9}@example.com", " JOSE\u{301}@Example.com ");
    let visitor = app.visitor();
    let inside = app.visitor();
    inside.sign_in(nfc, PASSWORD).await.expect(303);
    for email in [nfc, nfd] {
        let wrong = basic(email, "wrong");
        assert_eq!(attempt(&app, email, "wrong").await.status, 401);
        assert_eq!(app.presenting(&[&wrong]).get("/v4/auth").await.status, 401);
        assert_eq!(app.presenting(&[&wrong]).post("/v4/apiAccessTokens", &json!({})).await.status, 401);
        assert_eq!(visitor.sign_in(email, "wrong").await.status, 403);
    }
    let fields = [("old_password", "wrong"), ("new_password", "y"), ("repeated_password", "y")];
    inside.post("/preferences/profile/password", &fields).await.expect(400);
    app.advance_seconds(15 * 60);
    inside.post("/preferences/access-tokens/delete-all", &[("own_password", "wrong")]).await.expect(400);
    // Ten: each door is shut now, to the right one, too. A proxy is told no, not that something is wrong with us.
    assert_eq!(attempt(&app, nfd, PASSWORD).await.status, 429);
    let reply = visitor.sign_in(nfc, PASSWORD).await.expect(429);
    assert!(reply.text.contains("Too many wrong passwords") && reply.headers["retry-after"] == "1");
    assert!(reply.text.contains("The next try is possible in 1 second."), "{}", reply.text);
    inside.post("/preferences/access-tokens/delete-all", &[("own_password", PASSWORD)]).await.expect(429);
    let mut asking = app.anonymous().request("POST", "/oauth2/introspect", "token=x".to_owned().into());
    asking.headers_mut().insert("authorization", basic(nfc, PASSWORD).parse().unwrap());
    asking.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    let reply = app.anonymous().send(asking).await.expect(429);
    assert_eq!((&reply.json["error"], &reply.headers["retry-after"]), (&json!("slow_down"), &"1".parse().unwrap()));
    let checked = app.presenting(&[&basic(nfc, PASSWORD)]).get("/v4/auth").await;
    checked.expect_error(401, "MissingPersonException");
}

async fn an_account_that_is_not_there_answers_alike(app: TestApp) {
    app.person("ada").await;
    let off = app.person("off").await;
    app.admin().change(off.id, json!({"isDisabled": true})).await.expect(200);
    let mut seen = Vec::new();
    for email in ["ada@example.com", "nobody@example.com", "off@example.com"] {
        let mut answers = Vec::new();
        for _ in 0..12 {
            // The right password of a disabled account is wrong, too.
            let password = if email.starts_with("off") { PASSWORD } else { "wrong" };
            let reply = attempt(&app, email, password).await;
            answers.push((reply.status, reply.headers.get("retry-after").cloned(), reply.text));
        }
        seen.push(answers);
    }
    assert!(seen.iter().all(|answers| *answers == seen[0]), "{seen:#?}");
}

async fn what_is_no_address_is_not_counted(app: TestApp) {
    for name in ["nobody", "", "ada.example.com"] {
        for _ in 0..15 {
            assert_eq!(attempt(&app, name, "wrong").await.status, 401, "{name}");
        }
    }
    app.advance_seconds(86_400);
    assert_eq!(app.app.sign_in().forget_tries().await.unwrap(), 0);
}

async fn whoever_is_guessed_at_goes_on_working(app: TestApp) {
    let token = app.admin().bearer().await;
    let visitor = app.signed_in("admin@example.com").await;
    spend(&app, "admin@example.com").await;
    assert_eq!(attempt(&app, "admin@example.com", PASSWORD).await.status, 429);
    assert!(token.works().await);
    visitor.get("/preferences/access-tokens").await.expect(200);
    assert_eq!(token.post("/v4/apiAccessTokens", &crate::support::an_hour()).await.status, 201);
    assert_eq!(attempt(&app, "nobody-else@example.com", "wrong").await.status, 401, "others are not slowed");
}

async fn a_right_password_after_the_delay_forgets_the_wrong_ones(app: TestApp) {
    app.person("ada").await;
    spend(&app, "ada@example.com").await;
    app.advance_seconds(1);
    assert_eq!(attempt(&app, "ada@example.com", PASSWORD).await.status, 200);
    spend(&app, "ada@example.com").await;
    assert_eq!(attempt(&app, "ada@example.com", "wrong").await.status, 429);
}

async fn an_administrator_lets_somebody_in_again(app: TestApp) {
    let ada = app.person("ada").await;
    let admin = app.signed_in("admin@example.com").await;
    let path = format!("/admin/users/{}", ada.id);
    assert!(!admin.get(&path).await.text.contains("Let sign in at once"));
    for change in [
        json!({"isDisabled": false}),
        json!({"password": "another phrase of words", "password2": "another phrase of words"}),
    ] {
        spend(&app, "ada@example.com").await;
        assert_eq!(attempt(&app, "ada@example.com", "wrong").await.status, 429);
        assert!(admin.get(&path).await.text.contains("Let sign in at once"));
        app.admin().change(ada.id, json!({"name": "Ada L."})).await.expect(200);
        assert_eq!(attempt(&app, "ada@example.com", "wrong").await.status, 429);
        app.admin().change(ada.id, change).await.expect(200);
        assert_eq!(attempt(&app, "ada@example.com", "wrong").await.status, 401);
        app.advance_seconds(86_400);
        admin.sign_in("admin@example.com", PASSWORD).await.expect(303);
    }
    spend(&app, "ada@example.com").await;
    admin.post(&format!("{path}/enable"), &[]).await.expect(303);
    assert_eq!(attempt(&app, "ada@example.com", "another phrase of words").await.status, 200);
}

async fn fifty_tries_at_once_are_no_more_than_the_budget(app: TestApp) {
    app.person("ada").await;
    let statuses = join_all((0..50).map(|_| attempt(&app, "ada@example.com", "wrong"))).await;
    let looked_at = statuses.iter().filter(|reply| reply.status == 401).count();
    let cores = std::thread::available_parallelism().unwrap().get();
    assert!((10..10 + cores).contains(&looked_at), "{looked_at} were looked at");
    assert!(statuses.iter().all(|reply| matches!(reply.status, 401 | 429)));
    // Many who are right do not slow each other.
    let right = join_all((0..50).map(|_| attempt(&app, "admin@example.com", PASSWORD))).await;
    assert!(right.iter().all(|reply| reply.status == 200));
}

async fn a_day_later_everything_is_forgotten(app: TestApp) {
    spend(&app, "nobody@example.com").await;
    app.advance_seconds(86_400);
    spend(&app, "nobody@example.com").await;
    assert_eq!(attempt(&app, "nobody@example.com", "wrong").await.status, 429);
    app.advance_seconds(86_400);
    assert_eq!(app.app.sign_in().forget_tries().await.unwrap(), 1);
}

#[tokio::test]
async fn many_nodes_give_no_more_tries() {
    let first = TestApp::with(Database::migrated(Engine::Postgres).await, |_| ()).await;
    let second = TestApp::with(first.database.for_another_node(), |_| ()).await;
    for n in 0..10 {
        let node = if n % 2 == 0 { &first } else { &second };
        assert_eq!(attempt(node, "nobody@example.com", "wrong").await.status, 401);
    }
    for node in [&first, &second] {
        assert_eq!(attempt(node, "nobody@example.com", "wrong").await.status, 429);
    }
}
