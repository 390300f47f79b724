//! Lists as they are sent: whole, in order, piece by piece.

use axum::body::{Body, Bytes, HttpBody};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokenward::{
    domain::{
        time::Timestamp,
        token_query::{Page, Sort, SortKey, Which},
    },
    store::{EventFilter, EventStart, Owner, TokenFilter},
};
use tower::ServiceExt as _;

use super::{credential, with_tokens};
use crate::support::{Client, TestApp};

const PATH: &str = "/v4/apiAccessTokens";
/// The most bytes of one piece: two KiB, and the end of the row that reaches them.
const LARGEST_PIECE: usize = 4 * 1024;

on_both!(
    a_streamed_list_is_whole_in_every_order,
    parts_of_a_long_list_are_cut_where_they_were,
    stalled_readers_hold_no_connection,
    a_reader_who_may_not_read_any_more_gets_no_whole_list,
    a_head_request_is_answered_without_a_body,
    people_and_events_are_streamed_too,
);

/// A response of which nothing has been read.
struct Begun<B> {
    status: u16,
    body: B,
}

async fn begin(
    app: &TestApp,
    client: &Client,
    path: &str,
) -> Begun<impl HttpBody<Data = Bytes, Error: std::fmt::Debug> + Unpin + use<>> {
    let response = app.service.clone().oneshot(client.request("GET", path, Body::empty())).await.unwrap();
    Begun { status: response.status().as_u16(), body: response.into_body() }
}

impl<B: HttpBody<Data = Bytes, Error: std::fmt::Debug> + Unpin> Begun<B> {
    /// The next piece; none at the end.
    async fn piece(&mut self) -> Option<Result<Bytes, B::Error>> {
        Some(self.body.frame().await?.map(|frame| frame.into_data().unwrap()))
    }

    /// Everything that has not been read; none where the list is broken off.
    async fn rest(mut self, mut text: Vec<u8>) -> Option<Value> {
        while let Some(piece) = self.piece().await {
            let piece = piece.ok()?;
            assert!(piece.len() <= LARGEST_PIECE, "{}", piece.len());
            text.extend_from_slice(&piece);
        }
        Some(serde_json::from_slice(&text).expect("a list without an error is whole"))
    }
}

async fn a_streamed_list_is_whole_in_every_order(app: TestApp) {
    let app = with_tokens(app, 1, 2_500).await;
    for (name, key) in [
        ("createdAt", SortKey::CreatedAt),
        ("expiredAt", SortKey::ExpiresAt),
        ("lastUsed", SortKey::LastUsedAt),
        ("description", SortKey::Description),
        ("tokenId", SortKey::TokenId),
    ] {
        for descending in [false, true] {
            let sort = Sort { key, descending };
            let filter = TokenFilter {
                owner: Owner::Person { workspace_id: 1, person_id: 1 },
                which: Which::default(),
                now: Timestamp::from_millis(1_767_225_600_000),
            };
            let page = Page { sort, limit: None, offset: 0, after: None };
            let expected: Vec<String> = app
                .store
                .list_tokens(&filter, &page)
                .await
                .unwrap()
                .iter()
                .map(|(token, _)| token.id.to_string())
                .collect();
            let direction = if descending { "-" } else { "" };
            let listed = app.admin().get(&format!("{PATH}?sort={direction}{name}")).await.expect(200);
            let ids: Vec<&str> = listed.rows().iter().map(|row| row["tokenId"].as_str().unwrap()).collect();
            assert!(ids == expected && ids.len() == 2_500, "{direction}{name}: {} rows", ids.len());
            assert!(listed.text.starts_with(r#"{"data":[{"tokenId":""#) && listed.text.ends_with("}]}"));
            assert_eq!(listed.headers["content-type"], "application/json");
        }
    }
    let counted = app.admin().get(&format!("{PATH}?includeCount=true&offset=2300")).await.expect(200);
    assert_eq!(counted.rows().len(), 200);
    assert!(counted.text.ends_with(r#"}],"count":2500}"#));
    assert_eq!(
        app.admin().get(&format!("{PATH}?offset=2500&includeCount=true")).await.text,
        r#"{"data":[],"count":2500}"#
    );
}

async fn parts_of_a_long_list_are_cut_where_they_were(app: TestApp) {
    let app = with_tokens(app, 1, 2_000).await;
    for sort in ["createdAt", "-description"] {
        let mut seen = Vec::new();
        let mut next = String::new();
        let mut lengths = Vec::new();
        loop {
            let path = format!("{PATH}?allUsers=true&includeCount=true&limit=1000&sort={sort}{next}");
            let part = app.admin().get(&path).await.expect(200);
            seen.extend(part.rows().iter().map(|row| row["tokenId"].as_str().unwrap().to_owned()));
            lengths.push(part.rows().len());
            assert_eq!(part.json["count"], 2_000);
            match part.json["nextCursor"].as_str() {
                Some(cursor) => next = format!("&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(lengths, [1_000, 1_000, 0], "{sort}");
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 2_000, "{sort}");
    }
    let own = app.admin().get(&format!("{PATH}?limit=70&offset=1960&sort=description")).await.expect(200);
    assert_eq!((own.rows().len(), own.json.get("nextCursor")), (40, None));
    let own = app.admin().get(&format!("{PATH}?limit=70")).await.expect(200);
    assert_eq!((own.rows().len(), own.json.get("nextCursor")), (70, None), "one's own list has none");
}

async fn stalled_readers_hold_no_connection(app: TestApp) {
    let (ada, _) = (app.person("ada").await, app.set("allowUsers", true).await);
    let app = with_tokens(app, ada.id, 1_000).await;
    let ada = app.presenting(&[&credential("ada")]);
    let made = ada.post(PATH, &crate::support::an_hour()).await.expect(201);
    let reader = crate::support::Bearer::of(&app.anonymous(), &made);
    let mut stalled = Vec::new();
    for n in 0..300 {
        let sort = ["createdAt", "-createdAt", "description", "tokenId"][n % 4];
        let mut begun = begin(&app, &reader, &format!("{PATH}?sort={sort}")).await;
        assert_eq!(begun.status, 200);
        let first = begun.piece().await.unwrap().unwrap();
        assert!(first.len() <= LARGEST_PIECE);
        stalled.push((begun, first));
    }
    // No connection and no place in the budget of lists is held, the reader's own included.
    let other = app.admin().bearer().await;
    assert!(other.works().await);
    assert_eq!(reader.get(PATH).await.expect(200).rows().len(), 1_001);
    app.admin().get("/v4/workspaces/current").await.expect(200);
    app.admin().get(&format!("{PATH}?allUsers=true&sort=description")).await.expect(200);
    other.delete(&other.path()).await.expect(204);
    assert!(!other.works().await);
    for (begun, first) in stalled.drain(..5) {
        let list = begun.rest(first.to_vec()).await.expect("a whole list");
        assert_eq!(list["data"].as_array().unwrap().len(), 1_001);
    }
}

/// What is done while a list is being sent, and whether the reader may go on.
async fn a_reader_who_may_not_read_any_more_gets_no_whole_list(app: TestApp) {
    app.set("allowUsers", true).await;
    let ada = app.person("ada").await;
    let app = with_tokens(app, ada.id, 400).await;
    let admin = app.admin();
    let by_password = app.presenting(&[&credential("ada")]);
    let by_token = || async {
        let made = by_password.post(PATH, &crate::support::an_hour()).await.expect(201);
        crate::support::Bearer::of(&app.anonymous(), &made)
    };
    for path in [PATH.to_owned(), format!("{PATH}?sort=description")] {
        // Nothing that concerns the reader.
        let (reader, other) = (by_token().await, by_token().await);
        let mut begun = begin(&app, &reader, &path).await;
        let first = begun.piece().await.unwrap().unwrap().to_vec();
        admin.change(ada.id, json!({"name": "Ada L."})).await.expect(200);
        other.delete(&other.path()).await.expect(204);
        assert!(begun.rest(first).await.is_some(), "{path}");

        for (what, change) in
            [("disabled", json!({"isDisabled": true})), ("switched off", json!({"tokenAccess": "disabled"}))]
        {
            let mut begun = begin(&app, &reader, &path).await;
            let first = begun.piece().await.unwrap().unwrap().to_vec();
            admin.change(ada.id, change).await.expect(200);
            assert!(begun.rest(first).await.is_none(), "{path}: {what}");
            admin.change(ada.id, json!({"isDisabled": false, "tokenAccess": "default"})).await.expect(200);
        }

        let mut begun = begin(&app, &reader, &path).await;
        let first = begun.piece().await.unwrap().unwrap().to_vec();
        admin.delete(&reader.path()).await.expect(204);
        assert!(begun.rest(first).await.is_none(), "{path}: the token is deleted");

        let reader = by_token().await;
        let mut begun = begin(&app, &reader, &path).await;
        let first = begun.piece().await.unwrap().unwrap().to_vec();
        app.advance_seconds(3_601);
        assert!(begun.rest(first).await.is_none(), "{path}: the token has expired");
    }
    // An administrator's list, by password.
    let path = format!("{PATH}?allUsers=true&limit=300");
    let eve = admin.add("eve", true).await;
    for (what, change, goes_on) in [
        ("another name", json!({"name": "Eve"}), true),
        ("demoted", json!({"isAdmin": false}), false),
        (
            "another password",
            json!({"isAdmin": true, "password": "another horse battery staple", "password2": "another horse battery staple"}),
            false,
        ),
    ] {
        let mut begun = begin(&app, &eve, &path).await;
        if begun.status == 403 {
            admin.change(eve.id, json!({"isAdmin": true})).await.expect(200);
            begun = begin(&app, &eve, &path).await;
        }
        let first = begun.piece().await.unwrap().unwrap().to_vec();
        admin.change(eve.id, change).await.expect(200);
        assert_eq!(begun.rest(first).await.is_some(), goes_on, "{what}");
    }
}

async fn a_head_request_is_answered_without_a_body(app: TestApp) {
    let app = with_tokens(app, 1, 200).await;
    for path in [PATH, "/v4/apiAccessTokens?limit=2", "/v4/people", "/v4/events"] {
        let head = app.admin().send(app.admin().request("HEAD", path, Body::empty())).await.expect(200);
        assert_eq!((head.text.as_str(), &head.headers["content-type"]), ("", &"application/json".parse().unwrap()));
    }
}

async fn people_and_events_are_streamed_too(app: TestApp) {
    let new = |n| crate::store::new_person(&format!("p{n:03}@example.com"));
    for n in 0..130 {
        app.store.insert_person(1, &new(n), &crate::store::by()).await.unwrap().unwrap();
    }
    let admin = app.admin();
    let people = admin.get("/v4/people?limit=100&offset=20&includeCount=true").await.expect(200);
    let emails: Vec<&str> = people.rows().iter().map(|row| row["email"].as_str().unwrap()).collect();
    assert_eq!((emails.len(), emails[0], emails[99]), (100, "p019@example.com", "p118@example.com"));
    assert!(people.text.ends_with(r#"}],"count":131}"#));
    assert_eq!(admin.get("/v4/people?limit=1000&isDisabled=false").await.expect(200).rows().len(), 131);
    let of_workspace = EventFilter { workspace_id: 1, ..EventFilter::default() };
    let all = app.store.list_events(&of_workspace, EventStart::default(), 1_000).await.unwrap();
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
    let mut begun = begin(&app, &admin, "/v4/events?allUsers=true&limit=100").await;
    let first = begun.piece().await.unwrap().unwrap().to_vec();
    assert_eq!(begun.rest(first).await.expect("a whole list")["data"].as_array().unwrap().len(), 100);
}
