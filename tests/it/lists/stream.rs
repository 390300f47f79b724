//! Streaming of lists: complete, in order, in small chunks.

use axum::body::{Body, Bytes, HttpBody};
use http_body_util::BodyExt as _;
use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};
use tokenward::{
    domain::{
        id::{PersonId, WorkspaceId},
        time::Timestamp,
        token_filter::TokenFilter,
        token_query::{Sort, SortKey, TokenPageQuery},
    },
    store::{EventFilter, EventPageStart, OwnerScope, TokenListQuery},
};
use tower::ServiceExt as _;

use super::{basic_credential, restart_with_tokens};
use crate::support::{ApiClient, Engine, TestApp, both_databases};

const PATH: &str = "/v4/apiAccessTokens";
/// The maximum chunk size in bytes: two KiB and the rest of the row that exceeds them.
const MAX_CHUNK_BYTES: usize = 4 * 1024;

/// A response whose body has not been read.
struct UnreadResponse<B> {
    status: u16,
    body: B,
}

async fn send_unread(
    app: &TestApp,
    client: &ApiClient,
    path: &str,
) -> UnreadResponse<impl HttpBody<Data = Bytes, Error: std::fmt::Debug> + Unpin + use<>> {
    let response = app.service.clone().oneshot(client.request("GET", path, Body::empty())).await.unwrap();
    UnreadResponse { status: response.status().as_u16(), body: response.into_body() }
}

impl<B: HttpBody<Data = Bytes, Error: std::fmt::Debug> + Unpin> UnreadResponse<B> {
    /// Returns the next chunk, or `None` at the end.
    async fn next_chunk(&mut self) -> Option<Result<Bytes, B::Error>> {
        Some(self.body.frame().await?.map(|frame| frame.into_data().unwrap()))
    }

    /// Returns the parsed body, or `None` if the stream breaks off.
    async fn read_to_end(mut self, mut text: Vec<u8>) -> Option<Value> {
        while let Some(piece) = self.next_chunk().await {
            let piece = piece.ok()?;
            assert!(piece.len() <= MAX_CHUNK_BYTES, "{}", piece.len());
            text.extend_from_slice(&piece);
        }
        Some(serde_json::from_slice(&text).expect("a stream without an error is complete"))
    }
}

#[apply(both_databases)]
async fn a_streamed_list_is_complete_in_every_order(engine: Engine) {
    let app = TestApp::start(engine).await;
    let app = restart_with_tokens(app, 1, 2_500).await;
    for (name, key) in [
        ("createdAt", SortKey::CreatedAt),
        ("expiredAt", SortKey::ExpiresAt),
        ("lastUsed", SortKey::LastUsedAt),
        ("description", SortKey::Description),
        ("tokenId", SortKey::TokenId),
    ] {
        for descending in [false, true] {
            let sort = Sort { key, descending };
            let filter = TokenListQuery {
                scope: OwnerScope::Person { workspace_id: WorkspaceId::FIRST, person_id: PersonId::new(1) },
                filter: TokenFilter::default(),
                now: Timestamp::from_millis(1_767_225_600_000),
            };
            let page = TokenPageQuery { sort, limit: None, offset: 0, after: None };
            let expected: Vec<String> = app
                .store
                .list_tokens(&filter, &page)
                .await
                .unwrap()
                .iter()
                .map(|(token, _)| token.id.to_string())
                .collect();
            let direction = if descending { "-" } else { "" };
            let list_token_ids = app.admin().get(&format!("{PATH}?sort={direction}{name}")).await.expect(200);
            let ids: Vec<&str> = list_token_ids.rows().iter().map(|row| row["tokenId"].as_str().unwrap()).collect();
            assert!(ids == expected && ids.len() == 2_500, "{direction}{name}: {} rows", ids.len());
            assert!(
                list_token_ids.text.starts_with(r#"{"data":[{"tokenId":""#) && list_token_ids.text.ends_with("}]}\n")
            );
            assert_eq!(list_token_ids.headers["content-type"], "application/json");
        }
    }
    let counted = app.admin().get(&format!("{PATH}?includeCount=true&offset=2300")).await.expect(200);
    assert_eq!(counted.rows().len(), 200);
    assert!(counted.text.ends_with("}],\"count\":2500}\n"));
    assert_eq!(
        app.admin().get(&format!("{PATH}?offset=2500&includeCount=true")).await.text,
        "{\"data\":[],\"count\":2500}\n"
    );
}

#[apply(both_databases)]
async fn pages_of_a_long_list_are_contiguous(engine: Engine) {
    let app = TestApp::start(engine).await;
    let app = restart_with_tokens(app, 1, 2_000).await;
    for sort in ["createdAt", "-description"] {
        let mut token_ids = Vec::new();
        let mut next = String::new();
        let mut lengths = Vec::new();
        loop {
            let path = format!("{PATH}?allUsers=true&includeCount=true&limit=1000&sort={sort}{next}");
            let part = app.admin().get(&path).await.expect(200);
            token_ids.extend(part.rows().iter().map(|row| row["tokenId"].as_str().unwrap().to_owned()));
            lengths.push(part.rows().len());
            assert_eq!(part.json["count"], 2_000);
            match part.json["nextCursor"].as_str() {
                Some(cursor) => next = format!("&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(lengths, [1_000, 1_000, 0], "{sort}");
        token_ids.sort_unstable();
        token_ids.dedup();
        assert_eq!(token_ids.len(), 2_000, "{sort}");
    }
    let own = app.admin().get(&format!("{PATH}?limit=70&offset=1960&sort=description")).await.expect(200);
    assert_eq!((own.rows().len(), own.json.get("nextCursor")), (40, None));
    let own = app.admin().get(&format!("{PATH}?limit=70")).await.expect(200);
    assert_eq!((own.rows().len(), own.json.get("nextCursor")), (70, None), "the list of own tokens has no cursor");
}

#[apply(both_databases)]
async fn stalled_readers_hold_no_connection(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (ada, _) = (app.add_person("ada").await, app.set_setting("allowUsers", true).await);
    let app = restart_with_tokens(app, ada.id, 1_000).await;
    let ada = app.client_with_authorization(&[&basic_credential("ada")]);
    let created = ada.post(PATH, &crate::support::one_hour_token()).await.expect(201);
    let reader = crate::support::TokenClient::from_response(&app.anonymous(), &created);
    let mut stalled = Vec::new();
    for n in 0..300 {
        let sort = ["createdAt", "-createdAt", "description", "tokenId"][n % 4];
        let mut begun = send_unread(&app, &reader, &format!("{PATH}?sort={sort}")).await;
        assert_eq!(begun.status, 200);
        let first = begun.next_chunk().await.unwrap().unwrap();
        assert!(first.len() <= MAX_CHUNK_BYTES);
        stalled.push((begun, first));
    }
    // The stalled responses hold no connection and no slot of the list budget, not even that of
    // their reader.
    let other = app.admin().create_token().await;
    assert!(other.is_accepted().await);
    assert_eq!(reader.get(PATH).await.expect(200).rows().len(), 1_001);
    app.admin().get("/v4/workspaces/current").await.expect(200);
    app.admin().get(&format!("{PATH}?allUsers=true&sort=description")).await.expect(200);
    other.delete(&other.token_path()).await.expect(204);
    assert!(!other.is_accepted().await);
    for (begun, first) in stalled.drain(..5) {
        let list = begun.read_to_end(first.to_vec()).await.expect("a complete list");
        assert_eq!(list["data"].as_array().unwrap().len(), 1_001);
    }
}

/// Each case changes something while a list is being sent, and states whether the list is
/// completed.
#[apply(both_databases)]
async fn a_list_breaks_off_when_the_reader_loses_access(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.set_setting("allowUsers", true).await;
    let ada = app.add_person("ada").await;
    let app = restart_with_tokens(app, ada.id, 400).await;
    let admin = app.admin();
    let by_password = app.client_with_authorization(&[&basic_credential("ada")]);
    let by_token = || async {
        let created = by_password.post(PATH, &crate::support::one_hour_token()).await.expect(201);
        crate::support::TokenClient::from_response(&app.anonymous(), &created)
    };
    for path in [PATH.to_owned(), format!("{PATH}?sort=description")] {
        // Changes that do not affect the access of the reader.
        let (reader, other) = (by_token().await, by_token().await);
        let mut begun = send_unread(&app, &reader, &path).await;
        let first = begun.next_chunk().await.unwrap().unwrap().to_vec();
        admin.update_person(ada.id, json!({"name": "Ada L."})).await.expect(200);
        other.delete(&other.token_path()).await.expect(204);
        assert!(begun.read_to_end(first).await.is_some(), "{path}");

        for (what, change) in
            [("disabled", json!({"isDisabled": true})), ("switched off", json!({"tokenAccess": "disabled"}))]
        {
            let mut begun = send_unread(&app, &reader, &path).await;
            let first = begun.next_chunk().await.unwrap().unwrap().to_vec();
            admin.update_person(ada.id, change).await.expect(200);
            assert!(begun.read_to_end(first).await.is_none(), "{path}: {what}");
            admin.update_person(ada.id, json!({"isDisabled": false, "tokenAccess": "default"})).await.expect(200);
        }

        let mut begun = send_unread(&app, &reader, &path).await;
        let first = begun.next_chunk().await.unwrap().unwrap().to_vec();
        admin.delete(&reader.token_path()).await.expect(204);
        assert!(begun.read_to_end(first).await.is_none(), "{path}: the token is deleted");

        let reader = by_token().await;
        let mut begun = send_unread(&app, &reader, &path).await;
        let first = begun.next_chunk().await.unwrap().unwrap().to_vec();
        app.advance_seconds(3_601);
        assert!(begun.read_to_end(first).await.is_none(), "{path}: the token has expired");
    }
    // A list of an administrator who authenticates by password.
    let path = format!("{PATH}?allUsers=true&limit=300");
    let eve = admin.add_person("eve", true).await;
    for (what, change, goes_on) in [
        ("another name", json!({"name": "Eve"}), true),
        ("demoted", json!({"isAdmin": false}), false),
        (
            "another password",
            json!({"isAdmin": true, "password": "another horse battery staple", "password2": "another horse battery staple"}),
            false,
        ),
    ] {
        let mut begun = send_unread(&app, &eve, &path).await;
        if begun.status == 403 {
            admin.update_person(eve.id, json!({"isAdmin": true})).await.expect(200);
            begun = send_unread(&app, &eve, &path).await;
        }
        let first = begun.next_chunk().await.unwrap().unwrap().to_vec();
        admin.update_person(eve.id, change).await.expect(200);
        assert_eq!(begun.read_to_end(first).await.is_some(), goes_on, "{what}");
    }
}

/// Adds a service account whose custodian is Ada, and many tokens of it.
async fn account_with_tokens(engine: Engine) -> (TestApp, i64, i64) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    let body = json!({"kind": "service", "name": "ci", "custodians": [ada.id]});
    let account = app.admin().post("/v4/people", &body).await.expect(201).json["id"].as_i64().unwrap();
    (restart_with_tokens(app, account, 400).await, ada.id, account)
}

#[apply(both_databases)]
async fn a_list_breaks_off_when_the_reader_is_no_custodian_any_more(engine: Engine) {
    let (app, ada, account) = account_with_tokens(engine).await;
    let (admin, path) = (app.admin(), format!("{PATH}?personId={account}&limit=300"));
    let account_path = format!("/v4/people/{account}");
    let reader = app.client_with_authorization(&[&basic_credential("ada")]);
    let bearer = admin.update_person(ada, json!({"tokenAccess": "enabled"})).await.expect(200);
    drop(bearer);
    let created = reader.post(PATH, &crate::support::one_hour_token()).await.expect(201);
    let bearer = crate::support::TokenClient::from_response(&app.anonymous(), &created);
    for client in [&reader, &*bearer] {
        for (custodians, goes_on) in [(json!([ada, 1]), true), (json!([1]), false)] {
            let mut begun = send_unread(&app, client, &path).await;
            assert_eq!(begun.status, 200);
            let first = begun.next_chunk().await.unwrap().unwrap().to_vec();
            admin.patch(&account_path, &json!({"custodians": custodians})).await.expect(200);
            assert_eq!(begun.read_to_end(first).await.is_some(), goes_on, "{custodians}");
        }
        admin.patch(&account_path, &json!({"custodians": [ada]})).await.expect(200);
    }
}

#[apply(both_databases)]
async fn an_export_on_a_page_breaks_off_when_its_session_ends(engine: Engine) {
    let app = TestApp::start(engine).await;
    let app = restart_with_tokens(app, 1, 400).await;
    let path = "/preferences/access-tokens.csv";
    for ends in [false, true] {
        let (browser, other) =
            (app.signed_in_browser("admin@example.com").await, app.signed_in_browser("admin@example.com").await);
        let request = browser.request("GET", path, Body::empty());
        let mut body = app.service.clone().oneshot(request).await.unwrap().into_body();
        body.frame().await.unwrap().unwrap();
        let ended = if ends { &browser } else { &other };
        ended.post("/sign-out", &[]).await.expect(303);
        let mut is_complete = true;
        while let Some(frame) = body.frame().await {
            if frame.is_err() {
                is_complete = false;
                break;
            }
        }
        assert_eq!(is_complete, !ends);
    }
}

#[apply(both_databases)]
async fn a_head_request_has_no_body(engine: Engine) {
    let app = TestApp::start(engine).await;
    let app = restart_with_tokens(app, 1, 200).await;
    for path in [PATH, "/v4/apiAccessTokens?limit=2", "/v4/people", "/v4/events"] {
        let head = app.admin().send(app.admin().request("HEAD", path, Body::empty())).await.expect(200);
        assert_eq!((head.text.as_str(), &head.headers["content-type"]), ("", &"application/json".parse().unwrap()));
    }
}

#[apply(both_databases)]
async fn people_and_events_are_streamed(engine: Engine) {
    let app = TestApp::start(engine).await;
    let new = |n| crate::store::new_person(&format!("p{n:03}@example.com"));
    for n in 0..130 {
        app.store
            .insert_person(WorkspaceId::FIRST, &new(n), &crate::store::operator_mutation())
            .await
            .unwrap()
            .unwrap();
    }
    let admin = app.admin();
    let people = admin.get("/v4/people?limit=100&offset=20&includeCount=true").await.expect(200);
    let emails: Vec<&str> = people.rows().iter().map(|row| row["email"].as_str().unwrap()).collect();
    assert_eq!((emails.len(), emails[0], emails[99]), (100, "p019@example.com", "p118@example.com"));
    assert!(people.text.ends_with("}],\"count\":131}\n"));
    assert_eq!(admin.get("/v4/people?limit=1000&isDisabled=false").await.expect(200).rows().len(), 131);
    let of_workspace = EventFilter::all(WorkspaceId::FIRST);
    let all = app.store.list_events(&of_workspace, EventPageStart::default(), 1_000).await.unwrap();
    let (mut ids, mut next) = (Vec::new(), String::new());
    loop {
        let part = admin.get(&format!("/v4/events?allUsers=true&limit=50{next}")).await.expect(200);
        ids.extend(part.rows().iter().map(|row| row["id"].as_i64().unwrap()));
        match part.json["nextCursor"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(ids, all.iter().map(|event| event.id).collect::<Vec<_>>());
    let mut begun = send_unread(&app, &admin, "/v4/events?allUsers=true&limit=100").await;
    let first = begun.next_chunk().await.unwrap().unwrap().to_vec();
    assert_eq!(begun.read_to_end(first).await.expect("a complete list")["data"].as_array().unwrap().len(), 100);
}
