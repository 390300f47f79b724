//! Deletion of the tokens that match a filter.

use rstest::rstest;
use rstest_reuse::apply;
use tokenward::{
    domain::{
        invalidation::Invalidation,
        time::Timestamp,
        token::Lifetime,
        token_filter::{DescriptionPart, TimeRange, TokenFilter},
    },
    service::audit_verify::verify,
    store::{BulkDeletion, OwnerScope, TokenListQuery},
};

use super::{ADMIN, NOW, RecordingBarrier, WORKSPACE, issue_token, operator_mutation};
use crate::support::{Engine, TestApp, both_databases};

fn created_before(time: Timestamp) -> TokenListQuery {
    let created = TimeRange { before: Some(time), after: None };
    let filter = TokenFilter { created, ..TokenFilter::default() };
    TokenListQuery { scope: OwnerScope::Workspace(WORKSPACE), filter, now: NOW }
}

#[apply(both_databases)]
async fn each_deleted_token_is_invalidated_and_recorded(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let mut digests = Vec::new();
    for second in 0..5 {
        let (value, _) = issue_token(store, ADMIN, Lifetime::Forever, NOW.plus_seconds(second)).await;
        digests.push(value.digest());
    }
    let barrier = RecordingBarrier::default();
    let query = created_before(NOW.plus_seconds(4));
    let deletion = store.delete_tokens(&query, 3, &operator_mutation()).await.unwrap().wait_for(&barrier).await;
    assert_eq!(deletion, BulkDeletion { matched: 4, deleted: 3 });
    let deletion = store.delete_tokens(&query, 3, &operator_mutation()).await.unwrap().wait_for(&barrier).await;
    assert_eq!(deletion, BulkDeletion { matched: 1, deleted: 1 });
    let deletion = store.delete_tokens(&query, 3, &operator_mutation()).await.unwrap().wait_for(&barrier).await;
    assert_eq!(deletion, BulkDeletion::default());
    let mut invalidated = barrier.invalidations();
    assert_eq!(invalidated.len(), 4);
    invalidated.retain(|invalidation| !digests[..4].iter().any(|digest| *invalidation == Invalidation::Token(*digest)));
    assert!(invalidated.is_empty(), "{invalidated:?}");
    assert_eq!(store.find_by_digests(&digests).await.unwrap().len(), 1);
    assert_eq!(store.find_revoked(&digests).await.unwrap().len(), 4);
    let verdict = verify(store).await.unwrap();
    // Five creations, four deletions and two summaries.
    assert_eq!((verdict.events, verdict.findings.len()), (11, 0));
}

#[apply(both_databases)]
async fn a_description_is_matched_literally(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    issue_token(store, ADMIN, Lifetime::Forever, NOW).await;
    let part = DescriptionPart::parse("%".to_owned()).unwrap();
    let filter = TokenFilter { description: Some(part), ..TokenFilter::default() };
    let query = TokenListQuery { scope: OwnerScope::Workspace(WORKSPACE), filter, now: NOW };
    let deleted = store.delete_tokens(&query, 10, &operator_mutation()).await.unwrap();
    assert_eq!(deleted.wait_for(&super::NoCache).await, BulkDeletion::default());
}
