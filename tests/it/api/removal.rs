//! Deleting what is large, and deleting two things at once.

use futures_util::future::join_all;
use serde_json::json;
use tokenward::{
    domain::{authority::Mutation, event::Act, random::Random, time::Timestamp, token::Lifetime},
    store::NewToken,
};
use tokenward_guard::token_format::TokenFormat;
use uuid::Uuid;

use crate::support::{Bearer, TestApp, an_hour};

on_both!(a_reported_token_of_a_large_family_is_refused_at_once, a_workspace_is_removed_while_its_tokens_are_deleted,);

/// More than one statement may delete.
const MANY: usize = 1_050;

/// Creates tokens that were made by `parent`, through the store, and presents the first and the last of them.
async fn children(app: &TestApp, parent: &Bearer) -> [Bearer; 2] {
    let random = Random::system();
    let now = Timestamp::from_millis(1_767_225_600_000);
    let mut values = Vec::new();
    for _ in 0..MANY {
        let value = TokenFormat::default().generate(|bytes| random.fill(bytes));
        let act = Act { person_id: Some(1), token_id: parent.token_id.parse().ok(), ..Act::of_operator(now) };
        let new = NewToken {
            id: Uuid::from_bytes(random.bytes()),
            workspace_id: 1,
            person_id: 1,
            digest: value.digest(),
            hint: value.display_prefix().to_owned(),
            description: String::new(),
            lifetime: Lifetime::Forever,
            mutation: Mutation::without_caller(act),
            form: None,
            once: None,
            most_live: None,
        };
        app.store.issue_token(&new, app.app.workspaces().defaults()).await.unwrap().unwrap();
        values.push((value, new.id));
    }
    [0, MANY - 1].map(|n| {
        let (value, id) = &values[n];
        let client = app.presenting(&[&format!("Bearer {}", value.expose())]);
        Bearer::new(client, value.expose(), &id.to_string())
    })
}

async fn a_reported_token_of_a_large_family_is_refused_at_once(app: TestApp) {
    let other = app.admin().bearer().await;
    let root = app.admin().bearer().await;
    let [first, last] = children(&app, &root).await;
    for token in [&other, &root, &first, &last] {
        assert!(token.works().await);
    }
    app.anonymous().post("/v4/leaks", &json!({"values": [root.value]})).await.expect(202);
    for token in [&root, &first, &last] {
        assert!(!token.works().await);
        token.post("/v4/apiAccessTokens", &an_hour()).await.expect(401);
    }
    assert!(other.works().await, "of the same person, and of another family");
    app.admin().delete(&format!("{}?descendants=true", root.path())).await.expect(404);
    assert_eq!(app.app.tokens().remove_dead().await.unwrap(), u64::try_from(MANY).unwrap());
    assert!(other.works().await && !last.works().await);
}

async fn a_workspace_is_removed_while_its_tokens_are_deleted(app: TestApp) {
    for round in 0..4 {
        let lab = app.other_admin(&format!("eve{round}")).await;
        let by = lab.bearer().await;
        let tokens = join_all((0..24).map(|_| lab.bearer())).await;
        let deleting = join_all(tokens.iter().map(|token| async {
            let status = by.delete(&token.path()).await.status;
            assert!(matches!(status, 204 | 401), "{status}");
        }));
        let removing = async {
            app.admin().delete(&format!("/v4/workspaces/{}", lab.workspace_id)).await.expect(204);
        };
        tokio::join!(deleting, removing);
        assert!(!by.works().await);
    }
}
