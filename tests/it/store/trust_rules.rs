//! Trust rules, and the tokens that are issued by them.

use rstest::rstest;
use rstest_reuse::apply;
use tokenward::{
    domain::{
        id::PersonId,
        invalidation::Invalidation,
        service_account::{Custodians, ServiceName},
        time::Timestamp,
        token_filter::TokenFilter,
        trust_rule::{Assertion, ConditionText, ScopeDenied, TrustRule, TrustRuleDraft, TrustRuleText},
    },
    store::{
        Error, ExchangeDenied, NewExchange, NewServiceAccount, NewTrustRule, OwnerScope, ServiceAccountInsert, Store,
        TokenListQuery, TrustRuleInsert,
    },
};
use tokenward_guard::{Scopes, token_format::TokenFormat};
use uuid::Uuid;

use super::{
    ADMIN, ALL_TOKENS, DEFAULT_SETTINGS, NOW, NoCache, RecordingBarrier, WORKSPACE, mutation_at, operator_mutation,
};
use crate::support::{Engine, TestApp, both_databases};

const ISSUER: &str = "https://issuer.example.com";

async fn account(store: &Store) -> PersonId {
    let custodians = Custodians::parse(&[ADMIN.get()]).unwrap();
    let new = NewServiceAccount { name: ServiceName::parse("ci").unwrap(), custodians, is_admin: false };
    match store.insert_service_account(WORKSPACE, &new, &operator_mutation()).await.unwrap() {
        ServiceAccountInsert::Created(id) => id,
        other => panic!("{other:?}"),
    }
}

fn new_rule(account_id: PersonId, id: u128) -> NewTrustRule {
    let condition = ConditionText { claim: "sub".to_owned(), value: Some("job-1".to_owned()), glob: None };
    let scopes = ["deploy".to_owned()];
    let text = TrustRuleText {
        issuer: ISSUER,
        audience: "https://tokens.example.com",
        conditions: &[condition],
        scopes: Some(&scopes),
        ..TrustRuleText::default()
    };
    let terms = TrustRuleDraft::parse(&text).unwrap();
    NewTrustRule { id: Uuid::from_u128(id), workspace_id: WORKSPACE, account_id, terms }
}

async fn insert(store: &Store, new: &NewTrustRule) -> TrustRule {
    match store.insert_trust_rule(new, &mutation_at(NOW)).await.unwrap() {
        TrustRuleInsert::Created(rule) => rule,
        other => panic!("{other:?}"),
    }
}

fn new_exchange(rule: &TrustRule, jti: &str) -> NewExchange {
    let value = TokenFormat::default().generate(|bytes| rand::fill(bytes));
    let claims = serde_json::json!({"iat": 1_000, "exp": 1_300, "jti": jti, "sub": "job-1"});
    NewExchange {
        id: Uuid::from_u128(rand::random()),
        rule_id: rule.id,
        workspace_id: rule.workspace_id,
        account_id: rule.account_id,
        digest: value.digest(),
        display_prefix: value.display_prefix().to_owned(),
        scopes: None,
        assertion: Assertion::read("a.b.c", claims.as_object().unwrap(), None).unwrap(),
        mutation: mutation_at(NOW),
        max_active: None,
    }
}

#[apply(both_databases)]
async fn a_rule_is_read_as_it_was_written(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = app.store.clone();
    let account_id = account(&store).await;
    let new = new_rule(account_id, 1);
    let rule = insert(&store, &new).await;
    assert_eq!((rule.id, &rule.terms, rule.created_at), (new.id, &new.terms, NOW));
    assert_eq!((rule.last_used_at, rule.issued_tokens), (None, 0));
    assert_eq!(store.list_trust_rules(WORKSPACE, account_id).await.unwrap(), std::slice::from_ref(&rule));
    let name = ServiceName::parse("ci").unwrap();
    assert_eq!(store.find_trust_rules(&name, ISSUER).await.unwrap(), [rule]);
    assert_eq!(store.find_trust_rules(&name, "https://issuer.example.com/").await.unwrap(), []);
    assert_eq!(store.find_trust_rules(&ServiceName::parse("c").unwrap(), ISSUER).await.unwrap(), []);
    let of_person = new_rule(ADMIN, 2);
    let inserted = store.insert_trust_rule(&of_person, &mutation_at(NOW)).await.unwrap();
    assert_eq!(inserted, TrustRuleInsert::AccountNotFound);
    let twice = store.insert_trust_rule(&new, &mutation_at(NOW)).await;
    assert!(matches!(twice, Err(Error::Conflict)), "{twice:?}");
}

#[apply(both_databases)]
async fn a_jwt_is_spent_with_the_token_or_not_at_all(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = app.store.clone();
    let rule = insert(&store, &new_rule(account(&store).await, 1)).await;
    let mut exchange = new_exchange(&rule, "1");
    exchange.scopes = Some(Scopes::from_words(["admin"]));
    let denied = ScopeDenied::NotPermitted { word: "admin".to_owned() };
    let result = store.exchange_token(&exchange, DEFAULT_SETTINGS).await.unwrap();
    assert_eq!(result, Err(ExchangeDenied::Scope(denied)));
    let token = store.exchange_token(&new_exchange(&rule, "1"), DEFAULT_SETTINGS).await.unwrap().unwrap();
    assert_eq!((token.trust_rule_id, token.parent_id, token.person_id), (Some(rule.id), None, rule.account_id));
    assert_eq!((token.description.as_str(), token.limits.scopes.as_str()), ("job-1", Some("deploy")));
    assert_eq!(token.expires_at, Some(NOW.plus_seconds(3_600)));
    let again = store.exchange_token(&new_exchange(&rule, "1"), DEFAULT_SETTINGS).await.unwrap();
    assert_eq!(again, Err(ExchangeDenied::AlreadyUsed));
    let scope = OwnerScope::Person { workspace_id: WORKSPACE, person_id: rule.account_id };
    let query = TokenListQuery { scope, filter: TokenFilter::default(), now: NOW };
    let listed = store.list_tokens(&query, &ALL_TOKENS).await.unwrap();
    assert_eq!(listed.iter().map(|(token, _)| token.trust_rule_id).collect::<Vec<_>>(), [Some(rule.id)]);
    let used = store.list_trust_rules(WORKSPACE, rule.account_id).await.unwrap();
    assert_eq!((used[0].issued_tokens, used[0].last_used_at), (1, Some(NOW)));
}

#[apply(both_databases)]
async fn a_deleted_rule_takes_its_tokens_with_it_and_issues_no_more(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = app.store.clone();
    let account_id = account(&store).await;
    let (first, second) =
        (insert(&store, &new_rule(account_id, 1)).await, insert(&store, &new_rule(account_id, 2)).await);
    for (rule, jti) in [(&first, "1"), (&first, "2"), (&second, "3")] {
        store.exchange_token(&new_exchange(rule, jti), DEFAULT_SETTINGS).await.unwrap().unwrap();
    }
    let barrier = RecordingBarrier::default();
    let deleted = store.delete_trust_rule(WORKSPACE, account_id, first.id, &mutation_at(NOW)).await.unwrap();
    assert_eq!(deleted.wait_for(&barrier).await, Some(2));
    assert_eq!(barrier.invalidations(), [Invalidation::Person(account_id)]);
    let again = store.delete_trust_rule(WORKSPACE, account_id, first.id, &mutation_at(NOW)).await.unwrap();
    assert_eq!(again.wait_for(&NoCache).await, None);
    let of_another = store.delete_trust_rule(WORKSPACE, ADMIN, second.id, &mutation_at(NOW)).await.unwrap();
    assert_eq!(of_another.wait_for(&NoCache).await, None);
    let result = store.exchange_token(&new_exchange(&first, "4"), DEFAULT_SETTINGS).await.unwrap();
    assert_eq!(result, Err(ExchangeDenied::RuleDeleted));
    // Only expired tokens of exchanges are purged.
    let purged = async |at: Timestamp| store.delete_expired_exchanged(at, 10).await.unwrap().wait_for(&NoCache).await;
    assert_eq!((purged(NOW.plus_seconds(3_600)).await, purged(NOW.plus_seconds(3_601)).await), (0, 1));
}
