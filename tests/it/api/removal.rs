//! Deletion of large token families, and concurrent deletions.

use futures_util::future::join_all;
use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;
use tokenward::{
    domain::{
        authority::Mutation,
        event::AuditContext,
        id::{PersonId, WorkspaceId},
        random::Random,
        time::Timestamp,
        token::Lifetime,
        token_limits::RequestedLimits,
    },
    store::NewToken,
};
use tokenward_guard::token_format::TokenFormat;
use uuid::Uuid;

use crate::store::NoCache;
use crate::support::{Engine, TestApp, TokenClient, both_databases, one_hour_token};

/// More tokens than one statement deletes.
const TOKEN_COUNT: usize = 1_050;

/// Creates child tokens of `parent` through the store, and returns clients for the first and the
/// last.
async fn create_children(app: &TestApp, parent: &TokenClient) -> [TokenClient; 2] {
    let random = Random::system();
    let now = Timestamp::from_millis(1_767_225_600_000);
    let mut values = Vec::new();
    for _ in 0..TOKEN_COUNT {
        let value = TokenFormat::default().generate(|bytes| random.fill(bytes));
        let context = AuditContext {
            actor_id: Some(PersonId::new(1)),
            token_id: parent.token_id.parse().ok(),
            ..AuditContext::for_operator(now)
        };
        let new = NewToken {
            id: Uuid::from_bytes(random.bytes()),
            workspace_id: WorkspaceId::FIRST,
            person_id: PersonId::new(1),
            digest: value.digest(),
            display_prefix: value.display_prefix().to_owned(),
            description: Some(String::new()),
            lifetime: Some(Lifetime::Forever),
            limits: RequestedLimits::default(),
            replaces: None,
            mutation: Mutation::without_caller(context),
            form: None,
            device: None,
            idempotency: None,
            max_active: None,
        };
        app.store.issue_token(&new, app.state.workspaces().defaults()).await.unwrap().wait_for(&NoCache).await.unwrap();
        values.push((value, new.id));
    }
    [0, TOKEN_COUNT - 1].map(|n| {
        let (value, id) = &values[n];
        let client = app.client_with_authorization(&[&format!("Bearer {}", value.expose())]);
        TokenClient::new(client, value.expose(), &id.to_string())
    })
}

#[apply(both_databases)]
async fn a_reported_token_with_many_descendants_is_revoked_at_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    let other = app.admin().create_token().await;
    let root = app.admin().create_token().await;
    let [first, last] = create_children(&app, &root).await;
    for token in [&other, &root, &first, &last] {
        assert!(token.is_accepted().await);
    }
    app.anonymous().post("/v4/leaks", &json!({"values": [root.value]})).await.expect(202);
    for token in [&root, &first, &last] {
        assert!(!token.is_accepted().await);
        token.post("/v4/apiAccessTokens", &one_hour_token()).await.expect(401);
    }
    assert!(other.is_accepted().await, "a token of the same person, but of another family");
    app.admin().delete(&format!("{}?descendants=true", root.token_path())).await.expect(404);
    assert_eq!(app.state.tokens().purge_revoked().await.unwrap(), u64::try_from(TOKEN_COUNT).unwrap());
    assert!(other.is_accepted().await && !last.is_accepted().await);
}

#[apply(both_databases)]
async fn a_workspace_is_deleted_while_its_tokens_are_deleted(engine: Engine) {
    let app = TestApp::start(engine).await;
    for round in 0..4 {
        let lab = app.create_workspace_with_admin(&format!("eve{round}")).await;
        let caller = lab.create_token().await;
        let tokens = join_all((0..24).map(|_| lab.create_token())).await;
        let deleting = join_all(tokens.iter().map(|token| async {
            let status = caller.delete(&token.token_path()).await.status;
            assert!(matches!(status, 204 | 401), "{status}");
        }));
        let removing = async {
            app.admin().delete(&format!("/v4/workspaces/{}", lab.workspace_id)).await.expect(204);
        };
        tokio::join!(deleting, removing);
        assert!(!caller.is_accepted().await);
    }
}
