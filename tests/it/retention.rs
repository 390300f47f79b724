//! What is removed by itself, and what is not yet: rows on both sides of each boundary, to the millisecond.

use serde_json::json;
use tokenward::{domain::time::Timestamp, service::audit_verify::verify};

use crate::support::{
    Bearer, Database, Engine, TestApp,
    binary::{Running, command},
    insert_tokens,
};

on_both!(
    expired_tokens_are_removed_after_their_days_and_no_others,
    thousands_of_expired_tokens_are_removed_at_once,
    deleted_tokens_are_forgotten_after_their_days_and_no_others,
    answers_are_repeated_for_ten_minutes,
    old_events_are_removed_after_their_days_and_no_others,
    sessions_are_removed_when_they_are_over_and_not_before,
    wrong_passwords_are_forgotten_after_a_day_and_not_before,
);

const DAY: i64 = 86_400;
/// The moment at which the tests' clock begins.
const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// The ids of all the administrator's tokens, expired ones included.
async fn ids(app: &TestApp) -> Vec<String> {
    let list = app.admin().get("/v4/apiAccessTokens").await.expect(200);
    list.rows().iter().map(|row| row["tokenId"].as_str().unwrap().to_owned()).collect()
}

async fn living_for(app: &TestApp, seconds: i64) -> Bearer {
    app.admin().bearer_for(json!({"lifetimeSeconds": seconds})).await
}

async fn expired_tokens_are_removed_after_their_days_and_no_others(app: TestApp) {
    let hour = living_for(&app, 3_600).await;
    let longer = living_for(&app, 3_601).await;
    let (alive, forever) = (living_for(&app, 60 * DAY).await, living_for(&app, -1).await);
    let tokens = app.app.tokens();
    assert_eq!(tokens.remove_expired(30).await.unwrap(), 0, "none has expired");
    app.advance_seconds(3_600);
    assert_eq!(tokens.remove_expired(30).await.unwrap(), 0, "one has expired just now");
    app.advance_seconds(30 * DAY);
    assert_eq!(tokens.remove_expired(30).await.unwrap(), 0, "exactly thirty days ago");
    assert_eq!(ids(&app).await.len(), 4);
    app.advance_millis(1);
    assert_eq!(tokens.remove_expired(30).await.unwrap(), 1, "more than thirty days ago");
    let left = ids(&app).await;
    assert!(!left.contains(&hour.token_id) && left.contains(&longer.token_id));
    app.advance_millis(1_000);
    assert_eq!(tokens.remove_expired(30).await.unwrap(), 1);
    let mut left = ids(&app).await;
    left.sort();
    let mut expected = vec![alive.token_id.clone(), forever.token_id.clone()];
    expected.sort();
    assert_eq!(left, expected);
    assert!(alive.works().await && forever.works().await);
    // A retention of nothing removes what has expired and nothing that lives.
    assert_eq!(tokens.remove_expired(0).await.unwrap(), 0);
    assert!(alive.works().await);
}

async fn thousands_of_expired_tokens_are_removed_at_once(app: TestApp) {
    let live = living_for(&app, -1).await;
    let (created, expired) = (NOW.plus_seconds(-90 * DAY), NOW.plus_seconds(-60 * DAY));
    let fill = insert_tokens(app.database.engine, 2_500, "", created, Some(expired));
    let app = app.restarted_after(&fill).await;
    assert_eq!(app.app.tokens().remove_expired(30).await.unwrap(), 2_500);
    assert_eq!(ids(&app).await, [live.token_id]);
}

async fn deleted_tokens_are_forgotten_after_their_days_and_no_others(app: TestApp) {
    let (old, edge, young) = (living_for(&app, -1).await, living_for(&app, -1).await, living_for(&app, -1).await);
    let live = living_for(&app, -1).await;
    // An old one that has made another which lives is what that one descends from.
    let parent = living_for(&app, -1).await;
    let child = Bearer::of(&parent, &parent.post("/v4/apiAccessTokens", &json!({"lifetimeSeconds": -1})).await);
    for token in [&old, &edge, &young, &parent] {
        app.admin().delete(&token.path()).await.expect(204);
    }
    // The database's own clock says when a token was deleted, and it is not the test's.
    let engine = app.database.engine;
    let deleted_at = |token: &Bearer, millis: i64| {
        let moment = Timestamp::from_millis(NOW.plus_seconds(-90 * DAY).as_millis() + millis);
        let (id, moment) = match engine {
            Engine::Postgres => (format!("'{}'", token.token_id), format!("'{moment}'")),
            Engine::Sqlite => (format!("x'{}'", token.token_id.replace('-', "")), moment.as_millis().to_string()),
        };
        format!("update deleted_token set deleted_at = {moment} where id = {id}")
    };
    let statements = [deleted_at(&old, -1), deleted_at(&edge, 0), deleted_at(&young, 1), deleted_at(&parent, -1)];
    let app = app.restarted_after(&statements.join("; ")).await;
    assert_eq!(app.app.tokens().forget(91).await.unwrap(), 0);
    assert_eq!(app.app.tokens().forget(90).await.unwrap(), 1);
    // Which are remembered is told by what is recognised.
    for value in [&old, &edge, &young, &parent].map(|token| &token.value) {
        app.presenting(&[&format!("Bearer {value}")]).get("/v4/auth").await.expect(401);
    }
    app.app.refusals().flush(true).await.unwrap();
    let told = app.admin().get("/v4/events?allUsers=true&action=token.used_after_death").await.expect(200);
    let mut recognised: Vec<&str> = told.rows().iter().map(|row| row["target"].as_str().unwrap()).collect();
    let mut expected = vec![edge.token_id.as_str(), young.token_id.as_str(), parent.token_id.as_str()];
    recognised.sort_unstable();
    expected.sort_unstable();
    assert_eq!(recognised, expected);
    for value in [&live.value, &child.value] {
        app.presenting(&[&format!("Bearer {value}")]).get("/v4/auth").await.expect(200);
    }
}

async fn answers_are_repeated_for_ten_minutes(app: TestApp) {
    let make = async || {
        let admin = app.admin();
        let body = json!({"lifetimeSeconds": 3_600}).to_string();
        let mut request = admin.request("POST", "/v4/apiAccessTokens", axum::body::Body::from(body));
        request.headers_mut().insert("content-type", "application/json".parse().unwrap());
        request.headers_mut().insert("idempotency-key", "the-same-key-each-time".parse().unwrap());
        admin.send(request).await.expect(201).json["tokenInfo"]["tokenId"].clone()
    };
    let first = make().await;
    app.advance_millis(599_999);
    app.app.tokens().forget(90).await.unwrap();
    assert_eq!(make().await, first, "what is repeated is not forgotten");
    app.advance_millis(1_001);
    assert_eq!(app.app.tokens().forget(90).await.unwrap(), 1);
    assert_ne!(make().await, first);
}

async fn old_events_are_removed_after_their_days_and_no_others(app: TestApp) {
    // Without a sign-in by password, of which there would be an event.
    let bearer = app.admin().bearer().await;
    let events = app.app.events();
    let seqs = async || -> Vec<i64> {
        app.store.list_entries(1, 0, 1_000).await.unwrap().iter().map(|(entry, _)| entry.seq).collect()
    };
    let begun = seqs().await;
    app.advance_millis(1);
    bearer.patch("/v4/people/1", &json!({"name": "Ada"})).await.expect(200);
    let last = *seqs().await.last().unwrap();
    assert_eq!(last, *begun.last().unwrap() + 1);
    app.advance_millis(30 * DAY * 1_000 - 1);
    assert_eq!(events.prune(30).await.unwrap(), 0, "exactly thirty days ago");
    app.advance_millis(1);
    assert_eq!(events.prune(30).await.unwrap(), begun.len() as u64, "more than thirty days ago");
    // What is left begins with the young one; behind it stands what tells of the cut.
    assert_eq!(seqs().await, [last, last + 1]);
    assert_eq!(verify(&app.store).await.unwrap().findings, []);
    assert_eq!(events.prune(30).await.unwrap(), 0);
    app.advance_millis(1);
    assert_eq!(events.prune(30).await.unwrap(), 1);
    assert_eq!(verify(&app.store).await.unwrap().findings, []);
}

async fn sessions_are_removed_when_they_are_over_and_not_before(app: TestApp) {
    let sessions = app.app.sessions();
    let is_in = async |visitor: &crate::support::Visitor| visitor.get("/preferences/profile").await.status == 200;
    let idle = app.signed_in("admin@example.com").await;
    app.advance_millis(30 * 60 * 1_000 - 1);
    assert_eq!(sessions.remove_over().await.unwrap(), 0);
    let busy = app.signed_in("admin@example.com").await;
    app.advance_millis(1);
    assert_eq!(sessions.remove_over().await.unwrap(), 1);
    assert!(!is_in(&idle).await && is_in(&busy).await);
    // The other one is used all the time, and ends twelve hours after it began.
    for _ in 0..35 {
        app.advance_seconds(20 * 60);
        assert!(is_in(&busy).await);
        assert_eq!(sessions.remove_over().await.unwrap(), 0);
    }
    app.advance_millis(20 * 60 * 1_000 - 2);
    assert!(is_in(&busy).await);
    assert_eq!(sessions.remove_over().await.unwrap(), 0);
    app.advance_millis(1);
    assert_eq!(sessions.remove_over().await.unwrap(), 1);
}

async fn wrong_passwords_are_forgotten_after_a_day_and_not_before(app: TestApp) {
    let wrong = crate::support::basic("admin@example.com", "not the password");
    app.presenting(&[&wrong]).get("/v4/people/current").await.expect(401);
    app.advance_millis(DAY * 1_000 - 1);
    assert_eq!(app.app.sign_in().forget_tries().await.unwrap(), 0);
    app.advance_millis(1);
    assert_eq!(app.app.sign_in().forget_tries().await.unwrap(), 1);
}

mod jobs {
    use super::the_jobs_run_by_themselves_and_only_what_is_configured_is_removed;

    on_both_databases!(the_jobs_run_by_themselves_and_only_what_is_configured_is_removed);
}

/// Each kind of row, with an old one and a young one of it.
struct Aged {
    table: &'static str,
    /// Which rows are the old ones, and which the young ones.
    old: &'static str,
    young: &'static str,
}

const AGED: [Aged; 5] = [
    Aged { table: "token", old: "description = 'old'", young: "description = 'young'" },
    Aged { table: "deleted_token", old: "hint = 'old'", young: "hint = 'young'" },
    Aged { table: "event", old: "seq <= 2", young: "seq = 3" },
    Aged { table: "web_session", old: "user_agent = 'old'", young: "user_agent = 'young'" },
    Aged { table: "password_try", old: "failures = 71", young: "failures = 72" },
];

/// The statements that make the rows: of a day, or of thirty or ninety, with a day to spare on either side.
fn age(engine: Engine) -> Vec<String> {
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
    let mut statements = vec![format!("update event set at = {} where seq <= 2", ago(31 * 24))];
    for (word, byte, days, session, failures, tries) in [("old", 1, 1, 13, 71, 25), ("young", 2, -1, 0, 72, 23)] {
        let (id, digest) = (bytes(16, byte), bytes(32, byte));
        let [created, expired, deleted] = [ago(200 * 24), ago((30 + days) * 24), ago((90 + days) * 24)];
        let [begun, tried] = [ago(session), ago(tries)];
        statements.extend([
            format!(
                "insert into token (id, workspace_id, person_id, digest, hint, description, created_at, expires_at) \
                 values ({id}, 1, 1, {digest}, 'twd_', '{word}', {created}, {expired})"
            ),
            format!(
                "insert into deleted_token (id, digest, workspace_id, person_id, hint, deleted_at) \
                 values ({id}, {digest}, 1, 1, '{word}', {deleted})"
            ),
            format!(
                "insert into web_session (id, digest, workspace_id, person_id, begun_at, proven_at, seen_at, user_agent) \
                 values ({id}, {digest}, 1, 1, {begun}, {begun}, {begun}, '{word}')"
            ),
            format!("insert into password_try (email_digest, failures, last_at) values ({digest}, {failures}, {tried})"),
        ]);
    }
    statements
}

async fn is_there(database: &Database, table: &str, which: &str) -> bool {
    let count = database.ask(&format!("select cast(count(*) as text) from {table} where {which}")).await;
    count.is_some_and(|count| count != "0")
}

/// Runs the service for a moment, until the old rows of these tables are gone: what a job does first it does at the start.
async fn run_until_removed(database: &Database, days: Option<&str>, tables: &[&str]) {
    loop {
        let mut serve = command(&database.url);
        if let Some(days) = days {
            serve.env("TOKENWARD_RETENTION__EXPIRED_TOKENS_DAYS", days).env("TOKENWARD_RETENTION__EVENTS_DAYS", days);
        }
        let running = Running::start_with(serve);
        crate::resilience::Token::made_by(&running).await;
        running.signal("TERM");
        let (code, log) = running.wait();
        assert_eq!(code, Some(0), "{log}");
        let mut is_left = false;
        for aged in AGED.iter().filter(|aged| tables.contains(&aged.table)) {
            is_left |= is_there(database, aged.table, aged.old).await;
        }
        if !is_left {
            return;
        }
    }
}

async fn the_jobs_run_by_themselves_and_only_what_is_configured_is_removed(engine: Engine) {
    let database = Database::empty(engine).await;
    let running = Running::start(&database.url);
    for _ in 0..3 {
        crate::resilience::Token::made_by(&running).await;
    }
    running.signal("TERM");
    assert_eq!(running.wait().0, Some(0));
    for statement in age(engine) {
        database.run(&statement).await;
    }
    // By default expired tokens and events stay; the others go.
    run_until_removed(&database, None, &["deleted_token", "web_session", "password_try"]).await;
    for aged in &AGED {
        assert!(is_there(&database, aged.table, aged.young).await, "{}", aged.table);
    }
    assert!(is_there(&database, "token", AGED[0].old).await && is_there(&database, "event", AGED[2].old).await);
    run_until_removed(&database, Some("30"), &["token", "event"]).await;
    for aged in &AGED {
        assert!(is_there(&database, aged.table, aged.young).await, "{}", aged.table);
    }
}
