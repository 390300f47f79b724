//! Retention: rows on both sides of each boundary, to the millisecond.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;
use tokenward::{
    domain::{id::WorkspaceId, time::Timestamp},
    service::audit_verify::verify,
};

use crate::support::{
    Database, Engine, TestApp, TokenClient,
    binary::{ServerProcess, tokenward_command},
    both_databases, both_databases_multi_thread, days, insert_tokens_sql,
};

const DAY_SECONDS: i64 = 86_400;
/// The initial time of the test clock.
const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// Returns the IDs of all tokens of the administrator, including expired ones.
async fn list_token_ids(app: &TestApp) -> Vec<String> {
    let list = app.admin().get("/v4/apiAccessTokens").await.expect(200);
    list.rows().iter().map(|row| row["tokenId"].as_str().unwrap().to_owned()).collect()
}

async fn create_token_for_seconds(app: &TestApp, seconds: i64) -> TokenClient {
    app.admin().create_token_with(json!({"lifetimeSeconds": seconds})).await
}

#[apply(both_databases)]
async fn expired_tokens_are_purged_after_the_retention_period(engine: Engine) {
    let app = TestApp::start(engine).await;
    let hour = create_token_for_seconds(&app, 3_600).await;
    let longer = create_token_for_seconds(&app, 3_601).await;
    let (unexpired, unlimited) =
        (create_token_for_seconds(&app, 60 * DAY_SECONDS).await, create_token_for_seconds(&app, -1).await);
    let tokens = app.state.tokens();
    assert_eq!(tokens.purge_expired(days(30)).await.unwrap(), 0, "no token has expired");
    app.advance_seconds(3_600);
    assert_eq!(tokens.purge_expired(days(30)).await.unwrap(), 0, "one token has just expired");
    app.advance_seconds(30 * DAY_SECONDS);
    assert_eq!(tokens.purge_expired(days(30)).await.unwrap(), 0, "exactly thirty days ago");
    assert_eq!(list_token_ids(&app).await.len(), 4);
    app.advance_millis(1);
    assert_eq!(tokens.purge_expired(days(30)).await.unwrap(), 1, "more than thirty days ago");
    let left = list_token_ids(&app).await;
    assert!(!left.contains(&hour.token_id) && left.contains(&longer.token_id));
    app.advance_millis(1_000);
    assert_eq!(tokens.purge_expired(days(30)).await.unwrap(), 1);
    let mut left = list_token_ids(&app).await;
    left.sort();
    let mut expected = vec![unexpired.token_id.clone(), unlimited.token_id.clone()];
    expected.sort();
    assert_eq!(left, expected);
    assert!(unexpired.is_accepted().await && unlimited.is_accepted().await);
    // A retention period of zero removes expired tokens only.
    assert_eq!(tokens.purge_expired(days(0)).await.unwrap(), 0);
    assert!(unexpired.is_accepted().await);
}

#[apply(both_databases)]
async fn thousands_of_expired_tokens_are_purged_at_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    let unlimited = create_token_for_seconds(&app, -1).await;
    let (created, expired) = (NOW.plus_seconds(-90 * DAY_SECONDS), NOW.plus_seconds(-60 * DAY_SECONDS));
    let fill = insert_tokens_sql(app.database.engine, 2_500, "", created, Some(expired));
    let app = app.restart_after_sql(&fill).await;
    assert_eq!(app.state.tokens().purge_expired(days(30)).await.unwrap(), 2_500);
    assert_eq!(list_token_ids(&app).await, [unlimited.token_id]);
}

#[apply(both_databases)]
async fn tombstones_are_purged_after_the_retention_period(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (old, edge, young) = (
        create_token_for_seconds(&app, -1).await,
        create_token_for_seconds(&app, -1).await,
        create_token_for_seconds(&app, -1).await,
    );
    let unlimited = create_token_for_seconds(&app, -1).await;
    // An old tombstone is kept while it is the parent of an unrevoked token.
    let parent = create_token_for_seconds(&app, -1).await;
    let child =
        TokenClient::from_response(&parent, &parent.post("/v4/apiAccessTokens", &json!({"lifetimeSeconds": -1})).await);
    for token in [&old, &edge, &young, &parent] {
        app.admin().delete(&token.token_path()).await.expect(204);
    }
    // The database clock, not the test clock, sets the time of deletion.
    let engine = app.database.engine;
    let deleted_at = |token: &TokenClient, millis: i64| {
        let moment = Timestamp::from_millis(NOW.plus_seconds(-90 * DAY_SECONDS).as_millis() + millis);
        let (id, moment) = match engine {
            Engine::Postgres => (format!("'{}'", token.token_id), format!("'{moment}'")),
            Engine::Sqlite => (format!("x'{}'", token.token_id.replace('-', "")), moment.as_millis().to_string()),
        };
        format!("update token_tombstone set deleted_at = {moment} where id = {id}")
    };
    let statements = [deleted_at(&old, -1), deleted_at(&edge, 0), deleted_at(&young, 1), deleted_at(&parent, -1)];
    let app = app.restart_after_sql(&statements.join("; ")).await;
    assert_eq!(app.state.tokens().purge_tombstones(days(91)).await.unwrap(), 0);
    assert_eq!(app.state.tokens().purge_tombstones(days(90)).await.unwrap(), 1);
    // A use of a token with a tombstone is recorded as an event.
    for value in [&old, &edge, &young, &parent].map(|token| &token.value) {
        app.client_with_authorization(&[&format!("Bearer {value}")]).get("/v4/auth").await.expect(401);
    }
    app.state.denied_attempts().flush(true).await.unwrap();
    let events = app.admin().get("/v4/events?allUsers=true&action=token.rejected_revoked").await.expect(200);
    let mut recognised: Vec<&str> = events.rows().iter().map(|row| row["target"].as_str().unwrap()).collect();
    let mut expected = vec![edge.token_id.as_str(), young.token_id.as_str(), parent.token_id.as_str()];
    recognised.sort_unstable();
    expected.sort_unstable();
    assert_eq!(recognised, expected);
    for value in [&unlimited.value, &child.value] {
        app.client_with_authorization(&[&format!("Bearer {value}")]).get("/v4/auth").await.expect(200);
    }
}

#[apply(both_databases)]
async fn idempotency_records_are_purged_after_ten_minutes(engine: Engine) {
    let app = TestApp::start(engine).await;
    let create = async || {
        let admin = app.admin();
        let body = json!({"lifetimeSeconds": 3_600}).to_string();
        let mut request = admin.request("POST", "/v4/apiAccessTokens", axum::body::Body::from(body));
        request.headers_mut().insert("content-type", "application/json".parse().unwrap());
        request.headers_mut().insert("idempotency-key", "the-same-key-each-time".parse().unwrap());
        admin.send(request).await.expect(201).json["tokenInfo"]["tokenId"].clone()
    };
    let first = create().await;
    app.advance_millis(599_999);
    app.state.tokens().purge_tombstones(days(90)).await.unwrap();
    assert_eq!(create().await, first, "a record that can still be replayed is not purged");
    app.advance_millis(1_001);
    assert_eq!(app.state.tokens().purge_tombstones(days(90)).await.unwrap(), 1);
    assert_ne!(create().await, first);
}

#[apply(both_databases)]
async fn events_are_pruned_after_the_retention_period(engine: Engine) {
    let app = TestApp::start(engine).await;
    // A token, because a login with a password would be recorded as an event.
    let bearer = app.admin().create_token().await;
    let events = app.state.events();
    let seqs = async || -> Vec<i64> {
        app.store.list_entries(WorkspaceId::FIRST, 0, 1_000).await.unwrap().iter().map(|(entry, _)| entry.seq).collect()
    };
    let begun = seqs().await;
    app.advance_millis(1);
    bearer.patch("/v4/people/1", &json!({"name": "Ada"})).await.expect(200);
    let last = *seqs().await.last().unwrap();
    assert_eq!(last, *begun.last().unwrap() + 1);
    app.advance_millis(30 * DAY_SECONDS * 1_000 - 1);
    assert_eq!(events.prune(days(30)).await.unwrap(), 0, "exactly thirty days ago");
    app.advance_millis(1);
    assert_eq!(events.prune(days(30)).await.unwrap(), begun.len() as u64, "more than thirty days ago");
    // The rest begins with the newest event, followed by the event that records the pruning.
    assert_eq!(seqs().await, [last, last + 1]);
    assert_eq!(verify(&app.store).await.unwrap().findings, []);
    assert_eq!(events.prune(days(30)).await.unwrap(), 0);
    app.advance_millis(1);
    assert_eq!(events.prune(days(30)).await.unwrap(), 1);
    assert_eq!(verify(&app.store).await.unwrap().findings, []);
}

#[apply(both_databases)]
async fn sessions_are_purged_a_day_after_their_end(engine: Engine) {
    let app = TestApp::start(engine).await;
    let sessions = app.state.sessions();
    let is_signed_in =
        async |browser: &crate::support::Browser| browser.get("/preferences/profile").await.status == 200;
    let idle = app.signed_in_browser("admin@example.com").await;
    app.advance_millis(30 * 60 * 1_000);
    assert!(!is_signed_in(&idle).await);
    app.advance_millis(DAY_SECONDS * 1_000 - 1);
    assert_eq!(sessions.purge_expired().await.unwrap(), 0);
    let busy = app.signed_in_browser("admin@example.com").await;
    app.advance_millis(1);
    assert_eq!(sessions.purge_expired().await.unwrap(), 1);
    assert!(!is_signed_in(&idle).await && is_signed_in(&busy).await);
    // The session in constant use ends twelve hours after it was created.
    for _ in 0..35 {
        app.advance_seconds(20 * 60);
        assert!(is_signed_in(&busy).await);
        assert_eq!(sessions.purge_expired().await.unwrap(), 0);
    }
    app.advance_millis(20 * 60 * 1_000 - 2);
    assert!(is_signed_in(&busy).await);
    app.advance_millis(1);
    assert!(!is_signed_in(&busy).await);
    app.advance_millis(DAY_SECONDS * 1_000 - 1);
    assert_eq!(sessions.purge_expired().await.unwrap(), 0);
    app.advance_millis(1);
    assert_eq!(sessions.purge_expired().await.unwrap(), 1);
}

#[apply(both_databases)]
async fn login_failures_are_purged_after_a_day(engine: Engine) {
    let app = TestApp::start(engine).await;
    let wrong = crate::support::basic_auth("admin@example.com", "not the password");
    app.client_with_authorization(&[&wrong]).get("/v4/people/current").await.expect(401);
    app.advance_millis(DAY_SECONDS * 1_000 - 1);
    assert_eq!(app.state.sign_in().purge_login_failures().await.unwrap(), 0);
    app.advance_millis(1);
    assert_eq!(app.state.sign_in().purge_login_failures().await.unwrap(), 1);
}

#[apply(both_databases)]
async fn invite_links_are_purged_when_they_expire(engine: Engine) {
    let app = TestApp::start(engine).await;
    let body = json!({"email": "ada@example.com", "name": "", "invite": true});
    app.admin().post("/v4/people", &body).await.expect(201);
    app.advance_millis(3 * DAY_SECONDS * 1_000 - 1);
    assert_eq!(app.state.invites().purge_expired().await.unwrap(), 0);
    app.advance_millis(1);
    assert_eq!(app.state.invites().purge_expired().await.unwrap(), 1);
}

/// A table with old rows, which are to be purged, and young rows, which are to stay.
struct AgedRows {
    table: &'static str,
    /// Conditions that select the old and the young rows.
    old: &'static str,
    young: &'static str,
}

const AGED_ROWS: [AgedRows; 6] = [
    AgedRows { table: "token", old: "description = 'old'", young: "description = 'young'" },
    AgedRows { table: "token_tombstone", old: "display_prefix = 'old'", young: "display_prefix = 'young'" },
    AgedRows { table: "event", old: "seq <= 2", young: "seq = 3" },
    AgedRows { table: "web_session", old: "user_agent = 'old'", young: "user_agent = 'young'" },
    AgedRows { table: "login_failure", old: "failures = 71", young: "failures = 72" },
    AgedRows { table: "password_link", old: "kind = 'invite'", young: "kind = 'reset'" },
];

/// Returns the statements that insert the rows. Their ages differ from the boundary of 1, 30 or 90
/// days by hours or a day.
fn aged_rows_sql(engine: Engine) -> Vec<String> {
    let ago = |hours: i64| match engine {
        Engine::Postgres => format!("now() - interval '{hours} hours'"),
        Engine::Sqlite => format!("cast(unixepoch('subsec') * 1000 as integer) - {}", hours * 3_600_000),
    };
    let bytes = |length: usize, byte: u8| {
        let digits = format!("{byte:02x}").repeat(length);
        match engine {
            Engine::Postgres if length == 16 => format!("'{digits}'::uuid"),
            Engine::Postgres => format!("'\\x{digits}'::bytea"),
            Engine::Sqlite => format!("x'{digits}'"),
        }
    };
    let mut statements = vec![format!("update event set occurred_at = {} where seq <= 2", ago(31 * 24))];
    for (label, byte, days, session, failures, failure_age, kind) in
        [("old", 1, 1, 37, 71, 25, "invite"), ("young", 2, -1, 0, 72, 23, "reset")]
    {
        let (id, digest) = (bytes(16, byte), bytes(32, byte));
        let [created, expired, deleted] = [ago(200 * 24), ago((30 + days) * 24), ago((90 + days) * 24)];
        let [begun, failed, link_end] = [ago(session), ago(failure_age), ago(days)];
        statements.extend([
            format!(
                "insert into token (id, workspace_id, person_id, digest, display_prefix, description, created_at, expires_at) \
                 values ({id}, 1, 1, {digest}, 'twd_', '{label}', {created}, {expired})"
            ),
            format!(
                "insert into token_tombstone (id, digest, workspace_id, person_id, display_prefix, deleted_at) \
                 values ({id}, {digest}, 1, 1, '{label}', {deleted})"
            ),
            format!(
                "insert into web_session (id, digest, workspace_id, person_id, created_at, authenticated_at, last_seen_at, user_agent) \
                 values ({id}, {digest}, 1, 1, {begun}, {begun}, {begun}, '{label}')"
            ),
            format!("insert into login_failure (email_digest, failures, last_at) values ({digest}, {failures}, {failed})"),
            format!(
                "insert into password_link (person_id, workspace_id, kind, digest, created_at, expires_at) \
                 values (1, 1, '{kind}', {digest}, {created}, {link_end})"
            ),
        ]);
    }
    statements
}

async fn has_rows(database: &Database, table: &str, which: &str) -> bool {
    let count = database.query_text(&format!("select cast(count(*) as text) from {table} where {which}")).await;
    count.is_some_and(|count| count != "0")
}

/// Starts and stops the server until the old rows of these tables are purged. Every job runs once
/// at the start.
async fn run_server_until_purged(database: &Database, days: Option<&str>, tables: &[&str]) {
    loop {
        let mut serve = tokenward_command(&database.url);
        if let Some(days) = days {
            serve.env("TOKENWARD_RETENTION__EXPIRED_TOKENS", days).env("TOKENWARD_RETENTION__EVENTS", days);
        }
        let running = ServerProcess::start_with(serve);
        crate::resilience::Token::create(&running).await;
        running.send_signal("TERM");
        let (code, log) = running.wait_for_exit();
        assert_eq!(code, Some(0), "{log}");
        let mut is_left = false;
        for aged in AGED_ROWS.iter().filter(|aged| tables.contains(&aged.table)) {
            is_left |= has_rows(database, aged.table, aged.old).await;
        }
        if !is_left {
            return;
        }
    }
}

#[apply(both_databases_multi_thread)]
async fn jobs_purge_only_what_is_configured(engine: Engine) {
    let database = Database::empty(engine).await;
    let running = ServerProcess::start(&database.url);
    for _ in 0..3 {
        crate::resilience::Token::create(&running).await;
    }
    running.send_signal("TERM");
    assert_eq!(running.wait_for_exit().0, Some(0));
    for statement in aged_rows_sql(engine) {
        database.execute_sql(&statement).await;
    }
    // By default expired tokens and events are kept; the other tables are purged.
    run_server_until_purged(&database, None, &["token_tombstone", "web_session", "login_failure", "password_link"])
        .await;
    for aged in &AGED_ROWS {
        assert!(has_rows(&database, aged.table, aged.young).await, "{}", aged.table);
    }
    assert!(
        has_rows(&database, "token", AGED_ROWS[0].old).await && has_rows(&database, "event", AGED_ROWS[2].old).await
    );
    run_server_until_purged(&database, Some("30d"), &["token", "event"]).await;
    for aged in &AGED_ROWS {
        assert!(has_rows(&database, aged.table, aged.young).await, "{}", aged.table);
    }
}
